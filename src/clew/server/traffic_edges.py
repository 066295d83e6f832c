"""Which edge a series of a proxy's counts belongs to, and whether it counts there.

Both sides of a call count it. That of the destination is taken, as it knows who really called,
and that of the source for what leaves the mesh or never reached the other side's proxy. Of TCP
the destination knows no workload that calls, so there the source's is taken, unless nobody there
has a proxy. How long a call took, the source says: it has waited for the network, for retries and
for delays that were injected, too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from clew.api.traffic_report import Counted
from clew.model.metrics import (
    ABSENT,
    DESTINATION,
    NOBODY,
    SEPARATOR,
    SOURCE,
    UNKNOWN,
    Own,
    Peer,
    ServiceName,
    namespace_of,
    service_of_cluster,
    service_of_port,
)
from clew.server.traffic_counts import (
    CLOSED,
    OPENED,
    RECEIVED,
    REQUEST_BYTES,
    RESPONSE_BYTES,
    SENT,
    Counts,
    requests,
    security,
)
from clew.server.traffic_window import Edge

# Flags of requests that the destination's proxy has not seen, as far as the source can tell. A
# connection that broke (UC) may have been to a proxy that was killed, which says nothing any more.
_NEVER_ARRIVED = frozenset(
    ("UH", "UF", "UC", "UO", "NR", "NC", "FI", "RL", "RLSE", "UAEX", "DPE", "DF", "DO", "OM")
)
# Source: google.rpc.Code, "HTTP Mapping".
_HTTP_CODES = {
    **{1: 499, 2: 500, 3: 400, 4: 504, 5: 404, 6: 409, 7: 403, 8: 429, 9: 400, 10: 409, 11: 400},
    **{12: 501, 13: 500, 14: 503, 15: 500, 16: 401},
}
_HTTP, _GRPC, _TCP = "http", "grpc", "tcp"


@dataclass(frozen=True, slots=True)
class Series:
    """What the value of `clew.model.metrics.PEER_TAG` says, but for the response code.

    ``status``: gRPC's, None of other requests. ``also``: the workload (namespace, name) whose
    proxy, if it has one, counts the same, as calls of the edge ``there``. The security of what
    nobody received is not known: then ``encrypted`` is None.
    """

    edge: Edge
    flags: str
    status: int | None
    encrypted: bool | None
    also: tuple[str, str] | None
    there: Edge

    def counts(self, counted: Counted) -> Counts:
        """All but durations."""
        found = requests(self._by_code(counted.requests), self.flags, self.encrypted)
        if counted.request_bytes:
            found[REQUEST_BYTES] = counted.request_bytes
        if counted.response_bytes:
            found[RESPONSE_BYTES] = counted.response_bytes
        return found | self._connections(counted) if counted.is_tcp else found

    def _connections(self, counted: Counted) -> Counts:
        sums = {
            OPENED: counted.opened,
            CLOSED: counted.closed,
            SENT: counted.sent,
            RECEIVED: counted.received,
        }
        # As a connection opens, a client does not know yet whether the server proves who it is.
        found = security(counted.closed, self.encrypted) | sums
        return {key: number for key, number in found.items() if number}

    def _by_code(self, counted: Mapping[int, int]) -> Mapping[int, int]:
        """Requests of gRPC, which fails with HTTP's 200, by the code that the status maps to."""
        code = _HTTP_CODES.get(self.status, 200) if self.status else 200
        if code == 200 or 200 not in counted:
            return counted
        rest = {each: number for each, number in counted.items() if each != 200}
        return rest | {code: rest.get(code, 0) + counted[200]}


def series_of(own: Own, tag: str, *, tcp: bool) -> Series | None:
    """What a proxy counted under this value; None if it is to be counted elsewhere, or nonsense."""
    parts = tag.split(SEPARATOR, 6)
    if len(parts) != 7 or parts[0] not in (SOURCE, DESTINATION):
        return None
    reporter, workload, service, _, flags, grpc, principal = parts
    encrypted = principal not in ("", ABSENT)
    other = Peer.decode(workload)
    if reporter == DESTINATION:
        if tcp and encrypted:
            return None
        caller, served, wanted = other, own.peer, service_of_port(service)
        also = None
    else:
        caller, served, wanted = own.peer, other, service_of_cluster(service)
        arrived = _NEVER_ARRIVED.isdisjoint(flags.split(","))
        also = (served.namespace, served.workload) if served is not NOBODY and arrived else None
        if tcp:
            also = None
    status = int(grpc) if grpc.isdecimal() else None
    edge = _edge(
        caller,
        served,
        wanted,
        protocol=_TCP if tcp else _HTTP if status is None else _GRPC,
        reporter=reporter,
        caller_namespace=namespace_of(principal) if reporter == DESTINATION else "",
    )
    unknown = reporter == SOURCE and served is NOBODY
    there = edge._replace(reporter=DESTINATION)
    return Series(edge, flags, status, None if unknown else encrypted, also, there)


def _edge(
    caller: Peer,
    served: Peer,
    wanted: ServiceName,
    *,
    protocol: str,
    reporter: str,
    caller_namespace: str,
) -> Edge:
    host = wanted.host if wanted.host != UNKNOWN else wanted.name
    return Edge(
        source_namespace=caller.namespace or caller_namespace,
        source=caller.workload,
        source_version=caller.canonical_revision,
        source_service=caller.canonical_service,
        service_namespace="" if wanted.namespace == UNKNOWN else wanted.namespace,
        service="" if host == UNKNOWN else host,
        destination_namespace=served.namespace,
        destination=served.workload,
        destination_version=served.canonical_revision,
        destination_service=served.canonical_service,
        protocol=protocol,
        reporter=reporter,
    )
