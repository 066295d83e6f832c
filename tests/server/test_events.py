"""Server-sent events: what changed, at once, without a poll."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx2

from clew.api.async_client import AsyncClient
from tests.server.api_server import with_server
from tests.server.shop import ROUTES, SHOP


@asynccontextmanager
async def listening(socket: Path) -> AsyncIterator[AsyncIterator[str]]:
    transport = httpx2.AsyncHTTPTransport(uds=str(socket))
    async with (
        httpx2.AsyncClient(transport=transport, base_url="http://clew", timeout=10) as client,
        client.stream("GET", "/v1/events") as response,
    ):
        assert response.headers["content-type"].startswith("text/event-stream")
        assert response.headers["cache-control"] == "no-store"
        yield aiter(response.aiter_lines())


async def event(lines: AsyncIterator[str]) -> tuple[str, dict[str, object]]:
    name = ""
    async for line in lines:
        if line.startswith("event: "):
            name = line.removeprefix("event: ")
        if line.startswith("data: "):
            return name, json.loads(line.removeprefix("data: "))
    raise AssertionError("the stream ended")


def test_a_change_is_told_with_the_objects_that_it_concerns() -> None:
    async def scenario(client: AsyncClient, socket: Path) -> None:
        async with listening(socket) as lines:
            assert await event(lines) == ("objects", {"revision": 0, "keys": []})
            await client.apply(ROUTES)
            found = [await event(lines), await event(lines)]
            names = dict(found)
            assert names.keys() == {"objects", "proxies"}
            assert names["objects"]["keys"] == [{
                "group": "networking.istio.io", "kind": "VirtualService",
                "namespace": "default", "name": "reviews",
            }]  # fmt: skip

    asyncio.run(with_server(scenario))


def test_a_burst_of_changes_is_few_events() -> None:
    async def scenario(client: AsyncClient, socket: Path) -> None:
        async with listening(socket) as lines:
            await event(lines)
            began = time.monotonic()
            for number in range(30):
                await client.apply(SHOP.replace("port: 9080}]\n", f"port: {9000 + number}}}]\n"))
            last, count = 0, 0
            while last < 33:
                name, data = await event(lines)
                if name == "objects":
                    last, count = int(str(data["revision"])), count + 1
            # However long the changes take on a busy machine: five a second, and one at each end.
            assert count <= 5 * (time.monotonic() - began) + 2

    asyncio.run(with_server(scenario))
