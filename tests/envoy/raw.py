"""HTTP/1.1 as bytes: a server that keeps the heads it gets, and a client that sends anything."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field


@dataclass
class RawServer:
    """Answers each request with its head, and closes. ``heads``: what came, as it came."""

    heads: list[bytes] = field(default_factory=list)
    port: int = 0

    @asynccontextmanager
    async def running(self) -> AsyncIterator[RawServer]:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = int(server.sockets[0].getsockname()[1])
        try:
            yield self
        finally:
            server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            self.heads.append(head.removesuffix(b"\r\n\r\n"))
            fields = b"content-length: %d\r\nconnection: close" % len(head)
            writer.write(b"HTTP/1.1 200 OK\r\n" + fields + b"\r\n\r\n" + head)
            await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            return
        finally:
            writer.close()


async def exchange(port: int, request: bytes) -> bytes:
    """What is answered to these bytes until the answer is complete or the connection closes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        for line in head.lower().split(b"\r\n"):
            if line.startswith(b"content-length:"):
                return head + await reader.readexactly(int(line.partition(b":")[2]))
        return head
    except (asyncio.IncompleteReadError, ConnectionError) as error:
        return getattr(error, "partial", b"")
    finally:
        writer.close()


async def eventually_open(port: int) -> None:
    """Wait until requests are answered by a route."""
    async with asyncio.timeout(20):
        while True:
            with suppress(OSError):
                answer = await exchange(port, b"GET / HTTP/1.1\r\nhost: web.example.com\r\n\r\n")
                if b" 200 " in answer[:20]:
                    return
            await asyncio.sleep(0.02)
