"""What is wrong by what traffic shows now, each with the object or service that leads to its cause.

Source: Envoy's response flags say why a request failed before an application answered it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from clew.api.messages import Key, ProxyStatus
from clew.api.views import Trouble, TroubleSeverity
from clew.model.response_flags import FLAGS, Cause
from clew.server.overview import worst_first
from clew.server.policy_views import policy_views
from clew.server.service_views import find_service, service_summary
from clew.server.traffic_counts import REQUESTS, Counts, add, codes, flags, server_errors
from clew.server.traffic_reports import TrafficReports
from clew.server.traffic_views import source_id
from clew.server.traffic_window import OTHER, Edge
from clew.snapshot.snapshot import MeshSnapshot

# How far back "now" goes: what is over is not wrong any more.
NOW_SECONDS = 15.0
# Failures of applications count from here on; single ones happen.
_MANY, _SHARE = 3, 0.05
_FORBIDDEN = 403

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
    Cause.TOKEN: "RequestAuthentication",
}


def traffic_troubles(
    sums: Iterable[tuple[Edge, Counts]],
    denying: Mapping[tuple[str, str], int],
    snapshot: MeshSnapshot,
) -> Iterator[Trouble]:
    """The troubles of what has been counted just now.

    ``denying``: how many calls each workload's policies refused, namespace first.
    """
    for (caller, _), edges in sorted(_together(sums).items()):
        for edge, counts in edges:
            yield from _by_flag(edge, counts, caller, snapshot)
            yield from _by_code(edge, counts, caller, denying, snapshot)


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


def _by_flag(edge: Edge, counts: Counts, caller: str, snapshot: MeshSnapshot) -> Iterator[Trouble]:
    target = f" to {edge.service}" if edge.service else ""
    for flag, number in flags(counts).items():
        if (severity := _SEVERITIES.get(flag)) is not None:
            meaning = FLAGS[flag]
            yield Trouble(
                severity=severity,
                problem=f"{_requests(number, counts)} of {_who(caller)}{target} "
                f"{meaning.says_of_several} ({flag})",
                hint=meaning.hint[:1].upper() + meaning.hint[1:],
                object=_cause(edge, snapshot, *meaning.causes),
                service=_service(edge, snapshot),
            )


def _by_code(
    edge: Edge,
    counts: Counts,
    caller: str,
    denying: Mapping[tuple[str, str], int],
    snapshot: MeshSnapshot,
) -> Iterator[Trouble]:
    total, flagged = counts.get(REQUESTS, 0), sum(flags(counts).values())
    served = f"{edge.destination}.{edge.destination_namespace}"
    denied = codes(counts).get(_FORBIDDEN, 0)
    if denied and denying.get((edge.destination_namespace, edge.destination)):
        yield Trouble(
            severity="warning",
            problem=f"{served} denied {_requests(denied, counts)} of {_who(caller)}",
            hint=f"Which rule decides: clew authz can {edge.source or 'CALLER'} {edge.service}",
            object=_cause(edge, snapshot, Cause.DENIAL),
            service=_service(edge, snapshot),
        )
    failed = server_errors(counts) - flagged
    if edge.destination and failed >= _MANY and failed >= _SHARE * total:
        yield Trouble(
            severity="error",
            problem=f"{served} answered {_requests(failed, counts)} of {_who(caller)} with 5xx",
            hint=f"What it wrote: clew logs {edge.destination}",
            service=_service(edge, snapshot),
        )


def _requests(number: int, counts: Counts) -> str:
    """``3 of 40 requests``."""
    total = counts.get(REQUESTS, 0)
    return f"{number} of {total} requests" if total != number else f"all {total} requests"


def _who(caller: str) -> str:
    kind, _, rest = caller.partition("/")
    namespace, _, name = rest.partition("/")
    return f"{name}.{namespace}" if kind == "workload" else "callers outside the mesh"


def _service(edge: Edge, snapshot: MeshSnapshot) -> str:
    """``namespace/host``, "" if there is no such service."""
    found = find_service(snapshot, edge.service_namespace, edge.service)
    return f"{found.namespace}/{found.hostname}" if found is not None else ""


def _cause(edge: Edge, snapshot: MeshSnapshot, *causes: Cause) -> Key | None:
    """The object that has a say in requests of this edge, if it is the only one of its kind."""
    service = find_service(snapshot, edge.service_namespace, edge.service)
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


def certificate_troubles(proxies: Iterable[ProxyStatus], now: float) -> Iterator[Trouble]:
    """Certificates of proxies that have ended, or that should have been renewed long ago.

    They are renewed in the second half of their life; the last tenth of it is late.
    """
    for proxy in proxies:
        begins, ends = proxy.certificate_begins, proxy.certificate_ends
        if not ends:
            continue
        hint = f"Why it is not renewed: clew logs {proxy.name} --proxy"
        if now > ends:
            problem = f"the certificate of {proxy.name} has expired: others refuse its connections"
            yield Trouble(severity="error", problem=problem, hint=hint, proxy=proxy.node)
        elif now > ends - (ends - begins) / 10:
            minutes = (ends - now) / 60
            problem = f"the certificate of {proxy.name} expires in {minutes:.0f} minutes"
            yield Trouble(severity="warning", problem=problem, hint=hint, proxy=proxy.node)


Troubles = Callable[[], Iterable[Trouble]]


class TroublesNow:
    """All of these, worked out at most once a second however many look."""

    def __init__(
        self,
        reports: TrafficReports,
        snapshot: Callable[[], MeshSnapshot],
        proxies: Callable[[], Iterable[ProxyStatus]],
    ) -> None:
        self._reports, self._snapshot, self._proxies = reports, snapshot, proxies
        self._found: tuple[Trouble, ...] = ()
        self._at = -math.inf

    def __call__(self) -> tuple[Trouble, ...]:
        now, window = self._reports.now(), self._reports.window
        if now - self._at > 1.0:
            sums = window.sums(window.first_step(now, NOW_SECONDS))
            denying = self._reports.denying(NOW_SECONDS)
            found = (
                *traffic_troubles(sums, denying, self._snapshot()),
                *certificate_troubles(self._proxies(), now),
            )
            self._found, self._at = worst_first(dict.fromkeys(found)), now
        return self._found
