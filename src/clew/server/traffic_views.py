"""Traffic as the API tells of it: nodes, edges and charts made of counts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from clew.api.traffic import (
    Latency,
    NodeKind,
    Series,
    SeriesPoint,
    Traffic,
    TrafficEdge,
    TrafficNode,
)
from clew.model.histogram import percentiles
from clew.server.traffic_counts import (
    CLOSED,
    MUTUAL_TLS,
    OPENED,
    PLAIN,
    RECEIVED,
    REQUEST_BYTES,
    REQUESTS,
    RESPONSE_BYTES,
    SENT,
    Counts,
    add,
    codes,
    durations,
    flags,
    server_errors,
)
from clew.server.traffic_window import OTHER, Edge

_FORBIDDEN = 403
UNKNOWN_NODE, OTHER_NODE = "unknown", "other"
MOST_SERIES = 20
_NOTHING = Traffic()


def workload_id(namespace: str, name: str) -> str:
    return f"workload/{namespace}/{name}"


def source_id(edge: Edge) -> str:
    if edge is OTHER:
        return OTHER_NODE
    return workload_id(edge.source_namespace, edge.source) if edge.source else UNKNOWN_NODE


def destination_id(edge: Edge) -> str:
    if edge is OTHER:
        return OTHER_NODE
    named = edge.destination
    return workload_id(edge.destination_namespace, named) if named else ""


def service_id(edge: Edge) -> str:
    return f"service/{edge.service_namespace}/{edge.service}" if edge.service else ""


def is_in(edge: Edge, namespace: str) -> bool:
    return namespace in (edge.source_namespace, edge.service_namespace, edge.destination_namespace)


def traffic(counts: Mapping[int, int], seconds: float) -> Traffic:
    """``seconds``: for how long it was counted."""
    if not counts:
        return _NOTHING
    number, by_code = counts.get(REQUESTS, 0), codes(counts)
    failed = server_errors(counts)
    found = percentiles(durations(counts), (0.5, 0.9, 0.95, 0.99))
    encrypted, plain = counts.get(MUTUAL_TLS, 0), counts.get(PLAIN, 0)
    return Traffic(
        requests=number,
        requests_per_second=number / seconds,
        client_errors=sum(n for code, n in by_code.items() if 400 <= code < 500),
        server_errors=failed,
        error_share=failed / number if number else 0.0,
        denied=by_code.get(_FORBIDDEN, 0),
        codes={str(code): n for code, n in by_code.items()},
        flags=flags(counts),
        latency=Latency(p50=found[0], p90=found[1], p95=found[2], p99=found[3]) if found else None,
        request_bytes=counts.get(REQUEST_BYTES, 0),
        response_bytes=counts.get(RESPONSE_BYTES, 0),
        connections_opened=counts.get(OPENED, 0),
        connections_closed=counts.get(CLOSED, 0),
        sent_bytes=counts.get(SENT, 0),
        received_bytes=counts.get(RECEIVED, 0),
        mutual_tls=encrypted / (encrypted + plain) if encrypted + plain else None,
    )


def edge_view(edge: Edge, counts: Mapping[int, int], seconds: float) -> TrafficEdge:
    return TrafficEdge(
        source=source_id(edge),
        service=service_id(edge),
        destination=destination_id(edge),
        version=edge.destination_version,
        protocol=edge.protocol,
        reporter=edge.reporter,
        traffic=traffic(counts, seconds),
    )


def node_views(sums: Sequence[tuple[Edge, Counts]], seconds: float) -> Iterator[TrafficNode]:
    """The nodes of these edges, by id, with what went in and out."""
    inbound: dict[str, Counts] = {}
    outbound: dict[str, Counts] = {}
    named: dict[str, tuple[NodeKind, str, str, str, str]] = {}
    for edge, counts in sums:
        for name, kind, *facts in _ends(edge):
            named[name] = (kind, facts[0], facts[1], facts[2], facts[3])
        add(outbound.setdefault(source_id(edge), {}), counts)
        for name in filter(None, (service_id(edge), destination_id(edge))):
            add(inbound.setdefault(name, {}), counts)
    for name, (kind, namespace, title, version, service) in sorted(named.items()):
        yield TrafficNode(
            id=name,
            kind=kind,
            namespace=namespace,
            name=title,
            version=version,
            service=service,
            inbound=traffic(inbound.get(name, {}), seconds),
            outbound=traffic(outbound.get(name, {}), seconds),
        )


def _ends(edge: Edge) -> Iterator[tuple[str, NodeKind, str, str, str, str]]:
    """Yield id, kind, namespace, name, version and service of each node."""
    if edge is OTHER:
        yield OTHER_NODE, "other", "", "", "", ""
        return
    source = source_id(edge)
    if edge.source:
        facts = (edge.source_namespace, edge.source, edge.source_version, edge.source_service)
        yield source, "workload", *facts
    else:
        yield source, "unknown", "", "", "", ""
    if edge.service:
        yield service_id(edge), "service", edge.service_namespace, edge.service, "", ""
    if edge.destination:
        yield (
            *(destination_id(edge), "workload", edge.destination_namespace, edge.destination),
            *(edge.destination_version, edge.destination_service),
        )


GROUPS = {
    "": lambda edge: "",
    "version": lambda edge: edge.destination_version,
    "source": source_id,
    "destination": destination_id,
    "service": service_id,
}


def series_views(
    found: Mapping[str, Mapping[int, Counts]], starts: Sequence[float], seconds: float
) -> Iterator[Series]:
    """The busiest, of counts by name and number of the step. ``starts``: when each begins."""
    busiest = sorted(found.items(), key=lambda each: (-_requests(each[1].values()), each[0]))
    for name, by_step in busiest[:MOST_SERIES]:
        points = (
            _point(by_step.get(number, {}), start, seconds) for number, start in enumerate(starts)
        )
        yield Series(name=name, points=tuple(points))


def _requests(steps: Iterable[Counts]) -> int:
    return sum(counts.get(REQUESTS, 0) + counts.get(OPENED, 0) for counts in steps)


def _point(counts: Counts, start: float, seconds: float) -> SeriesPoint:
    found = percentiles(durations(counts), (0.5, 0.9, 0.99)) or (None, None, None)
    by_code = codes(counts)
    return SeriesPoint(
        at=start,
        requests=counts.get(REQUESTS, 0) / seconds,
        client_errors=sum(n for code, n in by_code.items() if 400 <= code < 500) / seconds,
        server_errors=server_errors(counts) / seconds,
        p50=found[0],
        p90=found[1],
        p99=found[2],
        request_bytes=counts.get(REQUEST_BYTES, 0) / seconds,
        response_bytes=counts.get(RESPONSE_BYTES, 0) / seconds,
        connections=counts.get(OPENED, 0) / seconds,
        tcp_bytes=(counts.get(SENT, 0) + counts.get(RECEIVED, 0)) / seconds,
    )
