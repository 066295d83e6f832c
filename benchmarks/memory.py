"""Private memory of a sidecar that has its configuration and no traffic."""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
from contextlib import ExitStack
from pathlib import Path

from benchmarks.fleet import fleet, resources
from benchmarks.load import ANY_CORE, private_megabytes
from benchmarks.processes import sidecar, spec_of
from benchmarks.serving import WatchedDirectory, serving
from benchmarks.table import show, verdict
from clew.agent.spec import Capture
from clew.server.publisher import Publisher

BUDGET, BUDGET_SERVICES = 25, 5000
ENDPOINTS = 10
SEES_ALL, SEES_OWN = "every service", "its own namespace (Sidecar)"
# Envoy gives memory that it needed for the configuration back a little later.
IDLE_SECONDS = 2.0


def main(sizes: tuple[int, ...] = (0, 100, 1000, BUDGET_SERVICES), namespaces: int = 50) -> None:
    if missing := [tool for tool in ("unshare", "nft", "ip") if not _found(tool)]:
        print(f"\nmemory: skipped, needs {', '.join(missing)} (tests/setup-host)")
        return
    cases = [(services, False) for services in sizes] + [(sizes[-1], True)]
    rows = [asyncio.run(_row(services, namespaces, scoped=scoped)) for services, scoped in cases]
    title = f"Private memory of an idle sidecar, services with {ENDPOINTS} endpoints each"
    show(title, ("services", "it sees", "Envoy", "its agent", "budget", "met"), rows)


async def _row(services: int, namespaces: int, *, scoped: bool) -> tuple[str, ...]:
    envoy, agent = await _measure(services, namespaces, scoped=scoped)
    row = (str(services), SEES_OWN if scoped else SEES_ALL, f"{envoy:.1f} MB", f"{agent:.1f} MB")
    if services < BUDGET_SERVICES:
        return (*row, "", "")
    return (*row, f"< {BUDGET} MB", verdict(envoy, BUDGET))


async def _measure(services: int, namespaces: int, *, scoped: bool) -> tuple[float, float]:
    """Run a sidecar as it runs with traffic capture, in a network namespace of its own."""
    manifests = fleet(services, ENDPOINTS, namespaces=namespaces, scoped=scoped)
    publisher = Publisher(resources(manifests))
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        spec = spec_of(folder, "idle", "10.200.0.1", namespace="ns-0", capture=Capture.NETNS)
        async with serving(folder, publisher) as directory:
            running = sidecar(spec, ANY_CORE, _own_network())
            # Its start waits for what this event loop serves.
            envoy = await asyncio.to_thread(stack.enter_context, running)
            await directory.until(lambda: _has_everything(directory))
            await asyncio.sleep(IDLE_SECONDS)
            return private_megabytes(envoy), private_megabytes(_parent(envoy))


def _has_everything(directory: WatchedDirectory) -> bool:
    types = [t for proxy in directory.status() for t in proxy.types.values()]
    return bool(types) and all(t.state == "acked" for t in types)


def _own_network() -> tuple[str, ...]:
    user = () if os.geteuid() == 0 else ("--user", "--map-root-user")
    return ("unshare", *user, "--net", "sh", "-c", 'ip link set lo up && exec "$@"', "sh")


def _parent(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def _found(tool: str) -> str | None:
    return shutil.which(tool, path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin")
