"""What telling of traffic costs: clew's pair with metrics, access log and traces, and without.

The minimal pair beside it tells the least that Envoy can: no configuration costs less.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from statistics import median

from benchmarks import peers
from benchmarks.certificates import write_certificates
from benchmarks.load import Sample, measure, missing_tools
from benchmarks.sidecars import (
    NO_METRICS,
    Way,
    clew_pair,
    run_application,
    static_pair,
    url_of,
)
from benchmarks.table import show, verdict

SILENT, METRICS, LOG = "nothing is told", "metrics", "access log"
ALL = "metrics, access log, 1 % traces"
MINIMAL, LEAST = "minimal pair: nothing", "minimal pair: one counter, the code, 1 % traces"
SILENCE = {METRICS: SILENT, LOG: SILENT, ALL: SILENT, LEAST: MINIMAL}
ENOUGH = 0.90
# Istio's default is to count and not to log.
_LOG = "accessLogFile: access.log"
_TRACES = """
extensionProviders:
- {name: otel, opentelemetry: {service: spans.example, port: 80, http: {path: /v1/traces}}}
defaultProviders: {tracing: [otel]}
"""
_MESH = """
apiVersion: v1
kind: ConfigMap
metadata: {{name: istio, namespace: istio-system}}
data:
  mesh: |
    {lines}
---
"""
# Spans are received by what receives everything here.
_COLLECTOR = """
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{name: spans, namespace: default}}
spec:
  hosts: [spans.example]
  ports: [{{number: 80, name: http, protocol: HTTP}}]
  resolution: STATIC
  endpoints: [{{address: 127.0.0.1, ports: {{http: {port}}}}}]
---
"""


def main(seconds: int = 3, rounds: int = 7) -> None:
    if missing := missing_tools():
        print(f"\ntelemetry: skipped, needs {', '.join(missing)} (tests/setup-host)")
        return
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        port = run_application(folder / "app", stack)
        objects = {
            SILENT: NO_METRICS,
            METRICS: "",
            LOG: NO_METRICS + _mesh(_LOG),
            ALL: _mesh(_LOG + _TRACES) + _COLLECTOR.format(port=port),
        }
        ways = {
            name: clew_pair(folder / str(number), text, port, stack, number)
            for number, (name, text) in enumerate(objects.items())
        } | _minimal_pairs(folder, port, stack)
        for way in ways.values():
            measure(url_of(way), way.pids, seconds=1)
        samples: dict[str, list[Sample]] = {name: [] for name in ways}
        for _ in range(rounds):
            for name, way in ways.items():
                samples[name].append(measure(url_of(way), way.pids, seconds=seconds))
    _show(samples)


def _minimal_pairs(folder: Path, application: int, stack: ExitStack) -> dict[str, Way]:
    certificates = folder / "certificates"
    certificates.mkdir()
    write_certificates(certificates)
    client, server = peers.minimal_client, peers.minimal_server
    pairs = {
        MINIMAL: (client, server),
        LEAST: (peers.telling(client, application), peers.telling(server, application)),
    }
    return {
        name: static_pair(folder / f"minimal-{number}", pair, application, certificates, stack)
        for number, (name, pair) in enumerate(pairs.items())
    }


def _mesh(settings: str) -> str:
    return _MESH.format(lines="\n    ".join(settings.strip().splitlines()))


def _show(samples: dict[str, list[Sample]]) -> None:
    rows = [_row(name, samples) for name in samples]
    header = ("the pair tells", "requests/s", "p50", "failed", "CPU per request")
    show("Telling of traffic", (*header, "requests/s to silence", "per CPU second"), rows)
    for words, value in (
        ("requests/s", _per_second),
        ("requests per CPU second", _per_cpu_second),
    ):
        ratio = median(_ratios(ALL, samples, value))
        met = verdict(ratio, ENOUGH, at_least=True)
        show(
            f"{ALL}: {words} to silence",
            ("ratio", "budget", "met"),
            [(f"{ratio:.2f}", f">= {ENOUGH}", met)],
        )


def _row(name: str, samples: dict[str, list[Sample]]) -> tuple[str, ...]:
    own = samples[name]
    return (
        name,
        f"{median(each.per_second for each in own):,.0f}",
        f"{median(each.p50_ms for each in own):.2f} ms",
        str(sum(each.failed for each in own)),
        f"{1e6 / median(each.per_cpu_second for each in own):.1f} µs",
        f"{median(_ratios(name, samples, _per_second)):.2f}",
        f"{median(_ratios(name, samples, _per_cpu_second)):.2f}",
    )


def _per_second(sample: Sample) -> float:
    return sample.per_second


def _per_cpu_second(sample: Sample) -> float:
    return sample.per_cpu_second


def _ratios(
    name: str, samples: dict[str, list[Sample]], value: Callable[[Sample], float]
) -> list[float]:
    """Against silence in the same round."""
    silent = samples[SILENCE.get(name, name)]
    return [value(own) / value(other) for own, other in zip(samples[name], silent, strict=True)]
