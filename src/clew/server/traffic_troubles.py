"""What is wrong by what traffic shows now, each with the object or service that leads to its cause.

Source: Envoy's response flags say why a request failed before an application answered it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache, partial

from msgspec.structs import replace

from clew.api.messages import Key, key_message
from clew.api.views import Trouble, TroubleSeverity
from clew.model.metrics import SOURCE
from clew.model.proxy import Proxy, ProxyType
from clew.model.response_flags import FLAGS, Cause
from clew.model.service import Service
from clew.server.denials import Denier
from clew.server.policy_views import policy_views
from clew.server.service_views import find_service, service_summary
from clew.server.traffic_counts import REQUESTS, Counts, add, codes, flags, server_errors
from clew.server.traffic_views import source_id
from clew.server.traffic_window import OTHER, Edge
from clew.snapshot.references import unknown_destinations
from clew.snapshot.snapshot import MeshSnapshot

# Failures of applications count from here on; single ones happen.
_MANY, _SHARE = 3, 0.05
_UNAUTHENTICATED, _FORBIDDEN = 401, 403

# Other flags come with one of these, or are no trouble.
_SEVERITIES: Mapping[str, TroubleSeverity] = {
    **dict.fromkeys(("UH", "UF", "UC", "NR", "NC", "UO", "UT", "UAEX", "DF"), "error"),
    **dict.fromkeys(("DC", "FI", "RL"), "warning"),
}

# The kind of the objects that may be to blame.
_KINDS: Mapping[Cause, str] = {
    Cause.ROUTE: "VirtualService",
    Cause.UPSTREAM: "DestinationRule",
    Cause.DENIAL: "AuthorizationPolicy",
    Cause.AUTHORIZER: "AuthorizationPolicy",
}


# Which policy of a proxy answers 401 or 403 to calls of a workload (namespace first) for a service.
DeniedBy = Callable[[int, Proxy, Service | None, tuple[str, str]], Denier | None]


def traffic_troubles(
    sums: Iterable[tuple[Edge, Counts]],
    denying: Mapping[tuple[str, str], Proxy],
    snapshot: MeshSnapshot,
    denied_by: DeniedBy,
    proxy_of: Callable[[tuple[str, str]], Proxy | None] = lambda workload: None,
) -> Iterator[Trouble]:
    """The troubles of what has been counted just now.

    ``denying``: a proxy of each workload whose policies refused calls, namespace first.
    ``proxy_of``: one of any workload. It is named where neither an object nor a service is.
    """
    lost = cache(partial(_lost, snapshot))
    for (caller, _), edges in sorted(_together(sums).items()):
        called = sum(counts.get(REQUESTS, 0) for _, counts in edges)
        for edge, counts in edges:
            # What went nowhere has an edge of its own, though the others were no different.
            total = counts.get(REQUESTS, 0) if edge.destination else called
            for trouble in _by_flag(edge, counts, total, caller, snapshot, lost):
                placed = trouble.object is not None or trouble.service
                proxy = None if placed else proxy_of(edge.counted_by)
                yield trouble if proxy is None else replace(trouble, proxy=proxy.node_id)
            if (proxy := denying.get(edge.counted_by)) is not None:
                yield from _denied(edge, counts, caller, proxy, snapshot, denied_by)
            yield from _failed(edge, counts, caller, snapshot)


def _together(
    sums: Iterable[tuple[Edge, Counts]],
) -> dict[tuple[str, str], list[tuple[Edge, Counts]]]:
    """Edges by caller and service; those of one destination are one."""
    merged: dict[tuple[str, str, str], tuple[Edge, Counts]] = {}
    for edge, counts in sums:
        if edge is not OTHER:
            key = (source_id(edge), f"{edge.service_namespace}/{edge.service}", edge.destination)
            add(merged.setdefault(key, (edge, {}))[1], counts)
    found: dict[tuple[str, str], list[tuple[Edge, Counts]]] = {}
    for (caller, service, _), each in sorted(merged.items()):
        found.setdefault((caller, service), []).append(each)
    return found


def _lost(snapshot: MeshSnapshot) -> tuple[Key | None, str]:
    """The object with a route to what does not exist, and the field, if it is the only one."""
    places = {(f.place.resource, f.place.field) for f in unknown_destinations(snapshot)}
    objects = {resource for resource, _ in places}
    if len(objects) != 1 or None in objects:
        return None, ""
    ((resource, field), *others) = places
    return key_message(resource) if resource is not None else None, "" if others else field


def _by_flag(
    edge: Edge,
    counts: Counts,
    total: int,
    caller: str,
    snapshot: MeshSnapshot,
    lost: Callable[[], tuple[Key | None, str]],
) -> Iterator[Trouble]:
    for flag, number in flags(counts).items():
        if (severity := _SEVERITIES.get(flag)) is not None:
            meaning = FLAGS[flag]
            # Envoy does not say where it should have gone.
            blamed, field = (
                lost() if flag == "NC" else (_cause(edge, snapshot, *meaning.causes), "")
            )
            yield Trouble(
                severity=severity,
                problem=f"{_requests(number, total)} of {_who(caller)}{_target(edge)} "
                f"{meaning.says_of_several} ({flag})",
                hint=meaning.hint[:1].upper() + meaning.hint[1:],
                object=blamed,
                field=field,
                service=_service(edge, snapshot),
            )


def _denied(
    edge: Edge,
    counts: Counts,
    caller: str,
    proxy: Proxy,
    snapshot: MeshSnapshot,
    denied_by: DeniedBy,
) -> Iterator[Trouble]:
    """Calls that policies refused; applications may answer 403, too, and others for a sidecar."""
    at_gateway = proxy.type is ProxyType.ROUTER
    if edge.reporter == SOURCE and not at_gateway:
        return
    service, by = (None, "") if at_gateway else (_find(edge, snapshot), f" of {_who(caller)}")
    namespace, workload = edge.counted_by
    for code in (_UNAUTHENTICATED, _FORBIDDEN):
        number = codes(counts).get(code, 0)
        found = denied_by(code, proxy, service, edge[:2] if by else ("", "")) if number else None
        if found is not None:
            requests = f"{_requests(number, counts.get(REQUESTS, 0))}{by}"
            yield Trouble(
                severity="warning",
                problem=f"{workload}.{namespace} denied {requests}: {found.says}",
                object=found.key,
                field=found.field,
                service=_service(edge, snapshot),
                proxy=proxy.node_id if service is None and found.key is None else "",
            )


def _failed(edge: Edge, counts: Counts, caller: str, snapshot: MeshSnapshot) -> Iterator[Trouble]:
    """What applications answer with 5xx, those without a sidecar and outside the mesh included."""
    total, flagged = counts.get(REQUESTS, 0), sum(flags(counts).values())
    failed = server_errors(counts) - flagged
    name = f"{edge.destination}.{edge.destination_namespace}" if edge.destination else edge.service
    if name and failed >= _MANY and failed >= _SHARE * total:
        yield Trouble(
            severity="error",
            problem=f"{name} answered {_requests(failed, total)} of {_who(caller)} with 5xx",
            hint=f"What it wrote: clew logs {edge.destination}" if edge.destination else "",
            service=_service(edge, snapshot),
        )


def _target(edge: Edge) -> str:
    return f" to {edge.service}" if edge.service else ""


def _requests(number: int, total: int) -> str:
    """``3 of 40 requests``."""
    return f"all {total} requests" if number == total > 1 else f"{number} of {total} requests"


def _who(caller: str) -> str:
    kind, _, rest = caller.partition("/")
    namespace, _, name = rest.partition("/")
    return f"{name}.{namespace}" if kind == "workload" else "callers outside the mesh"


def _service(edge: Edge, snapshot: MeshSnapshot) -> str:
    """``namespace/host``, "" if there is no such service."""
    found = _find(edge, snapshot)
    return f"{found.namespace}/{found.hostname}" if found is not None else ""


def _find(edge: Edge, snapshot: MeshSnapshot) -> Service | None:
    return find_service(snapshot, edge.service_namespace, edge.service)


def _cause(edge: Edge, snapshot: MeshSnapshot, *causes: Cause) -> Key | None:
    """The object that has a say in requests of this edge, if it is the only one of its kind."""
    service = _find(edge, snapshot)
    if service is None:
        return None
    for cause in causes:
        if cause is Cause.ROUTE:
            found: Sequence[Key] = service_summary(snapshot, service).rules
        else:
            found = [each.key for each in policy_views(snapshot, service, edge.source_namespace)]
        named = [key for key in found if key.kind == _KINDS[cause]]
        if len(named) == 1:
            return named[0]
    return None
