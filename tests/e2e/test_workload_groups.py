"""Programs that join a WorkloadGroup of a running mesh: served, checked, forgotten."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from clew.demo.load import Load
from tests.e2e.mesh import Mesh, eventually, needs_root, running_mesh

MESH = """
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: web, namespace: default}
spec:
  selector: {istio: ingressgateway}
  servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: ["*"]}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: web, namespace: default}
spec:
  hosts: ["*"]
  gateways: [web]
  http:
  - match: [{uri: {exact: /there}}]
    directResponse: {status: 200}
  - route: [{destination: {host: hello, port: {number: 80}}}]
---
apiVersion: v1
kind: Service
metadata: {name: hello, namespace: default}
spec:
  selector: {app: hello}
  ports: [{name: http, port: 80, targetPort: 9000}]
---
apiVersion: networking.istio.io/v1
kind: WorkloadGroup
metadata: {name: vm, namespace: default}
spec:
  metadata: {labels: {app: hello}}
  template: {ports: {http: 9000}, serviceAccount: hello}
  probe:
    periodSeconds: 1
    failureThreshold: 1
    httpGet: {path: /healthz, port: 9000}
"""
# Says its name; is ill for as long as a file of that name exists.
PROGRAM = """
import http.server, os, sys
class Server(http.server.ThreadingHTTPServer):
    request_queue_size = 128
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        ill = self.path == "/healthz" and os.path.exists(sys.argv[1])
        body = os.path.basename(sys.argv[1]).encode()
        self.send_response(503 if ill else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *_):
        pass
Server(("0.0.0.0", int(os.environ["PORT"])), Handler).serve_forever()
"""


@dataclass(frozen=True, slots=True)
class Member:
    """One ``clew run --group``; ``illness``: the file that makes it fail its health check."""

    name: str
    illness: Path
    process: subprocess.Popen[bytes]


@contextmanager
def member(mesh: Mesh, folder: Path, name: str) -> Iterator[Member]:
    script = folder / "program.py"
    script.write_text(PROGRAM)
    illness = folder / name
    command = [sys.executable, "-m", "clew", "run", "--mesh", mesh.name, "--group", "vm"]
    program = ["--", sys.executable, str(script), str(illness)]
    process = subprocess.Popen([*command, *program], env=mesh.environ)
    try:
        yield Member(name, illness, process)
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        process.wait(timeout=30)


def entries(mesh: Mesh) -> list[dict[str, Any]]:
    found = mesh.clew("get", "workloadentries", "-n", "default", "-o", "yaml")
    documents = [d for d in yaml.safe_load_all(found.stdout) if d]
    return [e for d in documents for e in (d.get("items", [d]) if "items" in d else [d])]


def answering(load: Load, count: int = 40) -> set[str]:
    return {outcome.version for outcome in load.sample(count) if not outcome.failure}


def failures(load: Load) -> list[str]:
    return [outcome.failure for outcome in load.outcomes if outcome.failure]


@pytest.mark.proves(
    "WorkloadGroupSpec.probe",
    "WorkloadGroupSpec.template",
    "WorkloadGroupSpec.metadata",
)
@pytest.mark.parametrize("capture", [pytest.param("netns", marks=needs_root), "env"])
def test_a_member_is_served_while_it_is_healthy_and_forgotten_after_its_end(
    tmp_path: Path, capture: str
) -> None:
    manifest = tmp_path / "mesh.yaml"
    manifest.write_text(MESH)
    with (
        running_mesh(f"g-{capture}", capture=capture, files=(manifest,), served="/there") as mesh,
        member(mesh, tmp_path, "one") as one,
        member(mesh, tmp_path, "two") as two,
    ):
        eventually(lambda: mesh.get("/")[0] == 200, what="the first member is served")
        with Load(("127.0.0.1", mesh.state.http_port), "/", bytes.decode) as load:
            eventually(lambda: answering(load) == {"one", "two"}, what="both members are served")
            one.illness.touch()
            eventually(lambda: answering(load) == {"two"}, seconds=5, what="the ill one is left")
            one.illness.unlink()
            eventually(
                lambda: answering(load) == {"one", "two"}, seconds=5, what="it is well again"
            )
            assert failures(load) == []
            assert len(entries(mesh)) == 2
            two.process.kill()
            eventually(lambda: answering(load, 100) == {"one"}, what="the killed one is left")
            eventually(lambda: len(entries(mesh)) == 1, seconds=30, what="its entry is removed")
            one.process.terminate()
            one.process.wait(timeout=30)
        assert entries(mesh) == []
