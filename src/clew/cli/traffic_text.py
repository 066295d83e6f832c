"""Traffic in words and numbers, as a table, and as graphs that other programs draw."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from clew.api.traffic import Traffic, TrafficEdge, TrafficGraph, TrafficNode

HEADER = (
    *("FROM", "SERVICE", "TO", "PROTOCOL", "RATE", "ERRORS", "P50", "P90", "P99", "MTLS", "FLAGS"),
)
_OF_THE_MESH = ".svc.cluster.local"


def short(node: str) -> str:
    """``workload/default/reviews-v1`` → ``reviews-v1.default``, and hosts without what is plain."""
    kind, _, rest = node.partition("/")
    namespace, _, name = rest.partition("/")
    if kind == "workload":
        return f"{name}.{namespace}"
    return name.removesuffix(_OF_THE_MESH) if kind == "service" else node or "-"


def rate(traffic: Traffic, seconds: float) -> str:
    """Requests per second, or of TCP connections and bytes."""
    if traffic.requests:
        return f"{traffic.requests_per_second:.1f}/s"
    moved = traffic.sent_bytes + traffic.received_bytes
    return f"{traffic.connections_opened / seconds:.1f} conn/s {size(moved / seconds)}/s"


def size(number: float) -> str:
    for unit in ("B", "kB", "MB"):
        if number < 1000:
            return f"{number:.0f} {unit}"
        number /= 1000
    return f"{number:.1f} GB"


def percent(share: float | None) -> str:
    return "-" if share is None else f"{share * 100:.1f}%"


def milliseconds(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value / 1000:.2f}s" if value >= 1000 else f"{value:.{0 if value >= 10 else 1}f}ms"


def latencies(traffic: Traffic) -> tuple[str, str, str]:
    found = traffic.latency
    values = (found.p50, found.p90, found.p99) if found is not None else (None, None, None)
    p50, p90, p99 = map(milliseconds, values)
    return p50, p90, p99


def edge_rows(graph: TrafficGraph) -> list[Sequence[str]]:
    return [HEADER, *(_edge_row(edge, graph.window) for edge in graph.edges)]


def _edge_row(edge: TrafficEdge, seconds: float) -> Sequence[str]:
    traffic = edge.traffic
    return (
        *(short(edge.source), short(edge.service), short(edge.destination), edge.protocol or "-"),
        rate(traffic, seconds),
        percent(traffic.error_share) if traffic.requests else "-",
        *latencies(traffic),
        percent(traffic.mutual_tls),
        ",".join(f"{flag} {count}" for flag, count in traffic.flags.items()) or "-",
    )


def summary(graph: TrafficGraph) -> str:
    """One line over the table."""
    total = graph.total
    words = [
        f"last {graph.window:.0f} s: {rate(total, graph.window)} over {len(graph.edges)} edges",
        f"errors {percent(total.error_share)}",
        f"mTLS {percent(total.mutual_tls)}",
        f"{graph.proxies} {'proxy reports' if graph.proxies == 1 else 'proxies report'}",
    ]
    return ", ".join(words)


def crowded(graph: TrafficGraph) -> str:
    """What to know when the bounds are reached, else ""."""
    if not graph.crowds:
        return ""
    who = ", ".join(f"{short(crowd.node)} ({crowd.edges})" for crowd in graph.crowds)
    return (
        f"There are more than {graph.most_edges} edges; what came later is counted as one, "
        f'called "other". Most edges are of: {who}'
    )


def _hops(graph: TrafficGraph) -> Iterator[tuple[str, str, TrafficEdge]]:
    """The edges as lines of a drawing: to the workload, else to the service."""
    for edge in graph.edges:
        if target := edge.destination or edge.service:
            yield edge.source, target, edge


def _label(edge: TrafficEdge, seconds: float) -> str:
    parts = [rate(edge.traffic, seconds)]
    if edge.traffic.error_share:
        parts.append(f"{percent(edge.traffic.error_share)} errors")
    if edge.traffic.latency is not None:
        parts.append(f"p99 {milliseconds(edge.traffic.latency.p99)}")
    return ", ".join(parts)


def _boxes(graph: TrafficGraph) -> Mapping[str, list[TrafficNode]]:
    """The nodes that lines lead to, by namespace."""
    drawn = {end for source, target, _ in _hops(graph) for end in (source, target)}
    boxes: dict[str, list[TrafficNode]] = {}
    for node in graph.nodes:
        if node.id in drawn:
            boxes.setdefault(node.namespace, []).append(node)
    return boxes


def _title(node: TrafficNode) -> str:
    return node.name.removesuffix(_OF_THE_MESH) if node.name else node.id


def dot(graph: TrafficGraph) -> str:
    """For Graphviz, namespaces as boxes."""
    return "\n".join(_dot_lines(graph))


def _dot_lines(graph: TrafficGraph) -> Iterator[str]:
    yield "digraph mesh {"
    yield "  rankdir=LR; node [shape=box, style=rounded];"
    for number, (namespace, nodes) in enumerate(sorted(_boxes(graph).items())):
        indent = "  "
        if namespace:
            yield f"  subgraph cluster_{number} {{ label={_quoted(namespace)};"
            indent = "    "
        for node in nodes:
            yield f"{indent}{_quoted(node.id)} [label={_quoted(_title(node))}];"
        if namespace:
            yield "  }"
    for source, target, edge in _hops(graph):
        color = ", color=red" if edge.traffic.server_errors else ""
        label = _quoted(_label(edge, graph.window))
        yield f"  {_quoted(source)} -> {_quoted(target)} [label={label}{color}];"
    yield "}"


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def mermaid(graph: TrafficGraph) -> str:
    """For Mermaid, which GitHub and many editors draw."""
    return "\n".join(_mermaid_lines(graph))


def _mermaid_lines(graph: TrafficGraph) -> Iterator[str]:
    names = _numbers(node.id for nodes in _boxes(graph).values() for node in nodes)
    yield "flowchart LR"
    for number, (namespace, nodes) in enumerate(sorted(_boxes(graph).items())):
        if namespace:
            yield f"  subgraph ns{number} [{_plain(namespace)}]"
        for node in nodes:
            yield f"    {names[node.id]}[{_plain(_title(node))}]"
        if namespace:
            yield "  end"
    for source, target, edge in _hops(graph):
        yield f"  {names[source]} -->|{_plain(_label(edge, graph.window))}| {names[target]}"


def _numbers(ids: Iterable[str]) -> dict[str, str]:
    return {name: f"n{number}" for number, name in enumerate(dict.fromkeys(ids))}


def _plain(text: str) -> str:
    escaped = text.replace("#", "#35;").replace('"', "#quot;")
    return f'"{escaped}"'
