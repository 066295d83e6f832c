"""``clew graph`` and ``clew top``: traffic as tables and drawings."""

from __future__ import annotations

import json
from collections.abc import Iterator
from io import StringIO
from pathlib import Path

import msgspec
import pytest
from rich.console import Console

from clew.api.traffic import Crowd, Latency, Traffic, TrafficEdge, TrafficGraph, TrafficNode
from clew.cli.top import busiest, live_table
from clew.cli.traffic_text import crowded, dot, mermaid, milliseconds, rate, size
from tests.cli.mesh import Shell, shell
from tests.server.api_server import server_thread
from tests.server.test_traffic_api import some_traffic

HOST = "reviews.default"


@pytest.fixture
def clew(home: Path) -> Iterator[Shell]:
    with server_thread(home, on_reports=some_traffic):
        yield shell(home)


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.split("   ") if cell.strip()]


def test_the_graph_is_a_table_busiest_first(clew: Shell) -> None:
    first, _, header, busy, *rest = clew.good("graph").splitlines()
    assert "over 5 edges" in first
    assert "errors 9.7%" in first
    assert cells(header)[:6] == ["FROM", "SERVICE", "TO", "PROTOCOL", "RATE", "ERRORS"]
    assert cells(busy)[:4] == ["productpage-v1.default", HOST, "reviews-v1.default", "http"]
    assert cells(busy)[5] == "0.0%"
    assert any("unknown" in line and "100.0%" in line for line in rest)
    assert any("api.example.com" in line for line in rest)


def test_the_graph_of_a_namespace_is_what_touches_it(clew: Shell) -> None:
    found = json.loads(clew.good("graph", "-n", "shop", "-o", "json", "--window", "300"))
    assert [edge["service"] for edge in found["edges"]] == ["service/shop/api.example.com"]


def test_the_graph_can_be_drawn_by_other_programs(clew: Shell) -> None:
    drawn = clew.good("graph", "-o", "dot")
    assert drawn.startswith("digraph mesh {")
    assert drawn.count("{") == drawn.count("}")
    assert '"workload/default/productpage-v1" -> "workload/default/reviews-v1"' in drawn
    assert "color=red" in drawn
    flow = clew.good("graph", "-o", "mermaid").splitlines()
    assert flow[0] == "flowchart LR"
    assert sum(line.strip().startswith("subgraph") for line in flow) == flow.count("  end")
    assert any('["reviews-v2"]' in line for line in flow)


def test_a_mesh_without_traffic_says_so(home: Path) -> None:
    with server_thread(home):
        result = shell(home).clew("graph")
    assert result.exit_code == 0
    assert "No traffic in the last 60 s" in result.stderr


def test_top_lists_what_is_asked_the_busiest_first(clew: Shell) -> None:
    _, _, header, *rows = clew.good("top", "--window", "60").splitlines()
    assert cells(header)[:3] == ["WORKLOAD", "SERVICE", "VERSION"]
    names = [cells(row)[0] for row in rows]
    assert names == ["reviews-v1.default", "reviews-v2.default", "api.example.com"]
    by_errors = clew.good("top", "--window", "60", "--sort", "errors").splitlines()[3:]
    assert cells(by_errors[0])[0] == "reviews-v2.default"
    assert json.loads(clew.good("top", "-o", "json", "--window", "60"))[0]["version"] == "v1"


def graph(*edges: TrafficEdge, nodes: tuple[TrafficNode, ...] = ()) -> TrafficGraph:
    return TrafficGraph(window=60.0, until="", edges=edges, nodes=nodes)


def test_what_fails_is_red_and_rows_end_with_the_screen() -> None:
    nodes = tuple(
        TrafficNode(
            id=f"workload/default/a-workload-that-has-a-long-name-{number}",
            kind="workload",
            inbound=Traffic(
                requests=10 - number,
                server_errors=number,
                requests_per_second=1234.5,
                error_share=1.0,
            ),
        )
        for number in range(9)
    )
    found = live_table(graph(nodes=nodes), "rate", height=7)
    assert found.row_count == 3
    assert [row.style for row in found.rows] == ["", "red", "red"]
    screen = StringIO()
    Console(width=80, file=screen, color_system=None).print(found)
    _, header, *rows = screen.getvalue().splitlines()
    assert header.split() == "WORKLOAD SERVICE VERSION RATE ERRORS P50 P90 P99 MTLS".split()
    assert [row.split()[3:5] for row in rows] == [["1234.5/s", "100.0%"]] * 3, "numbers are whole"
    assert len(busiest(graph(nodes=nodes), "rate")) == 9


def test_names_cannot_break_out_of_drawings() -> None:
    bad = 'workload/a"b\\/c]"d'
    node = TrafficNode(id=bad, kind="workload", namespace='a"b\\', name='c]"d')
    found = graph(TrafficEdge(source=bad, destination=bad), nodes=(node,))
    assert '"workload/a\\"b\\\\/c]\\"d" -> ' in dot(found)
    assert '["c]#quot;d"]' in mermaid(found)


def test_numbers_are_written_for_people() -> None:
    assert [size(n) for n in (0, 999, 1500, 2e6, 3e9)] == [
        "0 B", "999 B", "2 kB", "2 MB", "3.0 GB",
    ]  # fmt: skip
    assert [milliseconds(n) for n in (None, 0.5, 12.3, 1500)] == ["-", "0.5ms", "12ms", "1.50s"]
    tcp = Traffic(connections_opened=30, sent_bytes=6000)
    assert rate(tcp, 60) == "0.5 conn/s 100 B/s"
    timed = Traffic(
        requests=1, requests_per_second=0.1, latency=Latency(p50=1, p90=1, p95=1, p99=1)
    )
    assert rate(timed, 60) == "0.1/s"


def test_who_makes_too_many_edges_is_named() -> None:
    crowd = Crowd(node="workload/default/crawler", edges=1999)
    full = msgspec.structs.replace(graph(), crowds=(crowd,), most_edges=2000)
    assert "crawler.default (1999)" in crowded(full)
    assert crowded(graph()) == ""
