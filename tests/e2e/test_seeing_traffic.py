"""What the mesh tells of its traffic is what a load of known size has seen of it."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from clew.agent.spec import Capture
from clew.api.client import Client
from clew.api.traffic import TrafficGraph
from clew.api.views import Trouble
from clew.demo.guide import MANIFESTS
from tests.docs.commands import ROOT, shown_commands
from tests.e2e.mesh import REVIEWS, Mesh, eventually, needs_root, running_mesh

REQUESTS = 200
GATEWAY = "workload/istio-system/istio-ingressgateway"
PRODUCTPAGE, RATINGS = "workload/default/productpage-v1", "workload/default/ratings-v1"
REVIEWS_SERVICE = "service/default/reviews.default.svc.cluster.local"

COMMANDS = ("graph", "top", "status", "proxy-config")

# Long enough for what the load generator itself takes not to matter.
SLOW = """
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: reviews, namespace: default}
spec:
  hosts: [reviews]
  http:
  - fault: {delay: {percentage: {value: 100}, fixedDelay: 2s}}
    route: [{destination: {host: reviews}}]
"""

NO_METRICS_OF_SERVERS = """
apiVersion: telemetry.istio.io/v1
kind: Telemetry
metadata: {name: servers, namespace: default}
spec:
  metrics:
  - providers: [{name: prometheus}]
    overrides: [{match: {metric: ALL_METRICS, mode: SERVER}, disabled: true}]
"""


@pytest.fixture(scope="module", params=[pytest.param("netns", marks=needs_root), "env"])
def mesh(request: pytest.FixtureRequest) -> Iterator[Mesh]:
    with running_mesh("seen", capture=request.param) as running:
        yield running


def graph(mesh: Mesh) -> TrafficGraph:
    with Client(mesh.directory / "api.sock") as client:
        return client.traffic(window=600)


def requests(found: TrafficGraph) -> Counter[tuple[str, str]]:
    """Requests by source and destination, those that failed left out."""
    count = Counter[tuple[str, str]]()
    for edge in found.edges:
        count[edge.source, edge.destination] += edge.traffic.codes.get("200", 0)
    return count


def settled(mesh: Mesh) -> TrafficGraph:
    """The graph, once nothing comes any more."""
    last, since = graph(mesh), time.monotonic()

    def is_quiet() -> bool:
        nonlocal last, since
        now = graph(mesh)
        if requests(now) != requests(last):
            last, since = now, time.monotonic()
        return time.monotonic() - since > 6

    eventually(is_quiet, what="the traffic to settle")
    return last


def percentile(seconds: list[float], share: float) -> float:
    return sorted(seconds)[int(share * len(seconds))] * 1000


def timed(mesh: Mesh) -> float:
    began = time.monotonic()
    assert mesh.get(REVIEWS)[0] == 200
    return time.monotonic() - began


def test_counts_are_equal_and_percentiles_are_near(mesh: Mesh) -> None:
    assert mesh.clew("apply", "--wait", "-f", "-", text=SLOW).returncode == 0
    before = requests(settled(mesh))
    with ThreadPoolExecutor(20) as load:
        took = list(load.map(lambda _: timed(mesh), range(REQUESTS)))
    found = settled(mesh)
    assert mesh.clew("delete", "virtualservice", "reviews").returncode == 0
    new = requests(found) - before
    assert new[GATEWAY, PRODUCTPAGE] == REQUESTS
    reviews = [f"workload/default/reviews-v{number}" for number in (1, 2, 3)]
    assert sum(new[PRODUCTPAGE, each] for each in reviews) == REQUESTS
    assert (
        sum(new[each, RATINGS] for each in reviews[1:]) == REQUESTS - new[PRODUCTPAGE, reviews[0]]
    )
    assert all(edge.traffic.mutual_tls == 1 for edge in found.edges if edge.destination)

    # The delay is on the way there, before any workload of reviews is asked.
    delayed = [e for e in found.edges if e.destination in reviews and e.source == PRODUCTPAGE]
    assert all(e.traffic.latency is not None and e.traffic.latency.p99 > 2000 for e in delayed)

    service = next(node for node in found.nodes if node.id == REVIEWS_SERVICE)
    assert service.inbound.requests >= REQUESTS
    edge = next(e for e in found.edges if (e.source, e.destination) == (GATEWAY, PRODUCTPAGE))
    assert edge.traffic.latency is not None
    assert edge.traffic.latency.p50 == pytest.approx(percentile(took, 0.5), rel=0.05)
    assert edge.traffic.latency.p90 == pytest.approx(percentile(took, 0.9), rel=0.05)
    assert edge.traffic.latency.p95 == pytest.approx(percentile(took, 0.95), rel=0.05)


def test_what_arrives_where_metrics_are_off_is_told_by_its_clients(mesh: Mesh) -> None:
    assert mesh.clew("apply", "--wait", "-f", "-", text=NO_METRICS_OF_SERVERS).returncode == 0
    # Connections from before are counted by both until their next request, which is their last.
    for _ in range(20):
        timed(mesh)
    before = requests(settled(mesh))
    for _ in range(20):
        timed(mesh)
    new = requests(settled(mesh)) - before
    assert mesh.clew("delete", "telemetry", "servers").returncode == 0
    assert new[GATEWAY, PRODUCTPAGE] == 20
    assert sum(n for (source, _), n in new.items() if source == PRODUCTPAGE) == 20


def connect(mesh: Mesh, connections: int) -> tuple[str, Counter[str]]:
    """Run a program of its own that connects so often and ends; its workload, and who answered."""
    client = (sys.executable, "-m", "clew.demo.bookinfo.tcp_client", "tcp-echo", "9000")
    run = subprocess.run(
        [sys.executable, "-m", "clew", "run", "--name", "client", "--", *client, str(connections)],
        capture_output=True,
        text=True,
        env={**mesh.environ, "CLEW_MESH": mesh.name},
        timeout=90,
    )
    assert run.returncode == 0, run.stderr
    name = next(word for word in run.stderr.split() if word.startswith("client-"))
    return f"workload/default/{name}", Counter(json.loads(run.stdout))


def test_connections_of_a_program_that_has_ended_are_counted_by_version(mesh: Mesh) -> None:
    if mesh.state.capture is not Capture.NETNS:
        pytest.skip("without capture, programs must be told of ports for TCP")
    assert mesh.clew("apply", "-f", str(MANIFESTS / "tcp-echo.yaml")).returncode == 0
    asked: list[tuple[str, Counter[str]]] = []

    def both_answer() -> bool:
        asked.append(connect(mesh, 20))
        return asked[-1][1].keys() == {"one", "two"}

    eventually(both_answer, seconds=120, what="both versions of tcp-echo")
    client, answers = asked[-1]
    edges = {edge.version: edge for edge in graph(mesh).edges if edge.source == client}
    opened = {version: edge.traffic.connections_opened for version, edge in edges.items()}
    assert opened == {"v1": answers["one"], "v2": answers["two"]}
    assert sum(edge.traffic.connections_closed for edge in edges.values()) == 20
    # "hello" and a newline there, "one hello" or "two hello" and one back.
    assert sum(edge.traffic.received_bytes for edge in edges.values()) == 20 * 6
    assert sum(edge.traffic.sent_bytes for edge in edges.values()) == 20 * 10
    assert {edge.protocol for edge in edges.values()} == {"tcp"}
    assert {edge.traffic.mutual_tls for edge in edges.values()} == {1.0}


NOBODY = """
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: nobody, namespace: default}
spec: {selector: {matchLabels: {app: details}}}
"""


def told(mesh: Mesh, word: str) -> Trouble | None:
    """What the traffic shows to be wrong, after one more page was asked for."""
    mesh.get("/productpage")
    return next((each for each in graph(mesh).troubles if word in each.problem), None)


def test_what_fails_is_told_within_seconds_with_its_cause(mesh: Mesh) -> None:
    assert mesh.clew("apply", "--wait", "-f", "-", text=NOBODY).returncode == 0
    eventually(lambda: told(mesh, "denied"), seconds=10, what="the denied calls")
    denied = told(mesh, "denied")
    assert denied is not None
    assert denied.object is not None
    assert (denied.object.kind, denied.object.name) == ("AuthorizationPolicy", "nobody")
    assert mesh.clew("delete", "authorizationpolicy", "nobody").returncode == 0

    (details,) = [each for each in mesh.state.replicas if each.workload.startswith("details")]
    assert details.process is not None
    os.kill(details.process.pid, signal.SIGKILL)
    service = "default/details.default.svc.cluster.local"
    eventually(
        lambda: (found := told(mesh, "details")) is not None and found.service == service,
        seconds=10,
        what="the calls of a workload that was killed",
    )
    # It comes back, and what is over is not told any more.
    eventually(lambda: not told(mesh, "details"), seconds=60, what="the end of it")


def test_the_commands_of_the_page_about_it_can_be_typed(mesh: Mesh) -> None:
    page = shown_commands(ROOT / "docs" / "observability.md")
    lines = [each for each in page if shlex.split(each.line)[1] in COMMANDS]
    assert len(lines) > len(COMMANDS)

    def has_traffic() -> bool:
        mesh.get("/productpage")
        return bool(mesh.clew("graph").stdout)

    eventually(has_traffic, what="traffic in the graph")
    for shown in lines:
        run = mesh.clew(*shlex.split(shown.line)[1:])
        assert run.returncode == 0, (shown.line, run.stdout, run.stderr)
        assert run.stdout, shown.line
    shown_secrets = mesh.clew("proxy-config", "all", "reviews-v1", "-o", "json")
    assert "BEGIN CERTIFICATE" in shown_secrets.stdout
    assert "PRIVATE KEY" not in shown_secrets.stdout
    endpoints = mesh.clew("proxy-config", "endpoints", "productpage-v1", "--port", "9080")
    assert "outbound|9080||reviews.default.svc.cluster.local" in endpoints.stdout
    header, *rows = mesh.clew("status").stdout.partition("\n\n")[0].splitlines()
    assert header.split()[-3:] == ["VERSION", "CERTIFICATE", "ADDRESS"]
    assert all(row.split()[-3].startswith("1.") and row.split()[-2] == "24h" for row in rows), rows
