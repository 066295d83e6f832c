"""Endpoints that proxies leave alone for a while, as an outlierDetection says."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache, partial
from typing import NamedTuple

from clew.api.messages import Key, key_message
from clew.api.views import Trouble
from clew.compile.traffic_policy import declared_policy, policy_for
from clew.model.destination_rule import DestinationRule, OutlierDetection, TrafficPolicy
from clew.server.traffic_reports import Reporter
from clew.snapshot.destination_rules import destination_rule_for, merged_in
from clew.snapshot.objects import objects_of
from clew.snapshot.snapshot import MeshSnapshot

_MOST_NAMED = 3

# As ``names.outbound_cluster`` writes it. A mesh's own pattern for the names in statistics may give
# others, of which nothing more is known.
_CLUSTER = re.compile(r"outbound\|(\d+)\|([^|]*)\|([^|]+)")


class _Setting(NamedTuple):
    """What is in force for a cluster, ``what`` in words, and where that is said.

    ``service`` is ``namespace/host``.
    """

    cluster: str
    what: str
    service: str = ""
    says: str = ""
    key: Key | None = None
    field: str = ""


def ejections(reporters: Iterable[Reporter], snapshot: MeshSnapshot) -> Iterator[Trouble]:
    """One for each cluster and setting: callers of other namespaces may have another rule."""
    setting_of = cache(partial(_setting, snapshot))
    found: dict[_Setting, dict[str, int]] = {}
    for reporter in reporters:
        proxy, peer = reporter.proxy, reporter.own.peer
        caller = f"{peer.workload}.{peer.namespace}"
        for cluster, endpoints in reporter.ejected.items():
            setting = setting_of(cluster, proxy.namespace, proxy.labels)
            known = found.setdefault(setting, {})
            known[caller] = max(endpoints, known.get(caller, 0))
    for setting in sorted(found, key=lambda each: (each.cluster, str(each.key), each.field)):
        yield _trouble(setting, found[setting])


def _trouble(setting: _Setting, callers: Mapping[str, int]) -> Trouble:
    count = max(callers.values())
    return Trouble(
        severity="warning",
        problem=f"{_named(sorted(callers))} leave{'s' * (len(callers) == 1)} {count} "
        f"endpoint{'s' * (count != 1)} of {setting.what} alone for a while: "
        "too many requests failed there",
        hint=f"{setting.says}Which workload fails, its service shows",
        object=setting.key,
        field=setting.field,
        service=setting.service,
    )


def _named(callers: Sequence[str]) -> str:
    rest = len(callers) - _MOST_NAMED
    shown = ", ".join(callers[:_MOST_NAMED])
    return f"{shown} and {rest} more" if rest > 0 else shown


def _setting(
    snapshot: MeshSnapshot, cluster: str, namespace: str, labels: tuple[tuple[str, str], ...]
) -> _Setting:
    """What is in force for the cluster at proxies of a namespace with these labels."""
    parts = _CLUSTER.fullmatch(cluster)
    if parts is None:
        return _Setting(cluster, cluster)
    port, subset, host = int(parts[1]), parts[2], parts[3]
    what = f"{host} {subset}".strip()
    service = snapshot.services.at(host, namespace)
    if service is None:
        return _Setting(cluster, what)
    rules, mesh = snapshot.destination_rules, snapshot.mesh
    rule = destination_rule_for(service, namespace, dict(labels), rules, mesh)
    key, field = _written(snapshot, rule, port, subset) if rule is not None else (None, "")
    says = ""
    if key is not None:
        says = "The rule that says so is linked. "
    elif policy_for(rule, port, subset, mesh).outlier_detection is not None:
        says = "MeshConfig's defaultTrafficPolicy says so. "
    return _Setting(cluster, what, f"{service.namespace}/{service.hostname}", says, key, field)


def _written(
    snapshot: MeshSnapshot, rule: DestinationRule, port: int, subset: str
) -> tuple[Key | None, str]:
    """Where what the rule in force says is written; the rule may be merged from several."""
    declared = declared_policy(rule, port, subset).outlier_detection
    if declared is not None:
        written = merged_in(rule, objects_of(DestinationRule, snapshot.objects))
        for source, field, said in _places(written, port, subset):
            if said == declared:
                return key_message(source.key), field
    return None, ""


def _places(
    rules: Sequence[DestinationRule], port: int, subset: str
) -> Iterator[tuple[DestinationRule, str, OutlierDetection | None]]:
    """Where something may be said for a port and subset, and what is, in order of precedence."""
    for rule in rules:
        for place, each in enumerate(rule.spec.subsets):
            if subset and each.name == subset:
                for field, said in _within(each.traffic_policy, port):
                    yield rule, f"spec.subsets[{place}].{field}", said
    for rule in rules:
        for field, said in _within(rule.spec.traffic_policy, port):
            yield rule, f"spec.{field}", said


def _within(
    policy: TrafficPolicy | None, port: int
) -> Iterator[tuple[str, OutlierDetection | None]]:
    if policy is None:
        return
    for place, level in enumerate(policy.port_level_settings):
        if level.port is not None and level.port.number == port:
            field = f"trafficPolicy.portLevelSettings[{place}].outlierDetection"
            yield field, level.outlier_detection
    yield "trafficPolicy.outlierDetection", policy.outlier_detection
