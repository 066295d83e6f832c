"""Single requests through Bookinfo: their traces, the live view of them, and access logs."""

from __future__ import annotations

import json
import select
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx2
import pytest

from tests.e2e.mesh import Mesh, eventually, needs_root, running_mesh

pytestmark = needs_root


@pytest.fixture(scope="module")
def mesh() -> Iterator[Mesh]:
    with running_mesh("traces", capture="netns") as running:
        yield running


SETTINGS = """
apiVersion: v1
kind: ConfigMap
metadata: {name: istio, namespace: istio-system}
data: {mesh: "accessLogFile: /dev/stdout"}
"""
FAILING = """
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: details}
spec:
  hosts: [details]
  http:
  - fault: {abort: {percentage: {value: 100}, httpStatus: 555}}
    route: [{destination: {host: details}}]
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: no-ratings}
spec:
  selector: {matchLabels: {app: ratings}}
  action: DENY
  rules: [{to: [{operation: {methods: [GET], ports: ["9080"]}}]}]
"""


@pytest.fixture
def failing(mesh: Mesh) -> Iterator[None]:
    """As long as a test lasts, details fails and ratings denies."""
    applied = mesh.clew("apply", "--wait", "-f", "-", text=FAILING)
    assert applied.returncode == 0, applied.stderr
    yield
    deleted = mesh.clew("delete", "-f", "-", text=FAILING)
    assert deleted.returncode == 0, deleted.stderr


def found(mesh: Mesh, *options: str) -> list[dict[str, Any]]:
    listed = mesh.clew("trace", "list", "-o", "json", *options)
    assert listed.returncode == 0, listed.stderr
    items: list[dict[str, Any]] = json.loads(listed.stdout)["items"]
    return items


def shown(mesh: Mesh, trace: str) -> list[dict[str, Any]]:
    spans: list[dict[str, Any]] = json.loads(
        mesh.clew("trace", "show", trace, "-o", "json").stdout
    )["spans"]
    return spans


def hops(spans: list[dict[str, Any]]) -> list[tuple[str, str]]:
    """Who called and who was called: each client's span is what a server's span is below."""
    by_id = {span["id"]: span for span in spans}
    return [
        (by_id[span["parent"]]["service"], span["service"])
        for span in spans
        if span["parent"] in by_id and by_id[span["parent"]]["service"] != span["service"]
    ]


def test_one_trace_of_productpage_has_all_hops(mesh: Mesh) -> None:
    wanted = {
        ("istio-ingressgateway.istio-system", "productpage.default"),
        ("productpage.default", "details.default"),
        ("productpage.default", "reviews.default"),
        ("reviews.default", "ratings.default"),
    }

    def is_complete() -> bool:
        # reviews-v1, one of three, asks no ratings.
        assert mesh.get("/productpage")[0] == 200
        traces = found(
            mesh, "--operation", "productpage.default.svc.cluster.local:9080/productpage"
        )
        traces = traces or found(mesh, "--service", "ratings.default")
        return any(wanted <= set(hops(shown(mesh, trace["id"]))) for trace in traces)

    eventually(is_complete, what="a trace with all hops")


@contextmanager
def tap(mesh: Mesh, *options: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "clew", "tap", "--mesh", mesh.name, "-o", "json", *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=mesh.environ) as running:
        try:
            yield running
        finally:
            running.terminate()


@pytest.mark.usefixtures("failing")
@pytest.mark.parametrize(
    ("options", "flag", "blamed"),
    [
        (("--status", "error"), "FI", "VirtualService default/details"),
        # Only ratings' proxy knows why it refuses, and reviews-v1, one of three, does not ask it.
        (("--to", "ratings"), "rbac_access_denied", "AuthorizationPolicy default/no-ratings"),
    ],
)
def test_failed_requests_are_seen_as_they_happen_with_what_is_to_blame(
    mesh: Mesh, options: tuple[str, ...], flag: str, blamed: str
) -> None:
    explained: list[dict[str, Any]] = []
    with tap(mesh, *options) as watched:

        def is_told() -> bool:
            mesh.get("/productpage")
            assert watched.stdout is not None
            if select.select([watched.stdout], [], [], 0.5)[0]:
                explained.extend(json.loads(watched.stdout.readline())["explanations"])
            return any(each["flag"] == flag for each in explained)

        eventually(is_told, what=f"a request with {flag}")
    assert {o for e in explained if e["flag"] == flag for o in e["objects"]} == {blamed}
    eventually(
        lambda: "clew.tap" not in admin(mesh, "details-v1", "/runtime"), what="the end of the tap"
    )


def admin(mesh: Mesh, workload: str, path: str, method: str = "GET") -> str:
    (socket,) = mesh.directory.glob(f"agents/*/{workload}-*/admin.sock")
    transport = httpx2.HTTPTransport(uds=str(socket))
    with httpx2.Client(transport=transport, base_url="http://envoy") as http:
        return http.request(method, path).text


@pytest.mark.proves("MeshConfig.accessLogFile")
@pytest.mark.usefixtures("failing")
def test_access_logs_say_why_requests_failed(mesh: Mesh) -> None:
    assert mesh.clew("apply", "--wait", "-f", "-", text=SETTINGS).returncode == 0

    def logged() -> str:
        mesh.get("/productpage")
        return mesh.clew("logs", "productpage", "--access", "--explain").stdout

    eventually(lambda: "/details/0" in logged(), what="a line about details")
    lines = logged().split("\n")
    failed = next(n for n, line in enumerate(lines) if "/details/0" in line)
    assert " 555 FI fault_filter_abort " in lines[failed]
    assert "FI: it was failed on purpose ← VirtualService default/details" in lines[failed + 1]
    assert not any("[warning]" in line for line in lines)


def test_a_proxy_logs_more_for_a_while(mesh: Mesh) -> None:
    def level() -> str:
        page = admin(mesh, "details-v1", "/logging", "POST")
        return next(
            line.split()[1] for line in page.split("\n") if line.strip().startswith("http:")
        )

    said = mesh.clew("proxy-log", "details", "--level", "http:debug", "--for", "2s")
    assert "default/details-v1" in said.stdout, said.stderr
    eventually(lambda: level() == "debug", what="the level debug")
    eventually(lambda: level() == "warning", what="the usual level")
