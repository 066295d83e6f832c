"""Each benchmark runs from end to end at a tiny size and prints its tables."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks import (
    compiling,
    convergence,
    istio_cases,
    memory,
    resources,
    sidecars,
    startup,
    streams,
    telemetry,
    traffic,
)
from benchmarks.load import missing_tools

SERVICE_ENTRY = """
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: web, namespace: default}
spec: {hosts: [web.example], ports: [{number: 80, name: http, protocol: HTTP}], resolution: DNS}
"""

needs_tools = pytest.mark.skipif(
    bool(missing_tools()), reason=f"not installed: {', '.join(missing_tools())}"
)


def test_reading_resources_is_measured(capsys: pytest.CaptureFixture[str]) -> None:
    resources.main(count=5)
    assert "Parse and validate 5 VirtualServices" in capsys.readouterr().out


def test_compiling_is_measured_from_cold_and_for_one_change(
    capsys: pytest.CaptureFixture[str],
) -> None:
    compiling.main(services=4, mesh=4, namespaces=2, rounds=1)
    printed = capsys.readouterr().out
    assert "Cold compile of 4 services" in printed
    assert "| VirtualService, scoped | 1 " in printed
    assert "| endpoint, flat         | 1 " in printed


def test_cases_of_istios_benchmark_are_measured(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rendered = tmp_path / "rendered"
    rendered.mkdir()
    (rendered / "one.yaml").write_text(SERVICE_ENTRY)
    proxy = {
        "id": "v0.default",
        "namespace": "default",
        "ip": "1.1.1.1",
        "dns_domain": "default.example.org",
        "labels": {"app": "web"},
    }
    case = {"name": "one", "table": "testCases", "proxy_type": "sidecar", "rendered": "one.yaml"}
    (tmp_path / "bench.json").write_text(json.dumps({"proxy": proxy, "cases": [case]}))
    istio_cases.main(tmp_path, rounds=1)
    assert "| one  | 1       | " in capsys.readouterr().out


def test_every_stream_that_a_change_concerns_is_waited_for(
    capsys: pytest.CaptureFixture[str],
) -> None:
    streams.main(services=4, streams=4, namespaces=2, rounds=2)
    printed = capsys.readouterr().out
    assert "| VirtualService        | 2            | mTLS " in printed
    assert "| endpoint that all see | 4            | plaintext " in printed
    assert "| RSS " in printed


@needs_tools
def test_an_applied_shift_is_seen_by_requests(capsys: pytest.CaptureFixture[str]) -> None:
    convergence.main(rounds=2)
    assert "| the first request that goes the new way | " in capsys.readouterr().out


@needs_tools
def test_every_way_through_sidecars_answers_under_load(
    capsys: pytest.CaptureFixture[str],
) -> None:
    sidecars.main(seconds=1, rounds=1)
    rows = [line.split("|") for line in capsys.readouterr().out.splitlines()]
    failed = {row[1].strip(): row[5].strip() for row in rows if len(row) > 8}
    for way in (sidecars.DIRECT, sidecars.NGINX, sidecars.MINIMAL, sidecars.ISTIO, sidecars.CLEW):
        assert failed[way] == "0"


def test_an_idle_sidecar_is_weighed(capsys: pytest.CaptureFixture[str]) -> None:
    memory.main(sizes=(2,), namespaces=1)
    printed = capsys.readouterr().out
    if "skipped" in printed:
        pytest.skip(printed.strip())
    assert f"| {memory.SEES_OWN} | " in printed


def test_bookinfo_is_timed_until_its_first_page(capsys: pytest.CaptureFixture[str]) -> None:
    startup.main()
    assert "| the first page through the gateway     | " in capsys.readouterr().out


@needs_tools
def test_telling_of_traffic_is_measured_against_silence(
    capsys: pytest.CaptureFixture[str],
) -> None:
    telemetry.main(seconds=1, rounds=1)
    output = capsys.readouterr().out
    assert "metrics, access log, 1 % traces: requests/s to silence" in output


def test_the_cost_of_traffic_is_measured(capsys: pytest.CaptureFixture[str]) -> None:
    traffic.main(edges=4, proxies=2, seconds=3.0)
    assert "Traffic of 4 edges in the control plane" in capsys.readouterr().out
