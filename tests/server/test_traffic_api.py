"""What the API tells of traffic."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2
import pytest

from clew.api.async_client import AsyncClient
from clew.api.traffic_report import Counted, TrafficReport, durations_of
from clew.model.metrics import Own, Peer
from clew.server.traffic_reports import Reporter, TrafficReports
from tests.server.api_server import with_server
from tests.server.test_traffic_reports import proxy as sidecar

SPIFFE = "spiffe://cluster.local/ns/default/sa"
HOST = "reviews.default.svc.cluster.local"
PRODUCTPAGE = "productpage-v1;default;productpage;v1;Kubernetes"
SERVED = f"destination~{PRODUCTPAGE}~{HOST};reviews;default"
UNKNOWN = f"destination~-~{HOST};reviews;default"
ENCRYPTED = f"{SPIFFE}/bookinfo-productpage"


def reporter(reports: TrafficReports, workload: str) -> Reporter:
    app, _, version = workload.partition("-")
    own = Own(Peer(workload, "default", app, version, "Kubernetes", app, version), f"{SPIFFE}/x")
    return Reporter(sidecar(f"{workload}-0", workload), own, reports.now())


def some_traffic(reports: TrafficReports) -> None:
    """Calls of productpage for reviews, mostly v1, of which some fail; and one that leaves."""
    for version, number in (("v1", 80), ("v2", 20)):
        counted = [
            Counted(
                tag=f"{SERVED}~200~-~~{ENCRYPTED}",
                requests={200: number - 5},
                durations=durations_of({10: number - 5}),
                response_bytes=1000,
            ),
            Counted(tag=f"{UNKNOWN}~503~-~~-", requests={503: 5}, durations=durations_of({99: 5})),
        ]
        report = TrafficReport(seconds=1.0, counted=tuple(counted))
        reports.take(reporter(reports, f"reviews-{version}"), report, reports.now())
    left = Counted(
        tag="source~-~outbound|443||api.example.com;shop~200~-~~-",
        requests={200: 3},
        durations=durations_of({20: 3}),
    )
    report = TrafficReport(seconds=1.0, counted=(left,))
    reports.take(reporter(reports, "ratings-v1"), report, reports.now())


def ask(path: str, prepare: Callable[[TrafficReports], object] = some_traffic) -> Any:
    async def scenario(_client: AsyncClient, socket: Path) -> Any:
        transport = httpx2.AsyncHTTPTransport(uds=str(socket))
        async with httpx2.AsyncClient(transport=transport, base_url="http://clew") as http:
            return (await http.get(path)).json()

    return asyncio.run(with_server(scenario, on_reports=prepare))


def test_the_graph_has_an_edge_for_each_version_that_was_called() -> None:
    graph = ask("/v1/traffic?window=60")
    edges = {(e["source"], e["service"], e["destination"]): e for e in graph["edges"]}
    caller, service = "workload/default/productpage-v1", f"service/default/{HOST}"
    v1 = edges[caller, service, "workload/default/reviews-v1"]
    assert (v1["version"], v1["protocol"], v1["reporter"]) == ("v1", "http", "destination")
    assert v1["traffic"]["requests"] == 75
    plain = edges["unknown", service, "workload/default/reviews-v1"]
    assert plain["traffic"]["serverErrors"] == 5
    assert graph["total"]["requests"] == 103
    assert graph["total"]["latency"]["p50"] == pytest.approx(10.5, abs=0.6)


def test_nodes_add_up_what_goes_in_and_out() -> None:
    graph = ask("/v1/traffic")
    nodes = {node["id"]: node for node in graph["nodes"]}
    service = nodes[f"service/default/{HOST}"]
    assert (service["kind"], service["namespace"], service["name"]) == ("service", "default", HOST)
    assert service["inbound"]["requests"] == 100
    assert service["inbound"]["errorShare"] == pytest.approx(0.1)
    assert service["inbound"]["mutualTls"] == pytest.approx(0.9)
    v2 = nodes["workload/default/reviews-v2"]
    assert (v2["version"], v2["service"], v2["inbound"]["requests"]) == ("v2", "reviews", 20)
    outside = nodes["service/shop/api.example.com"]["inbound"]
    assert outside["requests"] == 3
    assert outside["mutualTls"] is None


def test_a_namespace_is_asked_for_by_name() -> None:
    graph = ask("/v1/traffic?namespace=shop")
    assert [edge["service"] for edge in graph["edges"]] == ["service/shop/api.example.com"]
    assert graph["total"]["requests"] == 3


def test_a_mesh_without_traffic_has_an_empty_graph() -> None:
    graph = ask("/v1/traffic", lambda reports: None)
    assert graph["edges"] == graph["nodes"] == []
    assert graph["total"]["latency"] is None


def test_a_chart_has_a_series_for_each_version() -> None:
    def earlier(reports: TrafficReports) -> None:
        reports.window.began -= 60
        past = reports.now() - 20
        now, reports.now = reports.now, lambda: past
        some_traffic(reports)
        reports.now = now

    found = ask(f"/v1/traffic/series?window=60&by=version&service=service/default/{HOST}", earlier)
    assert found["step"] == 5
    assert [series["name"] for series in found["series"]] == ["v1", "v2"]
    v1 = found["series"][0]["points"]
    assert sum(point["requests"] for point in v1) * 5 == pytest.approx(80)
    assert sum(point["serverErrors"] for point in v1) * 5 == pytest.approx(5)
    assert [point["at"] for point in v1] == [v1[0]["at"] + 5 * n for n in range(len(v1))]
    busy = [point for point in v1 if point["requests"]]
    assert all(10 <= point["p50"] <= 100 for point in busy)
    assert any(point["p50"] is None for point in v1)


def test_a_chart_of_nothing_has_points_of_zero() -> None:
    found = ask("/v1/traffic/series?window=3600", lambda reports: None)
    assert found["step"] == 300
    (series,) = found["series"]
    assert all(point["requests"] == 0 for point in series["points"])


@pytest.mark.parametrize("query", ["window=x", "step=-1", "by=weather"])
def test_a_query_that_makes_no_sense_is_refused(query: str) -> None:
    assert ask(f"/v1/traffic/series?{query}")["error"]["reason"] == "BadRequest"


def test_the_graph_comes_as_events_too() -> None:
    async def scenario(_client: AsyncClient, socket: Path) -> None:
        transport = httpx2.AsyncHTTPTransport(uds=str(socket))
        async with (
            httpx2.AsyncClient(transport=transport, base_url="http://clew", timeout=20) as http,
            http.stream("GET", "/v1/traffic/events?window=60") as response,
        ):
            assert response.headers["content-type"].startswith("text/event-stream")
            seen = []
            async for line in response.aiter_lines():
                if line.startswith("data: "):
                    seen.append(json.loads(line.removeprefix("data: "))["total"]["requests"])
                    if len(seen) == 1:
                        some_traffic(held[0])
                    if seen[-1] == 103:
                        return

    held: list[TrafficReports] = []
    asyncio.run(with_server(scenario, on_reports=held.append))
