"""The names of the mesh's services for a workload without a proxy: what kube-dns is on Kubernetes.

Such a workload has no identity to ask for a name table with, and no namespace's view to hold to.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from pathlib import Path

from clew.agent.backoff import delays
from clew.agent.dns_answers import Names
from clew.agent.spec import AgentSpec
from clew.api.answers import ApiError, Unreachable, WatchEnded
from clew.api.async_client import AsyncClient


class ServiceNames:
    """The last ones stay when the control plane is away."""

    def __init__(self) -> None:
        self.names: Names = {}

    async def follow(self, spec: AgentSpec, first: asyncio.Event) -> None:
        """Keep the names up to date until cancelled; ``first`` is set when there are any."""
        async with AsyncClient(Path(spec.api.removeprefix("unix:"))) as client:
            while True:
                for delay in delays(0.1, 10.0):
                    took = await self._take(client, first)
                    await asyncio.sleep(delay)
                    if took:
                        break

    async def _take(self, client: AsyncClient, first: asyncio.Event) -> bool:
        """Take names over for as long as they come; return whether any came."""
        took = False
        with suppress(Unreachable, WatchEnded, ApiError):
            async for services in client.service_addresses():
                self.names = {
                    host.lower(): addresses
                    for service in services.values()
                    for host, addresses in service.names.items()
                }
                took = True
                first.set()
        return took
