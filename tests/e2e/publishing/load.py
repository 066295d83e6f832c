"""Backends that say their names, and clients that never stop asking."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

from tests.e2e.publishing.timeline import Outcome
from tests.e2e.publishing.world import ERROR, Target

# Between two requests of one client: enough load to fall into every gap, not all of the machine.
_PAUSE_SECONDS = 0.002
_PATIENCE_SECONDS = 10.0


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, name: str) -> None:
    body = f"HTTP/1.1 200 OK\r\ncontent-length: {len(name)}\r\n\r\n{name}".encode()
    try:
        while True:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(body)
            await writer.drain()
    except (asyncio.IncompleteReadError, OSError):
        return
    finally:
        writer.close()


@asynccontextmanager
async def backends(names: Sequence[str]) -> AsyncIterator[Mapping[str, int]]:
    """HTTP servers on loopback; yields the port of each."""

    def serving(name: str) -> asyncio.Future[asyncio.Server]:
        return asyncio.ensure_future(
            asyncio.start_server(lambda r, w: _answer(r, w, name), "127.0.0.1", 0)
        )

    servers = {name: await serving(name) for name in names}
    try:
        yield {name: int(s.sockets[0].getsockname()[1]) for name, s in servers.items()}
    finally:
        for server in servers.values():
            server.close()


async def ask(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, host: str, path: str
) -> tuple[int, str]:
    """One request on a connection that is kept: status and body."""
    writer.write(f"GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
    head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
    length = int(head.partition("content-length: ")[2].partition("\r\n")[0] or 0)
    body = (await reader.readexactly(length)).decode()
    return int(head.split()[1]), body


@dataclass
class Clients:
    """Each client goes round its targets on one connection per place."""

    ports: Mapping[str, int]  # by place
    targets: list[Target]
    outcomes: list[Outcome] = field(default_factory=list)

    @asynccontextmanager
    async def running(self, count: int) -> AsyncIterator[None]:
        clients = [
            asyncio.ensure_future(self._client(place, number))
            for number in range(count)
            for place in self.ports
        ]
        try:
            yield
        finally:
            for client in clients:
                client.cancel()
            await asyncio.gather(*clients, return_exceptions=True)

    async def _client(self, place: str, number: int) -> None:
        while True:
            with suppress(OSError):
                reader, writer = await asyncio.open_connection("127.0.0.1", self.ports[place])
                try:
                    await self._ask_for_ever(reader, writer, place, number)
                finally:
                    writer.close()
            await asyncio.sleep(_PAUSE_SECONDS)

    async def _ask_for_ever(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, place: str, turn: int
    ) -> None:
        """Until the connection ends, which is an outcome too if a request was on its way."""
        while True:
            targets = [target for target in self.targets if target.place == place]
            target = targets[turn % len(targets)]
            turn += 1
            began = time.monotonic()
            try:
                async with asyncio.timeout(_PATIENCE_SECONDS):
                    status, body = await ask(reader, writer, target.host, target.path)
            except (OSError, asyncio.IncompleteReadError, TimeoutError) as error:
                self._add(target, began, ERROR, type(error).__name__)
                return
            self._add(target, began, body if status == 200 else ERROR, f"{status} {body[:60]}")
            await asyncio.sleep(_PAUSE_SECONDS)

    def _add(self, target: Target, began: float, got: str, detail: str) -> None:
        self.outcomes.append(Outcome(target, began, time.monotonic(), got, detail))
