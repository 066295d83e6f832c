"""What is wrong in the mesh now, and the numbers beside it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import suppress
from datetime import datetime
from math import inf

from clew.api.messages import (
    Finding,
    Key,
    ObjectStatus,
    ProxyStatus,
    Refusal,
    key_message,
)
from clew.api.views import EVERY_PROXY, Counts, RouteTarget, Trouble
from clew.model.pod import Pod, PodStatus
from clew.model.service import Endpoint, Health, ServiceKey
from clew.model.workload_entry import DISCONNECTED_AT, WorkloadEntry
from clew.server.service_views import dead_subsets
from clew.snapshot.labels import TLS_MODE
from clew.snapshot.objects import objects_of
from clew.snapshot.places import pod_addresses
from clew.snapshot.snapshot import MeshSnapshot

# A program that was started again is told of for so long.
_JUST_NOW_SECONDS = 60.0


def troubles(
    *,
    standings: Iterable[ObjectStatus],
    problems: Iterable[tuple[Finding, Key | None]],
    proxies: Sequence[ProxyStatus],
    refusals: Iterable[Refusal],
    snapshot: MeshSnapshot,
    now: datetime,
) -> tuple[Trouble, ...]:
    """Everything that is wrong, the worst first; each thing is said once.

    ``problems``: each with the object that it is about, if the mesh has it.
    """
    endpoints, pods = snapshot.endpoints, tuple(objects_of(Pod, snapshot.objects))
    dead_hosts = {key.hostname for key in _dead(endpoints)}
    found = dict.fromkeys(
        (
            *_of_objects(standings),
            *_of_proxies(proxies, refusals),
            *_of_services(endpoints),
            *_of_subsets(dead_subsets(snapshot), dead_hosts),
            *_of_pods(pods, now),
            *_unconnected(pods, proxies),
            *_away(objects_of(WorkloadEntry, snapshot.objects)),
            *(_of_problem(problem, key) for problem, key in problems),
        )
    )
    return worst_first(found)


def worst_first(found: Iterable[Trouble]) -> tuple[Trouble, ...]:
    return tuple(sorted(found, key=lambda trouble: trouble.severity != "error"))


def counts(proxies: Sequence[ProxyStatus]) -> Counts:
    states = [
        {status.state for status in proxy.types.values()} for proxy in proxies if proxy.connected
    ]
    rejecting = sum("nacked" in each for each in states)
    pending = sum("pending" in each and "nacked" not in each for each in states)
    return Counts(
        connected=len(states),
        synced=len(states) - rejecting - pending,
        pending=pending,
        rejecting=rejecting,
    )


def _of_objects(standings: Iterable[ObjectStatus]) -> Iterator[Trouble]:
    for each in standings:
        name = str(each.key.resource_key())
        if each.state in ("held", "rejected"):
            yield Trouble(severity="error", problem=f"{name} is {each.summary}", object=each.key)
        for finding in each.findings:
            yield Trouble(
                severity="error" if finding.is_error else "warning",
                problem=f"{name}: {finding.problem}",
                hint=finding.hint,
                object=each.key,
                field=finding.field,
            )


def _of_proxies(proxies: Iterable[ProxyStatus], refusals: Iterable[Refusal]) -> Iterator[Trouble]:
    explained = {(each.proxy, each.resource) for each in refusals if each.object}
    for proxy in proxies:
        if not proxy.connected:
            problem = f"{proxy.name} has no connection to the control plane"
            yield Trouble(severity="error", problem=problem, proxy=proxy.node)
        for kind, status in proxy.types.items():
            unexplained = [n for n in status.resources if (proxy.node, n) not in explained]
            if status.state == "nacked" and unexplained:
                problem = f"{proxy.name} rejects {kind} {', '.join(unexplained)}: {status.error}"
                yield Trouble(severity="error", problem=problem, proxy=proxy.node)


def _of_services(endpoints: Mapping[ServiceKey, Sequence[Endpoint]]) -> Iterator[Trouble]:
    for key in _dead(endpoints):
        count = len({each.address for each in endpoints[key]})
        yield Trouble(
            severity="error",
            problem=f"{key.hostname} has no healthy endpoint (0 of {count}): "
            "requests for it get 503",
            service=f"{key.namespace}/{key.hostname}",
        )


def _dead(endpoints: Mapping[ServiceKey, Sequence[Endpoint]]) -> Iterator[ServiceKey]:
    for key, found in endpoints.items():
        if found and not any(each.health is Health.HEALTHY for each in found):
            yield key


def _of_subsets(
    dead: Iterable[tuple[Key, RouteTarget]], dead_hosts: AbstractSet[str]
) -> Iterator[Trouble]:
    """``dead_hosts``: of whole services, of which more need not be said."""
    for source, target in dead:
        if target.host in dead_hosts:
            continue
        share = "" if target.weight == 100 else f"{target.weight:g} % of "
        yield Trouble(
            severity="error",
            problem=f"{source.resource_key()}: {share}the requests go to subset {target.subset} of "
            f"{target.host}, and it has no healthy endpoint: they get 503",
            object=source,
            field=target.field,
        )


def _of_pods(pods: Iterable[Pod], now: datetime) -> Iterator[Trouble]:
    """Yield the pods that are not ready, and why, and those whose program ended just now."""
    for pod in pods:
        status = pod.status
        ready = [c for c in status.conditions if c.type == "Ready"] if status is not None else []
        if status is None or status.phase == "Succeeded" or not ready:
            continue
        ended, seconds = _last_end(status, now)
        is_ready = ready[0].status == "True"
        if is_ready and seconds > _JUST_NOW_SECONDS:
            continue
        restarts = sum(each.restart_count for each in status.container_statuses)
        why = ready[0].message or ready[0].reason or status.message or status.reason or ended
        again = f", started again {restarts} times" if restarts > 1 else ""
        problem = f"{pod.key} is not ready{f': {why}' if why else ''}{again}"
        if is_ready:
            problem = f"{pod.key}: {ended}{again or ', and was started again'}"
        yield Trouble(
            severity="warning",
            problem=problem,
            hint=f"What it wrote: clew logs {pod.metadata.name}",
            object=key_message(pod.key),
        )


def _last_end(status: PodStatus, now: datetime) -> tuple[str, float]:
    """How the program ended last, "" if it has not, and for how many seconds that is past."""
    for container in status.container_statuses:
        ended = (container.last_state or {}).get("terminated")
        if isinstance(ended, Mapping):
            how = ended.get("message") or f"ended with exit code {ended.get('exitCode')}"
            with suppress(ValueError, TypeError):
                at = datetime.fromisoformat(str(ended.get("finishedAt")).replace("Z", "+00:00"))
                return f"its program {how} at {at:%H:%M:%S}", (now - at).total_seconds()
    return "", inf


def _unconnected(pods: Sequence[Pod], proxies: Iterable[ProxyStatus]) -> Iterator[Trouble]:
    """Yield the pods whose proxy is not connected; together if none of them is."""
    connected = {proxy.address for proxy in proxies if proxy.connected}
    wanted = [pod for pod in pods if pod.metadata.labels.get(TLS_MODE) == "istio" and _runs(pod)]
    missing = [pod for pod in wanted if connected.isdisjoint(pod_addresses(pod))]
    if len(missing) > 1 and len(missing) == len(wanted):
        problem = f"None of the {len(wanted)} proxies is connected to the control plane"
        yield Trouble(severity="error", problem=problem, hint=_MEANWHILE, proxy=EVERY_PROXY)
        return
    for pod in missing:
        problem = f"The proxy of {pod.key} is not connected to the control plane"
        key = key_message(pod.key)
        yield Trouble(severity="error", problem=problem, hint=_MEANWHILE, object=key)


def _away(entries: Iterable[WorkloadEntry]) -> Iterator[Trouble]:
    """Yield the hosts that joined by themselves and whose proxy has gone, until all forget them."""
    for entry in entries:
        if since := entry.metadata.annotations.get(DISCONNECTED_AT):
            yield Trouble(
                severity="warning",
                problem=f"The proxy of {entry.key} has gone, at {since}",
                hint="If it stays away, the host is taken out of the mesh",
                object=key_message(entry.key),
            )


_MEANWHILE = "Traffic goes on with the configuration that was there last"


def _runs(pod: Pod) -> bool:
    return pod.status is not None and pod.status.phase == "Running"


def _of_problem(problem: Finding, key: Key | None) -> Trouble:
    return Trouble(
        severity="error" if problem.is_error else "warning",
        problem=problem.text,
        hint=problem.hint,
        object=key,
        field=problem.field if key is not None else "",
    )
