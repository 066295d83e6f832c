"""An applied change, and when requests through a real Envoy behave by it."""

from __future__ import annotations

import http.client
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from itertools import cycle, islice
from pathlib import Path
from statistics import median, quantiles

from benchmarks.load import ANY_CORE, missing_tools, running
from benchmarks.peers import backend
from benchmarks.processes import apply, control_plane, free_port, sidecar, spec_of, wait_until
from benchmarks.table import show, verdict
from clew.api.client import Client

BUDGET = 10
VERSIONS = ("one", "two")
SERVICE = """
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{name: {name}, namespace: default}}
spec:
  hosts: [{name}.example]
  ports: [{{number: 80, name: http, protocol: HTTP}}]
  resolution: STATIC
  endpoints: [{{address: 127.0.0.1, ports: {{http: {port}}}}}]
---
"""
ROUTES = """
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: one, namespace: default}}
spec:
  hosts: [one.example]
  http:
  - route:
    - destination: {{host: one.example}}
      weight: {one}
    - destination: {{host: two.example}}
      weight: {two}
"""


def main(rounds: int = 40) -> None:
    if missing := missing_tools():
        print(f"\nconvergence: skipped, needs {', '.join(missing)} (tests/setup-host)")
        return
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        state, port = Path(name), free_port()
        mesh = stack.enter_context(control_plane(state))
        apply(mesh, _services(state, stack) + _routes("one"))
        upstreams = {"one.example:80": f"127.0.0.1:{port}"}
        stack.enter_context(sidecar(spec_of(state, "client", "127.0.0.1", local_ports=upstreams)))
        connection = stack.enter_context(closing(http.client.HTTPConnection("127.0.0.1", port)))
        wait_until(lambda: _ask(connection) == "one", state / "server.log")
        # The way back comes first: "one" is in force.
        samples = list(islice(_shifts(mesh, connection), rounds))
    answers, effects = zip(*samples, strict=True)
    _show(answers, effects)


def _show(answers: tuple[float, ...], effects: tuple[float, ...]) -> None:
    took = median(effects)
    rows = [
        ("the API's answer", f"{median(answers):.1f} ms", f"{_p95(answers):.1f} ms", "", ""),
        (
            "the first request that goes the new way",
            f"{took:.1f} ms",
            f"{_p95(effects):.1f} ms",
            f"< {BUDGET} ms",
            verdict(took, BUDGET),
        ),
    ]
    title = f"From `apply` of other weights (100/0 ↔ 0/100), {len(effects)} times, until"
    show(title, ("what", "median", "95 %", "budget for the median", "met"), rows)


def _shifts(mesh: Client, connection: http.client.HTTPConnection) -> Iterator[tuple[float, float]]:
    """Yield, in milliseconds, when the API had answered and when a request went the new way."""
    for wanted in cycle(("two", "one")):
        start = time.monotonic()
        apply(mesh, _routes(wanted))
        applied = time.monotonic()
        while _ask(connection) != wanted:
            pass
        yield (applied - start) * 1000, (time.monotonic() - start) * 1000


def _services(folder: Path, stack: ExitStack) -> str:
    """Start the versions, each an nginx that says its name; return their manifests."""
    manifests = ""
    for name in VERSIONS:
        own, port = folder / f"nginx-{name}", free_port()
        own.mkdir()
        (own / "nginx.conf").write_text(backend(port, own, name))
        command = ("nginx", "-p", str(own), "-c", str(own / "nginx.conf"))
        stack.enter_context(running(command, ANY_CORE, own / "log"))
        manifests += SERVICE.format(name=name, port=port)
    return manifests


def _routes(wanted: str) -> str:
    return ROUTES.format(**{name: 100 if name == wanted else 0 for name in VERSIONS})


def _ask(connection: http.client.HTTPConnection) -> str:
    try:
        connection.request("GET", "/", headers={"host": "one.example"})
        return connection.getresponse().read().decode()
    except OSError:
        connection.close()
        return ""


def _p95(samples: tuple[float, ...]) -> float:
    return quantiles(samples, n=20)[-1] if len(samples) > 1 else samples[0]
