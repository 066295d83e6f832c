"""Debian's Prometheus scrapes a mesh, and answers the queries of Istio's documentation and boards.

Sources: istio.io, "Querying Metrics from Prometheus" and "Visualizing Metrics with Grafana"; the
mesh, service, workload and control-plane dashboards of Istio.
"""

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
from tests.e2e.mesh import Mesh, eventually, needs_root, running_mesh
from tests.envoy.rig import free_port

pytestmark = [
    needs_root,
    pytest.mark.skipif(not shutil.which("prometheus"), reason="needs Debian's prometheus"),
]

REQUESTS = 40
CONNECTIONS = 5
PAGE = "productpage.default.svc.cluster.local"
ECHO = "tcp-echo.default.svc.cluster.local"

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


def test_series_have_istios_labels_and_no_others(seen: tuple[Mesh, Prometheus]) -> None:
    _, running = seen
    of_prometheus = {"__name__", "instance", "job", "namespace", "pod"}
    for labels, _ in running.ask(f'istio_requests_total{{destination_service="{PAGE}"}}'):
        # Prometheus knows no empty labels: no gRPC status is none.
        assert set(labels) - of_prometheus == set(LABELS) - {"grpc_response_status"}
    [(labels, _)] = running.ask(
        'istio_requests_total{reporter="destination", source_workload="productpage-v1",'
        ' destination_workload="details-v1", response_code="200"}'
    )
    expected = {
        "source_app": "productpage",
        "source_version": "v1",
        "source_workload_namespace": "default",
        "source_principal": "spiffe://cluster.local/ns/default/sa/bookinfo-productpage",
        "source_canonical_service": "productpage",
        "source_canonical_revision": "v1",
        "source_cluster": "Kubernetes",
        "destination_app": "details",
        "destination_principal": "spiffe://cluster.local/ns/default/sa/bookinfo-details",
        "destination_service": "details.default.svc.cluster.local",
        "destination_service_name": "details",
        "destination_service_namespace": "default",
        "request_protocol": "http",
        "response_flags": "-",
        "connection_security_policy": "mutual_tls",
    }
    assert {name: labels[name] for name in expected} == expected


QUERIES = {
    # istio.io, querying metrics
    "istio_requests_total": 1,
    f'istio_requests_total{{destination_service="{PAGE}"}}': 1,
    'istio_requests_total{destination_service="reviews.default.svc.cluster.local",'
    ' destination_version="v3"}': 1,
    'rate(istio_requests_total{destination_service=~"productpage.*", response_code="200"}[5m])': 1,
    # the mesh dashboard
    'round(sum(irate(istio_requests_total{reporter=~"source|waypoint"}[1m])), 0.01)': 1,
    'sum(rate(istio_requests_total{reporter=~"source|waypoint", response_code!~"5.*"}[1m]))'
    ' / sum(rate(istio_requests_total{reporter=~"source|waypoint"}[1m]))': 1,
    'label_join(sum(rate(istio_requests_total{reporter=~"source|waypoint", response_code="200"}'
    "[1m])) by (destination_workload, destination_workload_namespace, destination_service),"
    ' "destination_workload_var", ".", "destination_workload",'
    ' "destination_workload_namespace")': 5,
    "label_join((histogram_quantile(0.50, sum(rate(istio_request_duration_milliseconds_bucket"
    '{reporter=~"source|waypoint"}[1m])) by (le, destination_workload,'
    " destination_workload_namespace, destination_service)) / 1000),"
    ' "destination_workload_var", ".", "destination_workload",'
    ' "destination_workload_namespace")': 5,
    'sum(istio_build{component="pilot"}) by (tag)': 1,
    # the service dashboard
    'sum(irate(istio_requests_total{reporter=~"destination",'
    f' destination_service=~"{PAGE}"}}[5m]))': 1,
    f'sum(irate(istio_requests_total{{connection_security_policy="mutual_tls",'
    f' destination_service=~"{PAGE}", reporter=~"destination", source_workload=~".*"}}[5m]))'
    " by (source_workload, source_workload_namespace, response_code)": 1,
    'histogram_quantile(0.95, sum(irate(istio_response_bytes_bucket{reporter=~"destination",'
    f' connection_security_policy="mutual_tls", destination_service=~"{PAGE}"}}[1m]))'
    " by (source_workload, source_workload_namespace, le))": 1,
    'histogram_quantile(0.99, sum(irate(istio_request_bytes_bucket{reporter="source",'
    f' destination_service=~"{PAGE}"}}[1m])) by (le))': 1,
    f'round(sum(irate(istio_tcp_received_bytes_total{{reporter=~"source", destination_service=~'
    f'"{ECHO}"}}[1m])) by (source_workload, source_workload_namespace), 0.001)': 1,
    # the workload dashboard
    'round(sum(irate(istio_requests_total{source_workload_namespace=~"default",'
    ' source_workload=~"productpage-v1", reporter=~"source"}[5m])) by (destination_service,'
    " response_code), 0.001)": 2,
    # the control plane's
    "sum(pilot_xds) by (version)": 1,
    "pilot_services": 1,
    'sum(irate(pilot_xds_pushes{type="cds"}[1m]))': 1,
    "histogram_quantile(0.99, sum(rate(pilot_proxy_convergence_time_bucket[5m])) by (le))": 1,
    "sum(rate(citadel_server_csr_count[1m]))": 1,
    "citadel_server_root_cert_expiry_timestamp": 1,
    # the agent's
    "min(istio_agent_cert_expiry_seconds)": 1,
}


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
