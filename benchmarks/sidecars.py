"""Requests through sidecars per CPU second: clew's pair beside the ways to do without clew."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from urllib.request import urlopen

import msgspec

from benchmarks import peers
from benchmarks.certificates import write_certificates
from benchmarks.load import LOAD_CORE, PROXY_CORE, Sample, measure, missing_tools, running
from benchmarks.processes import apply, control_plane, free_port, sidecar, spec_of, wait_until
from benchmarks.table import show, verdict
from clew.agent.envoy_process import envoy_binary

DIRECT, NGINX = "direct, no proxy", "nginx as a weighted sidecar, no TLS"
MINIMAL = "hand-written minimal Envoy pair, mTLS, HTTP/2"
ISTIO = "Istio's translation as an Envoy pair, mTLS, HTTP/1.1"
CLEW = "clew's pair, mTLS, HTTP/2"
UNCOUNTED, PLACELESS = "the same, which counts nothing", "and has no places for policies"
AGAINST_MINIMAL, AGAINST_ISTIO = 0.95, 1.6
# Istio's default is to count.
NO_METRICS = """
apiVersion: telemetry.istio.io/v1
kind: Telemetry
metadata: {name: told, namespace: istio-system}
spec: {metrics: [{overrides: [{disabled: true}]}]}
---
"""
# EnvoyFilters know the filters of policies under Istio's name.
_NO_PLACES = """
apiVersion: networking.istio.io/v1alpha3
kind: EnvoyFilter
metadata: {name: no-places, namespace: istio-system}
spec:
  configPatches:
  - applyTo: HTTP_FILTER
    match:
      context: SIDECAR_INBOUND
      listener:
        filterChain:
          filter:
            name: envoy.filters.network.http_connection_manager
            subFilter: {name: envoy.filters.http.rbac}
    patch: {operation: REMOVE}
---
"""
_CLEWS = {CLEW: "", UNCOUNTED: NO_METRICS, PLACELESS: NO_METRICS + _NO_PLACES}
# Every address of 127.0.0.0/8 is this machine's.
SERVER_ADDRESS = "127.0.2.1"
SERVER = """
apiVersion: v1
kind: Service
metadata: {name: server, namespace: default}
spec:
  ports: [{name: http, port: 80, targetPort: 8080}]
  selector: {app: server}
---
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: {name: server-0, namespace: default}
spec:
  address: 127.0.2.1
  labels: {app: server, version: v1, security.istio.io/tlsMode: istio}
  serviceAccount: default
"""


@dataclass(frozen=True, slots=True)
class Way:
    """Where to send requests, and the proxies on the way."""

    port: int
    pids: Sequence[int] = ()


def main(seconds: int = 4, rounds: int = 5) -> None:
    if missing := missing_tools():
        print(f"\nsidecars: skipped, needs {', '.join(missing)} (tests/setup-host)")
        return
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        ways = _ways(Path(name), stack)
        for way in ways.values():
            measure(url_of(way), way.pids, seconds=1)  # connections, caches
        # In turn, and ratios within a round: what else the machine does concerns all.
        samples: dict[str, list[Sample]] = {name: [] for name in ways}
        for _ in range(rounds):
            for name, way in ways.items():
                samples[name].append(measure(url_of(way), way.pids, seconds=seconds))
    _show(samples)


def _ways(folder: Path, stack: ExitStack) -> dict[str, Way]:
    """Start everything; what is not under load just waits."""
    certificates = folder / "certificates"
    certificates.mkdir()
    write_certificates(certificates)
    application, canary = (
        run_application(folder / "v1", stack),
        run_application(folder / "v2", stack),
    )
    pairs = {
        MINIMAL: (peers.minimal_client, peers.minimal_server),
        ISTIO: (peers.istio_client, peers.istio_server),
    }
    return {
        DIRECT: Way(application),
        NGINX: _weighted_nginx(folder / "nginx", {application: 80, canary: 20}, stack),
        **{
            name: static_pair(folder / str(number), halves, application, certificates, stack)
            for number, (name, halves) in enumerate(pairs.items())
        },
        **{
            name: clew_pair(folder / f"clew-{number}", objects, application, stack, number)
            for number, (name, objects) in enumerate(_CLEWS.items())
        },
    }


def run_application(folder: Path, stack: ExitStack) -> int:
    port = free_port()
    _nginx(folder, peers.backend(port, folder), LOAD_CORE, stack)
    return port


def _weighted_nginx(folder: Path, upstreams: dict[int, int], stack: ExitStack) -> Way:
    port = free_port()
    return Way(port, (_nginx(folder, peers.nginx(port, upstreams, folder), PROXY_CORE, stack),))


def _nginx(folder: Path, config: str, core: str, stack: ExitStack) -> int:
    folder.mkdir()
    (folder / "nginx.conf").write_text(config)
    command = ("nginx", "-p", str(folder), "-c", str(folder / "nginx.conf"))
    return stack.enter_context(running(command, core, folder / "log"))


def static_pair(
    folder: Path,
    halves: tuple[peers.Half, peers.Half],
    application: int,
    certificates: Path,
    stack: ExitStack,
) -> Way:
    """Two Envoys with files for configuration."""
    folder.mkdir()
    near, far = free_port(), free_port()
    client, server = halves
    documents = (client(near, far, certificates), server(far, application, certificates))
    pids = []
    for number, document in enumerate(documents):
        file = folder / f"{number}.json"
        file.write_bytes(msgspec.json.encode(document))
        flags = ("--concurrency", "1", "--disable-hot-restart", "--log-level", "warning")
        command = (str(envoy_binary()), "-c", str(file), *flags)
        pids.append(stack.enter_context(running(command, PROXY_CORE, folder / "log")))
    wait_until(lambda: answers(near), folder / "log")
    return Way(near, pids)


def clew_pair(
    state: Path, objects: str, application: int, stack: ExitStack, number: int = 0
) -> Way:
    """Two sidecars as ``clew up`` has them without traffic capture, and their control plane, at
    addresses of their own.
    """
    state.mkdir()
    port, server = free_port(), SERVER_ADDRESS.replace(".2.", f".{number + 2}.")
    mesh = stack.enter_context(control_plane(state))
    apply(mesh, objects + SERVER.replace(SERVER_ADDRESS, server))
    upstreams = {"server.default.svc.cluster.local:80": f"127.0.0.1:{port}"}
    specs = (
        spec_of(state, "server", server, app_ports={"8080": application}),
        spec_of(state, "client", server.replace(".1", ".2"), local_ports=upstreams),
    )
    pids = [stack.enter_context(sidecar(spec, PROXY_CORE)) for spec in specs]
    wait_until(lambda: answers(port), state / "server.log")
    return Way(port, pids)


def answers(port: int) -> bool:
    try:
        with urlopen(url_of(Way(port)), timeout=2) as response:
            return bool(response.status == 200)
    except OSError:
        return False


def url_of(way: Way) -> str:
    return f"http://127.0.0.1:{way.port}/"


def _show(samples: dict[str, list[Sample]]) -> None:
    rows = [_row(name, samples) for name in samples]
    header = ("way", "requests/s", "p50", "p99", "failed", "requests per CPU second")
    show("Requests through sidecars", (*header, "to minimal", "to Istio's"), rows)
    show(
        "clew's pair against the budgets: requests per CPU second",
        ("against", "ratio", "in the rounds", "budget", "met"),
        [
            _budget(MINIMAL, samples, AGAINST_MINIMAL),
            _budget(ISTIO, samples, AGAINST_ISTIO),
        ],
    )


def _row(name: str, samples: dict[str, list[Sample]]) -> tuple[str, ...]:
    """Medians of the rounds, and all failures."""
    own = samples[name]
    row = (
        name,
        f"{median(sample.per_second for sample in own):,.0f}",
        f"{median(sample.p50_ms for sample in own):.2f} ms",
        f"{median(sample.p99_ms for sample in own):.2f} ms",
        str(sum(sample.failed for sample in own)),
    )
    if not own[0].cpu_seconds:
        return (*row, "", "", "")
    worth = median(sample.per_cpu_second for sample in own)
    ratios = (median(_ratios(name, peer, samples)) for peer in (MINIMAL, ISTIO))
    return (*row, f"{worth:,.0f}", *(f"{ratio:.2f}" for ratio in ratios))


def _budget(peer: str, samples: dict[str, list[Sample]], budget: float) -> tuple[str, ...]:
    ratios = _ratios(CLEW, peer, samples)
    spread = f"{min(ratios):.2f} to {max(ratios):.2f}"
    met = verdict(median(ratios), budget, at_least=True)
    return peer, f"{median(ratios):.2f}", spread, f">= {budget}", met


def _ratios(name: str, peer: str, samples: dict[str, list[Sample]]) -> list[float]:
    """Requests per CPU second against the peer's in the same round."""
    rounds = zip(samples[name], samples[peer], strict=True)
    return [own.per_cpu_second / other.per_cpu_second for own, other in rounds]
