"""One change, and when the last of many connected streams has the last byte."""

from __future__ import annotations

import asyncio
import re
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import median

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from benchmarks.fleet import (
    SHARED,
    Manifest,
    endpoint_slice,
    fleet,
    resources,
    virtual_service,
    workload,
)
from benchmarks.serving import TRUST_DOMAIN, WatchedDirectory, authority_in, logging_to, serving
from benchmarks.stream_clients import Group, Plan
from benchmarks.table import show, verdict
from clew.agent.certificates import new_key, signing_request
from clew.ca.authority import issue
from clew.model.names import spiffe_id
from clew.server.garbage import collect_rarely, spare_the_collector
from clew.server.mtls import proxy_dns_name
from clew.server.publisher import Publisher

ENDPOINTS = 10
TYPES = 4  # that a proxy subscribes to: clusters, endpoints, listeners, routes
MEMORY_BUDGET = 400


@dataclass(frozen=True, slots=True)
class Case:
    """One change and the way back, the streams it concerns, and the budget in milliseconds."""

    what: str
    there: Manifest
    back: Manifest
    streams: int
    budget: float


def main(services: int = 5000, streams: int = 1000, namespaces: int = 50, rounds: int = 7) -> None:
    asyncio.run(_main(services, streams, namespaces, rounds))


async def _main(services: int, streams: int, namespaces: int, rounds: int) -> None:
    collect_rarely()
    manifests = fleet(services, ENDPOINTS, namespaces=namespaces)
    publisher = Publisher(resources(manifests))
    # Beyond the numbers of the fleet, so that addresses differ.
    shared = list(resources(workload("shared", SHARED, services + 1, ENDPOINTS)))
    publisher.change((each.key, each) for each in shared)
    spare_the_collector()
    cases = _cases(services, streams, namespaces)
    rows, memory = [], 0.0
    for secure in (True, False):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            with logging_to(folder / "server.log"):
                async with (
                    serving(folder, publisher, secure=secure) as directory,
                    _clients(folder, streams, namespaces, secure=secure) as clients,
                ):
                    await directory.heard(streams * TYPES)
                    memory = memory or resident_megabytes()
                    for case in cases:
                        rows.append(await _row(case, directory, clients, rounds, secure=secure))
    mesh = f"{services} services and {services * ENDPOINTS} endpoints, {streams} streams"
    header = (
        "what",
        "streams told",
        "transport",
        "median",
        "of which compiling",
        "CPU per stream",
        "budget",
    )
    show(f"One change, until the last byte is there: {mesh}", (*header, "met"), rows)
    show(
        f"Memory of the control plane: {mesh}",
        ("what", "is", "budget", "met"),
        [("RSS", f"{memory:.0f} MB", f"< {MEMORY_BUDGET} MB", verdict(memory, MEMORY_BUDGET))],
    )


def _cases(services: int, streams: int, namespaces: int) -> list[Case]:
    few = streams // namespaces
    routes = [virtual_service("svc-0", "ns-0", 100, timeout=text) for text in ("4s", "3s")]
    counts = (ENDPOINTS - 1, ENDPOINTS)
    places = [endpoint_slice("svc-0", "ns-0", 0, count) for count in counts]
    first = (services + 1) * ENDPOINTS
    shared = [endpoint_slice("shared", SHARED, first, count) for count in counts]
    return [
        Case("VirtualService", routes[0], routes[1], few, 5),
        Case("endpoint", places[0], places[1], few, 5),
        Case("endpoint that all see", shared[0], shared[1], streams, 60),
    ]


async def _row(
    case: Case,
    directory: WatchedDirectory,
    clients: asyncio.subprocess.Process,
    rounds: int,
    *,
    secure: bool,
) -> tuple[str, ...]:
    took, computing, cpu = [], [], []
    for change in resources([case.there, case.back] * ((rounds + 1) // 2)):
        await _say(clients, f"{case.streams}\n")
        verdicts, used, start = directory.verdicts, time.process_time(), time.monotonic()
        directory.publisher.change([(change.key, change)])
        computed = time.monotonic()
        arrived = float(await _line(clients))
        await directory.heard(verdicts + case.streams)
        assert directory.verdicts == verdicts + case.streams, "more than one message per stream"
        cpu.append((time.process_time() - used) * 1_000_000 / case.streams)
        took.append((arrived - start) * 1000)
        computing.append((computed - start) * 1000)
    return (
        case.what,
        str(case.streams),
        "mTLS" if secure else "plaintext",
        f"{median(took):.1f} ms",
        f"{median(computing):.1f} ms",
        f"{median(cpu):.0f} µs",
        f"< {case.budget} ms",
        verdict(median(took), case.budget),
    )


@asynccontextmanager
async def _clients(
    folder: Path, streams: int, namespaces: int, *, secure: bool
) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run the proxies, in a process of their own, until all have what they asked for."""
    plan = _write_plan(folder, streams, namespaces, secure=secure)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "benchmarks.stream_clients", str(plan)),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        await _line(process)
        yield process
    finally:
        process.kill()
        await process.wait()


def _write_plan(folder: Path, streams: int, namespaces: int, *, secure: bool) -> Path:
    names = [f"ns-{number}" for number in range(namespaces)]
    groups = tuple(Group(namespace=name, count=streams // namespaces) for name in names)
    if secure:
        for group in groups:
            write_certificates(folder, group)
    plan = Plan(
        socket=str(folder / "xds.sock"),
        certificates=str(folder) if secure else "",
        routes=("9080",),
        groups=groups,
    )
    file = folder / "plan.json"
    file.write_bytes(msgspec.json.encode(plan))
    return file


def write_certificates(folder: Path, group: Group) -> None:
    """One for each proxy, which names it."""
    authority = authority_in(folder)
    key, identity = new_key(), spiffe_id(TRUST_DOMAIN, group.namespace, "default")
    request = signing_request(key, identity)
    private_key = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ).decode()
    for number in range(group.count):
        proxy = f"proxy-{number}.{group.namespace}"
        *chain, root = issue(
            authority,
            request,
            identity,
            now=datetime.now(UTC),
            serial=x509.random_serial_number(),
            dns_names=[proxy_dns_name(proxy)],
        )
        (folder / f"{proxy}.pem").write_text("".join((private_key, *chain)))
        (folder / "root.pem").write_text(root)


async def _say(process: asyncio.subprocess.Process, line: str) -> None:
    """Send a line, and wait until it has been read."""
    assert process.stdin is not None
    process.stdin.write(line.encode())
    await process.stdin.drain()
    await _line(process)


async def _line(process: asyncio.subprocess.Process) -> str:
    assert process.stdout is not None
    line = await process.stdout.readline()
    if not line:
        raise RuntimeError("the clients ended; their last words are above")
    return line.decode()


def resident_megabytes() -> float:
    text = Path("/proc/self/status").read_text()
    [kilobytes] = re.findall(r"^VmRSS:\s+(\d+) kB", text, re.M)
    return int(kilobytes) / 1024
