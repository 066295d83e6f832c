"""What the control plane says of itself."""

from __future__ import annotations

import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import httpx2

from clew.model.base import ResourceKey
from clew.model.xds import CLUSTER, ROUTE
from clew.server.exposition import Counter, Histogram, gauge, page
from clew.server.metrics import Meters, metrics_page
from clew.snapshot.snapshot import build_snapshot
from clew.stores.store import Change
from clew.xds.answers import Acked, Nacked
from tests.envoy.rig import free_port
from tests.manifests import resources_of

SERVICE = "apiVersion: v1\nkind: Service\nmetadata: {name: a}\nspec: {ports: [{port: 80}]}\n"


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def page_of(meters: Meters, **about: object) -> str:
    known: dict[str, object] = {
        "versions": (),
        "refused": (),
        "authority": {},
        "version": "1.2",
        "uptime_seconds": 5.0,
    }
    snapshot = build_snapshot(resources_of(SERVICE))
    return metrics_page(meters, snapshot, **(known | about))  # type: ignore[arg-type]  # a table


def test_numbers_are_written_as_prometheus_reads_them() -> None:
    counter = Counter("a", "Words.")
    counter.add(type='x"y\\')
    counter.add(2, type='x"y\\')
    histogram = Histogram("b", "Words.", (0.1, 1))
    for value in (0.05, 0.1, 0.5, 7):
        histogram.observe(value)
    assert page([counter.lines(), histogram.lines(), gauge("c", "Words.", [((), 0.5)])]) == (
        "# HELP a Words.\n# TYPE a counter\n"
        'a{type="x\\"y\\\\"} 3\n'
        "# HELP b Words.\n# TYPE b histogram\n"
        'b_bucket{le="0.1"} 2\nb_bucket{le="1"} 3\nb_bucket{le="+Inf"} 4\n'
        "b_sum 7.65\nb_count 4\n"
        "# HELP c Words.\n# TYPE c gauge\nc 0.5\n"
    )


def test_answers_of_proxies_are_pushes_and_refusals() -> None:
    meters = Meters(Clock())
    meters.answered(Acked(CLUSTER, {"a": "1"}))
    meters.answered(Acked(CLUSTER, {"a": "2"}))
    meters.answered(Nacked(ROUTE, {"r": "1"}, "no"))
    text = page_of(meters, refused=[ROUTE])
    assert 'pilot_xds_pushes{type="cds"} 2\n' in text
    assert 'pilot_xds_pushes{type="rds"} 1\n' in text
    assert 'pilot_total_xds_rejects{type="rds"} 1\n' in text
    assert "pilot_xds_rds_reject 1\n" in text
    assert "pilot_xds_cds_reject 0\n" in text


def test_changes_are_counted_and_timed() -> None:
    clock = Clock()
    meters = Meters(clock)
    key = ResourceKey("networking.istio.io", "VirtualService", "default", "a")
    clock.now += 0.05
    meters.published([Change(key, 1, None)], began=100.0)
    clock.now += 1.95
    meters.converged(100.0)
    text = page_of(meters)
    assert 'pilot_k8s_cfg_events{type="VirtualService",event="delete"} 1\n' in text
    assert 'pilot_inbound_updates{type="config"} 1\n' in text
    assert 'pilot_push_triggers{type="config"} 1\n' in text
    assert 'pilot_xds_push_time_bucket{le="0.1"} 1\n' in text
    assert 'pilot_proxy_convergence_time_bucket{le="1"} 0\n' in text
    assert 'pilot_proxy_convergence_time_bucket{le="3"} 1\n' in text


def test_the_page_says_what_is_so_at_the_moment() -> None:
    authority = {"citadel_server_csr_count": 3.0, "citadel_server_root_cert_expiry_seconds": 9.5}
    text = page_of(Meters(Clock()), versions=["1.31.0", "1.31.0", "1.30"], authority=authority)
    assert 'pilot_xds{version="1.31.0"} 2\n' in text
    assert "pilot_services 1\n" in text
    assert 'pilot_info{version="1.2"} 1\n' in text
    assert 'istio_build{component="pilot",tag="1.2"} 1\n' in text
    assert "citadel_server_csr_count 3\n" in text
    assert "citadel_server_root_cert_expiry_seconds 9.5\n" in text
    resident = next(x for x in text.splitlines() if x.startswith("process_resident_memory_bytes "))
    assert 10e6 < float(resident.split()[1]) < 10e9


def test_the_page_has_a_port_of_its_own_where_an_address_is_given(tmp_path: Path) -> None:
    port = free_port()
    command = ("server", "--state-dir", str(tmp_path), "--monitoring-address", f"127.0.0.1:{port}")
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen((sys.executable, "-m", "clew", *command), stderr=log)
    try:
        for _ in range(200):
            with suppress(httpx2.TransportError):
                found = httpx2.get(f"http://127.0.0.1:{port}/metrics")
                break
            time.sleep(0.1)
        assert found.status_code == 200
        assert "citadel_server_root_cert_expiry_seconds" in found.text
        assert "pilot_services" in found.text
        assert httpx2.get(f"http://127.0.0.1:{port}/v1/proxies").status_code == 404
    finally:
        process.terminate()
        process.wait(30)
