"""The endpoints of one service, their health, and the subsets that its rules make of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from clew.api.messages import Key, key_message
from clew.api.views import EndpointView, SubsetView
from clew.model.destination_rule import DestinationRule
from clew.model.pod import Pod
from clew.model.service import Endpoint, Health, Service
from clew.snapshot.destination_rules import destination_rule_for, merged_in
from clew.snapshot.labels import selects
from clew.snapshot.objects import objects_of
from clew.snapshot.places import pod_addresses
from clew.snapshot.snapshot import MeshSnapshot


def by_address(endpoints: Iterable[Endpoint]) -> list[Endpoint]:
    """One endpoint for each address, whatever ports it has."""
    return list({endpoint.address: endpoint for endpoint in endpoints}.values())


def healthy(endpoints: Iterable[Endpoint]) -> int:
    """How many of them can be used."""
    return sum(endpoint.health is Health.HEALTHY for endpoint in endpoints)


def subset_views(
    snapshot: MeshSnapshot, service: Service, namespace: str
) -> tuple[SubsetView, ...]:
    """The subsets that clients of a namespace see, each with the rule that declares it."""
    rule = rule_of(snapshot, service, namespace)
    if rule is None:
        return ()
    written = merged_in(rule, objects_of(DestinationRule, snapshot.objects))
    endpoints = by_address(snapshot.endpoints.get(service.key, ()))
    found = []
    for subset in rule.spec.subsets:
        chosen = [e for e in endpoints if selects(subset.labels, dict(e.workload.labels))]
        source, field = _declared(written, subset.name)
        view = SubsetView(
            name=subset.name,
            labels=subset.labels,
            healthy=healthy(chosen),
            endpoints=len(chosen),
            rule=source,
            field=field,
        )
        found.append(view)
    return tuple(found)


def rule_of(snapshot: MeshSnapshot, service: Service, namespace: str) -> DestinationRule | None:
    return destination_rule_for(service, namespace, {}, snapshot.destination_rules, snapshot.mesh)


def _declared(rules: Iterable[DestinationRule], subset: str) -> tuple[Key | None, str]:
    """Where a subset of the rule that these are merged into is written."""
    for rule in rules:
        for index, each in enumerate(rule.spec.subsets):
            if each.name == subset:
                return key_message(rule.key), f"spec.subsets[{index}]"
    return None, ""


def endpoint_views(
    snapshot: MeshSnapshot, service: Service, namespace: str
) -> tuple[EndpointView, ...]:
    subsets = subset_views(snapshot, service, namespace)
    pods = _pods(snapshot)
    return tuple(
        EndpointView(
            address=endpoint.address,
            port=endpoint.port,
            port_name=endpoint.port_name,
            health=endpoint.health.value,
            workload=endpoint.workload.name,
            version=dict(endpoint.workload.labels).get("version", ""),
            zone="/".join(filter(None, endpoint.workload.locality)),
            mutual_tls=endpoint.mutual_tls,
            pod=pods.get(endpoint.address),
            weight=endpoint.weight,
            subsets=tuple(
                s.name for s in subsets if selects(s.labels, dict(endpoint.workload.labels))
            ),
        )
        for endpoint in snapshot.endpoints.get(service.key, ())
    )


def _pods(snapshot: MeshSnapshot) -> Mapping[str, Key]:
    return {
        address: key_message(pod.key)
        for pod in objects_of(Pod, snapshot.objects)
        for address in pod_addresses(pod)
    }
