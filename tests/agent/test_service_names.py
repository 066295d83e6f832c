from __future__ import annotations

import asyncio
from pathlib import Path

from clew.agent.service_names import ServiceNames
from clew.agent.spec import AgentSpec
from clew.api.async_client import AsyncClient
from tests.server.api_server import with_server
from tests.server.test_service_addresses import HEADLESS, POD, SERVICE, manifest
from tests.stores.memory import MemoryStore
from tests.stores.objects import noon, put

HOST = "web.default.svc.cluster.local"


def test_names_follow_the_services_and_stay_when_the_control_plane_goes() -> None:
    store = MemoryStore(now=noon)
    known = ServiceNames()
    following: list[asyncio.Future[None]] = []

    async def scenario(_: AsyncClient, socket: Path) -> None:
        spec = AgentSpec(
            mesh="m",
            type="sidecar",
            name="a-0",
            namespace="default",
            workload="a",
            ip="10.200.0.9",
            api=f"unix:{socket}",
        )
        await put(store, manifest(SERVICE))
        first = asyncio.Event()
        following.append(asyncio.ensure_future(known.follow(spec, first)))
        async with asyncio.timeout(10):
            await first.wait()
            assert known.names == {HOST: ("10.208.0.1",)}
            await put(store, manifest(HEADLESS))
            await put(store, manifest(POD))
            while len(known.names) < 2:  # noqa: ASYNC110  # told by nobody
                await asyncio.sleep(0.01)

    async def whole() -> None:
        await with_server(scenario, store)
        assert known.names[HOST] == ("10.208.0.1",)
        assert known.names["db.default.svc.cluster.local"] == ("10.200.0.10",)
        following[0].cancel()
        await asyncio.gather(*following, return_exceptions=True)

    asyncio.run(whole())
