"""What it costs the control plane to know the traffic of 1,000 edges."""

from __future__ import annotations

import asyncio
import gc
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.serving import authority_in
from benchmarks.stream_clients import Group
from benchmarks.streams import resident_megabytes, write_certificates
from benchmarks.table import show, verdict
from benchmarks.traffic_clients import NAMESPACE, report
from clew.api.traffic_report import REPORT_SECONDS
from clew.model.proxy import Proxy, ProxyType
from clew.server.http2.server import GrpcServer
from clew.server.listening import listen
from clew.server.mtls import ServingCertificate
from clew.server.traffic_api import TrafficApi
from clew.server.traffic_reports import Reporter, TrafficReports
from clew.server.traffic_window import (
    COARSE_SECONDS,
    COARSE_STEPS,
    FINE_SECONDS,
    FINE_STEPS,
    PER_COARSE,
    TrafficWindow,
)

CPU_BUDGET, MEMORY_BUDGET = 5.0, 100.0


def main(edges: int = 1000, proxies: int = 200, seconds: float = 20.0) -> None:
    memory, reports = full_window(edges, proxies)
    page = asyncio.run(_page_milliseconds(reports))
    cpu, calls = asyncio.run(_cpu_percent(edges // proxies, proxies, seconds))
    rows = [
        (
            f"CPU, {proxies} proxies, {calls:.0f} reports/s over mTLS",
            f"{cpu:.1f} % of a core",
            f"< {CPU_BUDGET:.0f} %",
            verdict(cpu, CPU_BUDGET),
        ),
        (
            "memory, six hours without a pause",
            f"{memory:.0f} MB",
            f"< {MEMORY_BUDGET:.0f} MB",
            verdict(memory, MEMORY_BUDGET),
        ),
        ("GET /v1/traffic, CPU", f"{page:.0f} ms", "", ""),
    ]
    show(f"Traffic of {edges} edges in the control plane", ("what", "is", "budget", "met"), rows)


def _proxy(number: int) -> Proxy:
    return Proxy(
        type=ProxyType.SIDECAR,
        name=f"proxy-{number}",
        namespace=NAMESPACE,
        ip="10.200.0.1",
        labels=(("app", f"svc-{number}"), ("version", "v1")),
        metadata=(("WORKLOAD_NAME", f"svc-{number}-v1"),),
    )


def full_window(edges: int, proxies: int) -> tuple[float, TrafficReports]:
    """Fill all that the window keeps; return how many megabytes that took."""
    clock = [1_000_000.0]
    messages = [report(number, edges // proxies, proxies, 1) for number in range(proxies)]
    gc.collect()
    before = resident_megabytes()
    reports = TrafficReports(TrafficWindow(began=clock[0]), lambda: clock[0])
    reporters = [_known(reports, number) for number in range(proxies)]
    times = [COARSE_SECONDS] * COARSE_STEPS + [FINE_SECONDS] * (FINE_STEPS + PER_COARSE)
    for later in times:
        clock[0] += later
        for reporter, message in zip(reporters, messages, strict=True):
            reports.take(reporter, message, clock[0])
    gc.collect()
    return resident_megabytes() - before, reports


def _known(reports: TrafficReports, number: int) -> Reporter:
    reports.come(_proxy(number))
    return reports.meet(f"proxy-{number}.{NAMESPACE}", "spiffe://cluster.local/ns/ns-0/sa/default")


async def _page_milliseconds(reports: TrafficReports, rounds: int = 5) -> float:
    api, took = TrafficApi(reports), []
    for _ in range(rounds):
        begin = time.process_time()
        await api.graph(60)
        took.append((time.process_time() - begin) * 1000)
    return min(took)


async def _cpu_percent(edges: int, proxies: int, seconds: float) -> tuple[float, float]:
    """The share of a core while agents report, and how many reports there were a second."""
    began = time.monotonic()
    reports = TrafficReports(TrafficWindow(began=began), time.monotonic)
    for number in range(proxies):
        reports.come(_proxy(number))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_certificates(folder, Group(namespace=NAMESPACE, count=proxies))
        authority = authority_in(folder)
        certificate = ServingCertificate(lambda: authority, "cluster.local")
        server = GrpcServer(
            listen(f"unix:{folder}/xds.sock"), reports.methods(), certificate.mutual
        )
        arguments = (str(folder), str(proxies), str(edges))
        clients = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "benchmarks.traffic_clients", *arguments
        )
        try:
            while len(reports.reporters) < proxies:  # noqa: ASYNC110  # they are elsewhere
                await asyncio.sleep(0.2)
            counted, used = reports.taken, time.process_time()
            await asyncio.sleep(seconds)
            taken = max(reports.taken - counted, 1)
            # As on a machine on which no agent comes late.
            rate = proxies / REPORT_SECONDS
            return (time.process_time() - used) / taken * rate * 100, rate
        finally:
            clients.kill()
            await clients.wait()
            await server.stop()
