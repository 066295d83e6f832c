"""Which replicas start and which stop next, so that a workload never serves with too few."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from clew.local.workloads import Workload, replica_name


@dataclass(frozen=True, slots=True, kw_only=True)
class Replica:
    """One that runs, or is about to. One that is stopping already is none."""

    name: str
    version: str
    ready: bool


@dataclass(frozen=True, slots=True)
class Plan:
    start: tuple[str, ...] = ()
    stop: tuple[str, ...] = ()


def plan_rollout(workload: Workload, replicas: Iterable[Replica], stopping: Iterable[str]) -> Plan:
    """Return the next steps towards the wanted replicas of the wanted version.

    A new replica must be ready before an old one stops; at most a quarter more than wanted, and at
    least one more, run meanwhile. ``stopping``: names that are not free yet.

    Source: Kubernetes' RollingUpdate with its defaults; a StatefulSet replaces in place.
    """
    running = tuple(replicas)
    if workload.owner.kind == "Deployment":
        return _plan_surge(workload, running, frozenset(stopping))
    return _plan_in_place(workload, running, frozenset(stopping))


def _plan_surge(workload: Workload, running: tuple[Replica, ...], stopping: frozenset[str]) -> Plan:
    wanted = workload.replicas
    current = [r for r in running if r.version == workload.version]
    old = [r for r in running if r.version != workload.version]
    ready = sum(r.ready for r in current)
    # Those that do not serve anyway, first.
    expendable = [r for r in old if not r.ready] + [r for r in old if r.ready]
    kept_old = max(wanted - min(ready, wanted), 0)
    stop = expendable[: max(len(old) - kept_old, 0)]
    surplus = sorted(current, key=lambda r: (r.ready, r.name))[: max(len(current) - wanted, 0)]
    surge = max(-(-wanted // 4), 1) if old else 0
    room = wanted + surge - (len(running) - len(stop) - len(surplus))
    missing = min(wanted - len(current), room)
    return Plan(
        start=_new_names(workload, missing, {r.name for r in running} | stopping),
        stop=tuple(r.name for r in (*stop, *surplus)),
    )


def _new_names(workload: Workload, count: int, taken: set[str] | frozenset[str]) -> tuple[str, ...]:
    names: list[str] = []
    ordinal = 0
    while len(names) < count:
        name = replica_name(workload, ordinal)
        if name not in taken:
            names.append(name)
        ordinal += 1
    return tuple(names)


def _plan_in_place(
    workload: Workload, running: tuple[Replica, ...], stopping: frozenset[str]
) -> Plan:
    """The names last, so one must have gone before its successor comes; one at a time."""
    wanted = tuple(replica_name(workload, ordinal) for ordinal in range(workload.replicas))
    known = {r.name for r in running}
    surplus = tuple(r.name for r in running if r.name not in wanted)
    missing = tuple(n for n in wanted if n not in known and n not in stopping)
    outdated = [r for r in running if r.name in wanted and r.version != workload.version]
    others_serve = all(r.ready for r in running if r not in outdated)
    if outdated and others_serve and not missing and not stopping:
        return Plan(stop=(*surplus, max(r.name for r in outdated)))
    return Plan(start=missing, stop=surplus)
