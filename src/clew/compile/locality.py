"""Which endpoints are preferred: near ones first, and how traffic is spread over localities."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from clew.compile.preference import HOSTNAME, NETWORK, REGION, SUBZONE, ZONE, Preference
from clew.model.destination_rule import LocalityDistribute, LocalityFailover
from clew.model.service import Endpoint, Locality


@dataclass(frozen=True, slots=True)
class Client:
    """Where the proxy is that will connect."""

    locality: Locality
    network: str
    labels: tuple[tuple[str, str], ...]
    node: str = ""


@dataclass(frozen=True, slots=True)
class Group:
    """Endpoints of one locality and priority. ``weight``: relative to the others' of a priority."""

    locality: Locality
    priority: int
    weight: int
    endpoints: tuple[Endpoint, ...]


def group_endpoints(
    endpoints: Sequence[Endpoint],
    client: Client,
    preferred: Preference | None,
    *,
    fails_over: bool,
) -> tuple[Group, ...]:
    """Group by locality, then order by preference.

    ``fails_over``: endpoints that fail are noticed, without which a lower priority would never
    be used.
    Source: istio ``ApplyLocalityLoadBalancer``.
    """
    if preferred is None:
        return _by_priority(endpoints, {})
    if preferred.distribute:
        return _distributed(_by_priority(endpoints, {}), client, preferred.distribute)
    if not (fails_over or preferred.forced):
        return _by_priority(endpoints, {})
    return _by_priority(endpoints, _ranks(endpoints, client, preferred))


def _ranks(
    endpoints: Sequence[Endpoint], client: Client, preferred: Preference
) -> Mapping[int, int]:
    """By labels, where they are given, then by distance unless it was not asked for as well."""
    by_labels: Mapping[int, int] = {}
    if preferred.failover_priority:
        by_labels = _label_priorities(endpoints, client, preferred.failover_priority)
        if not preferred.failover and not preferred.by_region:
            return by_labels
    near = _locality_priorities(endpoints, client, preferred)
    return {i: by_labels.get(i, 0) * 5 + distance for i, distance in near.items()}


def _by_priority(endpoints: Sequence[Endpoint], ranks: Mapping[int, int]) -> tuple[Group, ...]:
    """Ranks become priorities without gaps, as Envoy requires."""
    used = sorted({ranks.get(i, 0) for i in range(len(endpoints))})
    priorities = {rank: priority for priority, rank in enumerate(used)}
    groups: dict[tuple[int, Locality], list[Endpoint]] = {}
    for index, endpoint in enumerate(endpoints):
        key = (priorities[ranks.get(index, 0)], endpoint.workload.locality)
        groups.setdefault(key, []).append(endpoint)
    return tuple(
        Group(locality, priority, sum(max(e.weight, 1) for e in members), tuple(members))
        for (priority, locality), members in sorted(groups.items())
    )


def _locality_priorities(
    endpoints: Sequence[Endpoint], client: Client, preferred: Preference
) -> dict[int, int]:
    """0: same subzone, 1: same zone, 2: same region, 3: elsewhere, 4: not where we fail over to."""
    target = _target(preferred.failover, client.locality.region)
    nearest = 2 if preferred.by_region else 0
    return {
        index: max(nearest, _distance(client.locality, endpoint.workload.locality, target))
        for index, endpoint in enumerate(endpoints)
    }


def _target(failover: Iterable[LocalityFailover], region: str) -> str | None:
    return next((rule.to for rule in failover if rule.from_ == region), None)


def _distance(ours: Locality, theirs: Locality, target: str | None) -> int:
    if ours.region != theirs.region:
        return 3 if target is None or theirs.region == target else 4
    if ours.zone != theirs.zone:
        return 2
    return 0 if ours.subzone == theirs.subzone else 1


def _label_priorities(
    endpoints: Sequence[Endpoint], client: Client, keys: Sequence[str]
) -> dict[int, int]:
    """The more of the leading labels agree, the better. ``label=value`` states our own value."""
    own = _topology(client.labels, client.locality, client.network, client.node)
    wanted = []
    for key in keys:
        name, stated, value = key.partition("=")
        wanted.append((name, value if stated else own.get(name, "")))
    ranks = {}
    for index, endpoint in enumerate(endpoints):
        workload = endpoint.workload
        labels = _topology(workload.labels, workload.locality, workload.network, workload.node)
        agreeing = 0
        for name, value in wanted:
            if labels.get(name, "") != value:
                break
            agreeing += 1
        ranks[index] = len(wanted) - agreeing
    return ranks


def _topology(
    labels: Iterable[tuple[str, str]], locality: Locality, network: str, node: str
) -> dict[str, str]:
    known = {
        REGION: locality.region,
        ZONE: locality.zone,
        SUBZONE: locality.subzone,
        NETWORK: network,
        HOSTNAME: node,
    }
    return dict(labels) | {name: value for name, value in known.items() if value}


def _distributed(
    groups: Sequence[Group], client: Client, distribute: Iterable[LocalityDistribute]
) -> tuple[Group, ...]:
    """Give localities the shares that are declared for ours; those not named get nothing."""
    rule = next((r for r in distribute if _covers(r.from_, client.locality)), None)
    if rule is None:
        return tuple(groups)
    weights: dict[int, int] = {}
    for pattern, share in rule.to.items():
        members = [i for i, g in enumerate(groups) if _covers(pattern, g.locality)]
        total = sum(groups[i].weight for i in members)
        for i in members:
            weights[i] = math.ceil(groups[i].weight * share / total)
    return tuple(
        Group(group.locality, 0, weights[index], group.endpoints)
        for index, group in enumerate(groups)
        if weights.get(index)
    )


def _covers(pattern: str, locality: Locality) -> bool:
    """``us-east/*`` and ``us-east`` cover all of the region."""
    parts = pattern.rstrip("*").rstrip("/").split("/") if pattern not in ("", "*") else []
    return tuple(parts) == tuple(locality)[: len(parts)]
