"""What is wrong in the mesh now, and the numbers beside it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet

from clew.api.messages import (
    Finding,
    Key,
    ObjectStatus,
    ProxyStatus,
    Refusal,
    key_message,
)
from clew.api.views import EVERY_PROXY, Counts, RouteTarget, Trouble, TroubleSeverity
from clew.model.pod import Pod
from clew.model.service import Endpoint, Health, ServiceKey
from clew.snapshot.labels import TLS_MODE
from clew.snapshot.places import pod_addresses


def troubles(
    *,
    standings: Iterable[ObjectStatus],
    problems: Iterable[Finding],
    proxies: Sequence[ProxyStatus],
    refusals: Iterable[Refusal],
    endpoints: Mapping[ServiceKey, Sequence[Endpoint]],
    dead_subsets: Iterable[tuple[Key, RouteTarget]],
    pods: Sequence[Pod],
) -> tuple[Trouble, ...]:
    """Everything that is wrong, the worst first; each thing is said once."""
    found = dict.fromkeys(
        (
            *_of_objects(standings),
            *_of_proxies(proxies, refusals),
            *_of_services(endpoints),
            *_of_subsets(dead_subsets, {key.hostname for key in _dead(endpoints)}),
            *_of_pods(pods),
            *_unconnected(pods, proxies),
            *(_of_problem(problem) for problem in problems),
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


def _of_pods(pods: Iterable[Pod]) -> Iterator[Trouble]:
    """Yield the pods that are not ready, and why."""
    for pod in pods:
        status = pod.status
        ready = [c for c in status.conditions if c.type == "Ready"] if status is not None else []
        if status is None or status.phase == "Succeeded" or not ready or ready[0].status == "True":
            continue
        why = ready[0].message or ready[0].reason or status.message or status.reason
        restarts = sum(each.restart_count for each in status.container_statuses)
        yield Trouble(
            severity="warning",
            problem=f"{pod.key} is not ready"
            + (f": {why}" if why else "")
            + (f", started again {restarts} times" if restarts > 1 else ""),
            hint=f"What it wrote: clew logs {pod.metadata.name}",
            object=key_message(pod.key),
        )


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


_MEANWHILE = "Traffic goes on with the configuration that was there last"


def _runs(pod: Pod) -> bool:
    return pod.status is not None and pod.status.phase == "Running"


def _of_problem(problem: Finding) -> Trouble:
    severity: TroubleSeverity = "error" if problem.is_error else "warning"
    return Trouble(severity=severity, problem=problem.text, hint=problem.hint)
