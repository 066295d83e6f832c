"""Debian's Prometheus scrapes a mesh, and answers what Istio's documentation and boards ask."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import httpx2
import pytest

from clew.agent.spec import AgentSpec, decode
from clew.demo.guide import FILES, MANIFESTS
from clew.local.state import SPEC
from clew.model.metrics import LABELS
from tests.e2e.istio_metrics import (
    BUCKETS,
    ECHO,
    OF_CONNECTIONS,
    OF_REQUESTS,
    PAGE,
    QUERIES,
    expected_labels,
)
from tests.e2e.mesh import Mesh, eventually, needs_root, running_mesh
from tests.envoy.rig import free_port

pytestmark = [
    needs_root,
    pytest.mark.skipif(not shutil.which("prometheus"), reason="needs Debian's prometheus"),
]

REQUESTS = 40
CONNECTIONS = 5
OF_PROMETHEUS = {"__name__", "instance", "job", "namespace", "pod"}

# Connections to the gateway's TCP port go to tcp-echo.
TCP = """
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: echo}
spec:
  selector: {istio: ingressgateway}
  servers: [{port: {number: 31400, name: tcp, protocol: TCP}, hosts: ["*"]}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: echo}
spec:
  hosts: ["*"]
  gateways: [echo]
  tcp: [{route: [{destination: {host: tcp-echo, port: {number: 9000}}}]}]
"""


class Prometheus:
    """A running Prometheus, and what it answers."""

    def __init__(self, client: httpx2.Client) -> None:
        self._client = client

    def ready(self) -> bool:
        try:
            return self._client.get("/-/ready").status_code == 200
        except httpx2.TransportError:
            return False

    def ask(self, query: str) -> list[tuple[dict[str, str], float]]:
        """The labels and the value of each series of the answer."""
        answer = self._client.get("/api/v1/query", params={"query": query}).json()
        assert answer["status"] == "success", answer
        found = answer["data"]["result"]
        return [(each["metric"], float(each["value"][1])) for each in found]

    def number(self, query: str) -> float:
        """The answer's only value; 0 if there is none."""
        return sum(value for _, value in self.ask(query))

    def says(self, query: str, number: float) -> bool:
        return self.number(query) == number


@contextmanager
def prometheus(folder: Path, control_plane: str) -> Iterator[Prometheus]:
    """Scrape the control plane at this address, and the workloads that it knows of."""
    jobs = [
        {"job_name": "istiod", "static_configs": [{"targets": [control_plane]}]},
        {
            "job_name": "workloads",
            "metrics_path": "/stats/prometheus",
            "http_sd_configs": [{"url": f"http://{control_plane}/targets"}],
        },
    ]
    settings = {"global": {"scrape_interval": "1s"}, "scrape_configs": jobs}
    (folder / "prometheus.json").write_text(json.dumps(settings))  # JSON is YAML
    port = free_port()
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            (
                "prometheus",
                f"--config.file={folder}/prometheus.json",
                f"--storage.tsdb.path={folder}/data",
                f"--web.listen-address=127.0.0.1:{port}",
            ),
            stdout=log,
            stderr=log,
        )
    try:
        with httpx2.Client(base_url=f"http://127.0.0.1:{port}") as client:
            running = Prometheus(client)
            eventually(running.ready, what="Prometheus")
            yield running
    finally:
        process.terminate()
        process.wait(30)


def specs(mesh: Mesh) -> list[AgentSpec]:
    found = [decode(path.read_bytes()) for path in mesh.directory.rglob(SPEC)]
    return [spec for spec in found if spec.proxy]


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Mesh, Prometheus]]:
    """A mesh that has had some traffic, all of which Prometheus knows of."""
    monitoring = f"127.0.0.1:{free_port()}"
    files = tuple(MANIFESTS / name for name in FILES)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CLEW_MONITORING_ADDRESS", monitoring)
        with running_mesh("prom", capture="netns", files=files) as mesh:
            applied = mesh.clew("apply", "-f", "-", text=TCP)
            assert applied.returncode == 0, applied.stderr
            eventually(lambda: _answers(mesh), what="the TCP port")
            with prometheus(tmp_path_factory.mktemp("prometheus"), monitoring) as running:
                up = len(specs(mesh)) + 1
                eventually(lambda: running.number("sum(up)") == up, what="all targets are up")
                yield mesh, running


def _answers(mesh: Mesh) -> bool:
    try:
        echo(mesh)
    except OSError:
        return False
    return True


def echo(mesh: Mesh) -> None:
    with socket.create_connection(("127.0.0.1", mesh.state.tcp_port), timeout=10) as connection:
        connection.sendall(b"hello\n")
        assert connection.recv(100)


def test_every_request_and_connection_is_counted_once_by_either_side(
    seen: tuple[Mesh, Prometheus],
) -> None:
    mesh, running = seen
    opened = f'sum(istio_tcp_connections_opened_total{{destination_service="{ECHO}"}})'
    stable(lambda: running.number(f"{opened} + sum(istio_requests_total)"))
    before = {query: running.number(query) for query in counted()}
    for _ in range(REQUESTS):
        assert mesh.get("/productpage")[0] == 200
    for _ in range(CONNECTIONS):
        echo(mesh)
    for query, grows in counted().items():
        expected = before[query] + grows
        eventually(partial(running.says, query, expected), what=query)


def counted() -> dict[str, int]:
    """By how much each number is to grow."""
    found: dict[str, int] = {}
    for reporter in ("source", "destination"):
        page = f'reporter="{reporter}", destination_service="{PAGE}"'
        for metric in ("requests_total", "request_duration_milliseconds_count"):
            found[f'sum(istio_{metric}{{{page}, response_code="200"}})'] = REQUESTS
        of_echo = f'{{reporter="{reporter}", destination_service="{ECHO}"}}'
        for metric in ("opened", "closed"):
            found[f"sum(istio_tcp_connections_{metric}_total{of_echo})"] = CONNECTIONS
        received = CONNECTIONS * len("hello\n")
        found[f"sum(istio_tcp_received_bytes_total{of_echo})"] = received
    return found


def stable(value: Callable[[], float]) -> float:
    """A value that no longer changes between scrapes."""
    last = [-1.0, -2.0, -3.0]

    def same() -> bool:
        last[:] = [*last[1:], value()]
        return len(set(last)) == 1

    eventually(lambda: _after_a_scrape(same), what="traffic has settled")
    return last[-1]


def _after_a_scrape(check: Callable[[], bool]) -> bool:
    time.sleep(1.1)  # Prometheus' interval: what comes is known by the next scrape
    return check()


@pytest.mark.parametrize("reporter", ["source", "destination"])
@pytest.mark.parametrize("metric", [*OF_REQUESTS, *OF_CONNECTIONS])
def test_each_metric_has_istios_labels_and_no_others(
    seen: tuple[Mesh, Prometheus], metric: str, reporter: str
) -> None:
    mesh, running = seen
    expected = expected_labels(metric, reporter)
    # Prometheus knows no empty labels: no gRPC status is none.
    missing = {"grpc_response_status"} | ({"response_code"} if metric in OF_CONNECTIONS else set())
    assert set(expected) == set(LABELS) - missing
    wanted = ("reporter", "destination_workload", "response_code")
    chosen = ", ".join(f'{name}="{expected[name]}"' for name in wanted if name in expected)

    def is_there() -> bool:
        assert mesh.get("/productpage")[0] == 200
        echo(mesh)
        return bool(running.ask(f"{metric}{{{chosen}}}"))

    eventually(is_there, what=metric)
    found = [labels for labels, _ in running.ask(f"{metric}{{{chosen}}}")]
    bounds = sorted(float(labels.pop("le")) for labels in found if "le" in labels)
    assert bounds == (sorted(BUCKETS) if metric.endswith("_bucket") else [])
    assert all(
        {name: value for name, value in labels.items() if name not in OF_PROMETHEUS} == expected
        for labels in found
    ), found


@pytest.mark.parametrize("query", QUERIES)
def test_istios_own_queries_are_answered(seen: tuple[Mesh, Prometheus], query: str) -> None:
    mesh, running = seen

    def answered() -> bool:
        mesh.get("/productpage")
        if ECHO in query:
            echo(mesh)
        return len(running.ask(query)) >= QUERIES[query]

    eventually(answered, what=query)


def test_the_proxys_own_port_has_its_metrics_alone(seen: tuple[Mesh, Prometheus]) -> None:
    mesh, _ = seen
    spec = next(each for each in specs(mesh) if each.workload == "details-v1")
    page = httpx2.get(f"http://{spec.ip}:{spec.prometheus_port}/stats/prometheus").text
    assert "istio_requests_total{" in page
    assert "envoy_server_live" in page
    assert "istio_agent_" not in page
    assert "clew_" not in page
