"""Passes bytes between two networks: connections accepted in one continue in the other."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import struct
from collections.abc import Awaitable, Callable
from typing import cast

log = logging.getLogger("clew.relay")

Address = tuple[str, int]
# Where a connection continues, told from the socket that was accepted.
Target = Callable[[socket.socket], Address]

_CHUNK = 256 * 1024
_CONNECT_SECONDS = 10.0
_SO_ORIGINAL_DST = 80  # linux/netfilter_ipv4.h


def original_destination(accepted: socket.socket) -> Address:
    """Return where the client wanted to go before the packet filter redirected it here."""
    raw = accepted.getsockopt(socket.SOL_IP, _SO_ORIGINAL_DST, 16)
    port, address = struct.unpack_from("!2xH4s", raw)
    return socket.inet_ntoa(address), port


async def serve_relay(listener: socket.socket, target: Target) -> None:
    """Relay every connection that ``listener`` accepts, until cancelled."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            address = target(writer.get_extra_info("socket"))
            await relay(reader, writer, address)
        except OSError as error:
            log.info("connection not relayed error=%s", error)
            _abort(writer)

    server = await asyncio.start_server(serve, sock=listener, limit=_CHUNK)
    async with server:
        await server.serve_forever()


async def relay(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, address: Address
) -> None:
    """Continue one connection at ``address`` until both sides have said all.

    Raises:
        OSError: it cannot be reached.
    """
    async with asyncio.timeout(_CONNECT_SECONDS):
        far_reader, far_writer = await asyncio.open_connection(*address, limit=_CHUNK)
    try:
        await asyncio.gather(_copy(reader, far_writer), _copy(far_reader, writer))
    except OSError:
        _abort(far_writer)
        _abort(writer)
    finally:
        far_writer.close()
        writer.close()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Copy to the end of the stream, then end the other stream in the same direction."""
    while chunk := await reader.read(_CHUNK):
        writer.write(chunk)
        await writer.drain()
    if writer.can_write_eof():
        with contextlib.suppress(OSError):
            writer.write_eof()


def _abort(writer: asyncio.StreamWriter) -> None:
    """Reset, so that the client sees an error rather than an empty answer."""
    writer.transport.abort()


class DatagramRelay(asyncio.DatagramProtocol):
    """Answers each datagram (a DNS question) with what ``ask`` returns for it."""

    def __init__(self, ask: Callable[[bytes], Awaitable[bytes]]) -> None:
        self._ask = ask
        self._tasks: set[asyncio.Task[None]] = set()
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # asyncio's own datagram transport is not declared as a DatagramTransport.
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: Address) -> None:
        task = asyncio.ensure_future(self._answer(data, addr))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _answer(self, question: bytes, client: Address) -> None:
        with contextlib.suppress(OSError):
            answer = await self._ask(question)
            assert self._transport is not None
            self._transport.sendto(answer, client)


async def ask_resolvers(question: bytes, resolvers: tuple[str, ...]) -> bytes:
    """Return the first resolver's answer to a DNS question, asking the next after two seconds.

    Raises:
        OSError: none of them answers.
    """
    for resolver in resolvers:
        with contextlib.suppress(OSError):
            async with asyncio.timeout(2.0):
                return await _ask(question, resolver)
    raise OSError("no resolver answers")


async def _ask(question: bytes, resolver: str) -> bytes:
    loop = asyncio.get_running_loop()
    with socket.socket(_family(resolver), socket.SOCK_DGRAM) as asking:
        asking.setblocking(False)
        await loop.sock_connect(asking, (resolver, 53))
        await loop.sock_sendall(asking, question)
        return await loop.sock_recv(asking, 65535)


def _family(address: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in address else socket.AF_INET
