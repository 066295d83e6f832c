"""Objects that want the same and of which only one is heeded: the one that comes first."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from clew.model.base import Resource, ResourceKey, age_order
from clew.model.destination_rule import DestinationRule
from clew.model.diagnostic import Diagnostic
from clew.model.peer_authentication import PeerAuthentication
from clew.model.service import ServiceKey
from clew.model.service_entry import ServiceEntry
from clew.model.status import (
    CONFLICTING_HOSTS,
    SEVERAL_SIDECARS,
    SEVERAL_TELEMETRIES,
    object_warning,
)
from clew.model.telemetry import Telemetry
from clew.model.virtual_service import VirtualService
from clew.snapshot.destination_rules import export_of, rule_host
from clew.snapshot.objects import objects_of
from clew.snapshot.policy_targets import overruled
from clew.snapshot.snapshot import MeshSnapshot


def hosts_of_others(snapshot: MeshSnapshot) -> Iterator[Diagnostic]:
    """Yield the VirtualServices of whose hosts others have the HTTP routes that are used.

    At gateways, the routes of all VirtualServices of a host add up.
    """
    written = snapshot.objects.get(VirtualService, {})
    lost: dict[tuple[ResourceKey, str], VirtualService] = {}
    for rules in snapshot.virtual_services.in_mesh():
        first: dict[str, VirtualService] = {}
        for rule in rules:
            for host in rule.spec.hosts if rule.spec.http else ():
                other = first.setdefault(host.lower(), rule)
                if other is not rule:
                    lost.setdefault((rule.key, host), other)
    for (key, host), other in lost.items():
        if key.name in written.get(key.namespace, {}):
            yield object_warning(
                key,
                f"in the mesh, {host} has the HTTP routes of VirtualService {_name(other)}, which "
                "comes first: those of this one are not used where both are seen",
                field="spec.hosts",
                code=CONFLICTING_HOSTS,
                hint="put the routes of both into one VirtualService",
            )


def policies_of_others(snapshot: MeshSnapshot) -> Iterator[Diagnostic]:
    """Yield the DestinationRules of which something is not heeded, as another has it already."""
    older: dict[object, list[DestinationRule]] = {}
    for rule in sorted(objects_of(DestinationRule, snapshot.objects), key=age_order):
        exported, selector = export_of(rule, snapshot.mesh), rule.spec.workload_selector
        labels = None if selector is None else tuple(sorted(selector.match_labels.items()))
        alike = older.setdefault((rule.metadata.namespace, rule_host(rule), exported, labels), [])
        yield from _overruled(rule, alike)
        alike.append(rule)


def _overruled(rule: DestinationRule, older: Iterable[DestinationRule]) -> Iterator[Diagnostic]:
    names = [subset.name for subset in rule.spec.subsets]
    for other in older:
        said = f"DestinationRule {_name(other)}, which comes first, has"
        if rule.spec.traffic_policy is not None and other.spec.traffic_policy is not None:
            problem = f"{said} a trafficPolicy for the host: this one is not heeded"
            yield object_warning(rule.key, problem, field="spec.trafficPolicy")
        for subset in other.spec.subsets:
            if subset.name in names:
                problem = f'{said} the subset "{subset.name}" of the host: this one is not heeded'
                yield object_warning(
                    rule.key, problem, field=f"spec.subsets[{names.index(subset.name)}]"
                )


def entries_of_others(snapshot: MeshSnapshot) -> Iterator[Diagnostic]:
    """Yield the ServiceEntries with hosts that another object of their namespace declares."""
    for entry in objects_of(ServiceEntry, snapshot.objects):
        namespace = entry.metadata.namespace
        for place, host in enumerate(entry.spec.hosts):
            service = snapshot.services.by_key.get(ServiceKey(host, namespace))
            if service is None or entry.key in (service.source, *service.also):
                continue
            yield object_warning(
                entry.key,
                f"{host} is that of {service.source.kind} {namespace}/{service.source.name}, which "
                "comes first: the ports and endpoints of this one are not used for it",
                field=f"spec.hosts[{place}]",
            )


def sidecars_of_others(snapshot: MeshSnapshot) -> Iterator[Diagnostic]:
    """Yield the Sidecars for all workloads of a namespace that has an older such Sidecar."""
    for sidecars in snapshot.sidecars.values():
        general = [each for each in sidecars if not each.spec.workload_selector]
        for each in general[1:]:
            yield object_warning(
                each.key,
                f"Sidecar {_name(general[0])}, which comes first, is for all workloads of the "
                "namespace: this one is for none",
                code=SEVERAL_SIDECARS,
                hint="give it a workloadSelector, or make one of the two",
            )


def policies_of_whole_namespaces(snapshot: MeshSnapshot) -> Iterator[Diagnostic]:
    """Yield the policies for all workloads of a namespace that has an older one of their kind."""
    for kind, code in ((PeerAuthentication, ""), (Telemetry, SEVERAL_TELEMETRIES)):
        for policies in snapshot.objects.get(kind, {}).values():
            for key, first in overruled(policies.values()).items():
                yield object_warning(
                    key,
                    f"{key.kind} {_name(first)}, which comes first, is for all workloads too: "
                    "nothing of this one is in force",
                    code=code,
                    hint="give it a selector, or put both into one object",
                )


def _name(resource: Resource) -> str:
    return f"{resource.metadata.namespace}/{resource.metadata.name}"
