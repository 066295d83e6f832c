"""Envoy is told what it is to do for a while, and to do as usual afterwards."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

import grpc
import msgspec
import pytest

from clew.agent.directory import ADMIN_SOCKET
from clew.agent.runtime_settings import ProxyRuntime
from clew.api.runtime_settings import METHOD, RuntimeSettings


class ControlPlane:
    """Says what it is told to say; an end of that is the end of the stream."""

    def __init__(self) -> None:
        self.says: asyncio.Queue[RuntimeSettings | None] = asyncio.Queue()

    def unary_stream(self, method: str) -> Any:
        assert method == METHOD
        return self._messages

    async def _messages(self, _body: bytes) -> AsyncIterator[bytes]:
        while (said := await self.says.get()) is not None:
            yield msgspec.json.encode(said)


class Envoy:
    """An admin page that remembers what was posted to it."""

    def __init__(self) -> None:
        self.posted: asyncio.Queue[str] = asyncio.Queue()

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = await reader.readuntil(b"\r\n\r\n")
        self.posted.put_nowait(request.split()[1].decode())
        writer.write(b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n")
        writer.close()

    async def expect(self, *paths: str) -> None:
        assert [await self.posted.get() for _ in paths] == [*paths]


@asynccontextmanager
async def running() -> AsyncIterator[tuple[ControlPlane, Envoy]]:
    control, envoy = ControlPlane(), Envoy()
    with tempfile.TemporaryDirectory(prefix="clew") as directory:
        server = await asyncio.start_unix_server(envoy.answer, Path(directory, ADMIN_SOCKET))
        runtime = ProxyRuntime(directory)
        tasks = [
            asyncio.ensure_future(runtime.run()),
            asyncio.ensure_future(runtime.follow(cast(grpc.aio.Channel, control))),
        ]
        try:
            async with asyncio.timeout(20):
                yield control, envoy
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            server.close()


Scenario = Callable[[ControlPlane, Envoy], Coroutine[Any, Any, None]]


async def until_told_otherwise(control: ControlPlane, envoy: Envoy) -> None:
    control.says.put_nowait(RuntimeSettings(tap_seconds=60))
    await envoy.expect("/runtime_modify?clew.tap=100")
    control.says.put_nowait(RuntimeSettings())
    await envoy.expect("/runtime_modify?clew.tap=")


async def until_the_time_is_up(control: ControlPlane, envoy: Envoy) -> None:
    control.says.put_nowait(RuntimeSettings(tap_seconds=0.2))
    await envoy.expect("/runtime_modify?clew.tap=100", "/runtime_modify?clew.tap=")


async def until_nobody_could_watch(control: ControlPlane, envoy: Envoy) -> None:
    control.says.put_nowait(RuntimeSettings(tap_seconds=60))
    await envoy.expect("/runtime_modify?clew.tap=100")
    control.says.put_nowait(None)
    await envoy.expect("/runtime_modify?clew.tap=")


async def levels_until_their_time_is_up(control: ControlPlane, envoy: Envoy) -> None:
    levels = {"all": "info", "http": "debug", "router": "trace"}
    plain = {"logLevels": levels, "logSeconds": 0.3}
    control.says.put_nowait(msgspec.convert(plain, RuntimeSettings))
    # The connection is not what they depend on.
    control.says.put_nowait(None)
    await envoy.expect("/logging?level=info", "/logging?paths=http:debug,router:trace")
    usual = "/logging?level=warning"
    while (path := await envoy.posted.get()) != usual:
        assert path.startswith("/logging?")
    await envoy.expect("/logging?misc=error")


@pytest.mark.parametrize(
    "scenario",
    [
        until_told_otherwise,
        until_the_time_is_up,
        until_nobody_could_watch,
        levels_until_their_time_is_up,
    ],
)
def test_what_is_wanted_holds(scenario: Scenario) -> None:
    async def run() -> None:
        async with running() as (control, envoy):
            await scenario(control, envoy)

    asyncio.run(run())
