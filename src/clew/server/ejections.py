"""Endpoints that proxies leave alone for a while, as a DestinationRule's outlierDetection says."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from clew.api.messages import Key, key_message
from clew.api.views import Trouble
from clew.model.destination_rule import DestinationRule
from clew.model.metrics import service_of_cluster
from clew.model.service import Service
from clew.server.service_views import find_service
from clew.server.traffic_reports import Reporter
from clew.snapshot.destination_rules import rule_host
from clew.snapshot.hosts import covers
from clew.snapshot.objects import objects_of
from clew.snapshot.snapshot import MeshSnapshot

_MOST_NAMED = 3


def ejections(reporters: Iterable[Reporter], snapshot: MeshSnapshot) -> Iterator[Trouble]:
    """One for each cluster, whoever the callers are."""
    by_cluster: dict[str, dict[str, int]] = {}
    for reporter in reporters:
        caller = f"{reporter.own.peer.workload}.{reporter.own.peer.namespace}"
        for cluster, endpoints in reporter.ejected.items():
            known = by_cluster.setdefault(cluster, {})
            known[caller] = max(endpoints, known.get(caller, 0))
    for cluster, callers in sorted(by_cluster.items()):
        yield _trouble(cluster, callers, snapshot)


def _trouble(cluster: str, callers: Mapping[str, int], snapshot: MeshSnapshot) -> Trouble:
    named = service_of_cluster(cluster)
    subset = cluster.split("|")[2] if cluster.count("|") == 3 else ""
    service = find_service(snapshot, named.namespace, named.host)
    count = max(callers.values())
    what = f"{named.host} {subset}".strip()
    key, field = _rule(snapshot, service, subset) if service is not None else (None, "")
    return Trouble(
        severity="warning",
        problem=f"{_named(sorted(callers))} leave{'s' * (len(callers) == 1)} {count} "
        f"endpoint{'s' * (count != 1)} of {what} alone for a while: too many requests failed there",
        hint="Which rule says so is linked; which workload fails, its service shows",
        object=key,
        field=field,
        service=f"{service.namespace}/{service.hostname}" if service is not None else "",
    )


def _named(callers: Sequence[str]) -> str:
    rest = len(callers) - _MOST_NAMED
    shown = ", ".join(callers[:_MOST_NAMED])
    return f"{shown} and {rest} more" if rest > 0 else shown


def _rule(snapshot: MeshSnapshot, service: Service, subset: str) -> tuple[Key | None, str]:
    """The DestinationRule that has outlierDetection for it, and where."""
    for rule in objects_of(DestinationRule, snapshot.objects):
        if covers(rule_host(rule), service.hostname) and (field := _field(rule, subset)):
            return key_message(rule.key), field
    return None, ""


def _field(rule: DestinationRule, subset: str) -> str:
    levels = [
        (f"spec.subsets[{place}].trafficPolicy", each.traffic_policy)
        for place, each in enumerate(rule.spec.subsets)
        if each.name == subset
    ]
    for where, policy in (*levels, ("spec.trafficPolicy", rule.spec.traffic_policy)):
        if policy is None:
            continue
        if policy.outlier_detection is not None:
            return f"{where}.outlierDetection"
        for place, port in enumerate(policy.port_level_settings):
            if port.outlier_detection is not None:
                return f"{where}.portLevelSettings[{place}].outlierDetection"
    return ""
