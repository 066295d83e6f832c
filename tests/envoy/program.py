"""The program behind a proxy, or a server that it asks: HTTP/1.1 on loopback, in this process."""

from __future__ import annotations

import asyncio
import re
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


def response(body: bytes = b"", *, status: str = "200 OK", fields: tuple[str, ...] = ()) -> bytes:
    """A whole response; ``fields``: more lines of its head."""
    lines = (f"HTTP/1.1 {status}", f"content-length: {len(body)}", *fields, "", "")
    return "\r\n".join(lines).encode() + body


@asynccontextmanager
async def serving(
    answer: Callable[[bytes], bytes], *, tls: ssl.SSLContext | None = None
) -> AsyncIterator[int]:
    """A server whose ``answer`` to the head of a request is a whole response; yields its port."""

    connections: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                if length := _LENGTH.search(head):
                    await reader.readexactly(int(length[1]))
                writer.write(answer(head))
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.transport.abort()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = asyncio.ensure_future(serve(reader, writer))
        connections.add(connection)
        connection.add_done_callback(connections.discard)

    server = await asyncio.start_server(accept, "127.0.0.1", 0, ssl=tls)
    try:
        yield int(server.sockets[0].getsockname()[1])
    finally:
        server.close()
        for connection in connections:
            connection.cancel()
        await asyncio.gather(*connections, return_exceptions=True)


def backend(says: str) -> AbstractAsyncContextManager[int]:
    """A server that always says the same."""
    return serving(lambda head: response(says.encode()))


def echo(tls: ssl.SSLContext | None = None) -> AbstractAsyncContextManager[int]:
    """A server that answers with the head of the request."""
    return serving(response, tls=tls)
