"""The workload's DNS server: UDP and TCP, mesh names from memory, others from the resolvers."""

from __future__ import annotations

import asyncio
import logging
import socket
import struct
from collections.abc import Callable
from contextlib import suppress

import dns.exception
import dns.message
import dns.rcode

from clew.agent.capture import PROXY_MARK
from clew.agent.dns_answers import (
    Names,
    Place,
    answer,
    answer_by_alias,
    ask_for,
    canonical_name,
    encode_udp,
    failure,
)
from clew.agent.spec import AgentSpec, Capture

log = logging.getLogger("clew.agent")

_DNS_PORT = 53
_UPSTREAM_SECONDS = 2.0
_IDLE_SECONDS = 10.0
# What the workload may have under way at once; more is dropped, and asked again by its resolver.
_MOST_QUERIES = 256
_MOST_CONNECTIONS = 64
_HOST = "127.0.0.1"


class DnsFailed(Exception):
    """The workload's DNS server cannot listen; its names would go unanswered."""


class DnsServer:
    """Serves until cancelled. ``names`` is asked anew for each query."""

    def __init__(self, spec: AgentSpec, names: Callable[[], Names]) -> None:
        self._spec = spec
        self._names = names
        self._place = Place(namespace=spec.namespace, domain=spec.domain)
        self._tasks: set[asyncio.Task[None]] = set()
        self._connections = 0

    async def run(self, started: asyncio.Event) -> None:
        """Listen on the spec's port; ``started`` is set once it answers.

        Raises:
            DnsFailed: the port is taken.
        """
        port = self._spec.dns_port
        loop = asyncio.get_running_loop()
        try:
            transport, _ = await loop.create_datagram_endpoint(
                lambda: _Udp(self._receive), local_addr=(_HOST, port)
            )
            server = await asyncio.start_server(self._serve_tcp, _HOST, port)
        except OSError as error:
            raise DnsFailed(
                f"cannot answer DNS on {_HOST}:{port}: {error.strerror}. The application was not "
                "started. Stop what uses the port, or choose another one (dnsPort)."
            ) from error
        try:
            async with server:
                started.set()
                await server.serve_forever()
        finally:
            transport.close()
            for task in self._tasks:
                task.cancel()

    def _receive(self, transport: asyncio.DatagramTransport, data: bytes, peer: _Peer) -> None:
        if len(self._tasks) >= _MOST_QUERIES:
            return
        task = asyncio.ensure_future(self._serve_udp(transport, data, peer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve_udp(
        self, transport: asyncio.DatagramTransport, data: bytes, peer: _Peer
    ) -> None:
        reply = await self.resolve(data, over_tcp=False)
        if reply is not None and not transport.is_closing():
            transport.sendto(reply, peer)

    async def _serve_tcp(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._connections += 1
        try:
            with suppress(OSError, EOFError):
                while self._connections <= _MOST_CONNECTIONS:
                    async with asyncio.timeout(_IDLE_SECONDS):
                        query = await _read_message(reader)
                    reply = await self.resolve(query, over_tcp=True)
                    if reply is None:
                        return
                    writer.write(struct.pack("!H", len(reply)) + reply)
                    await writer.drain()
        finally:
            self._connections -= 1
            writer.close()

    async def resolve(self, data: bytes, *, over_tcp: bool) -> bytes | None:
        """Return the response to a query, None when it is not one."""
        try:
            query = dns.message.from_wire(data)
        except dns.exception.DNSException:
            return None
        if not query.question or query.flags & dns.flags.QR:
            return None
        host = canonical_name(query, self._names(), self._place)
        if host:
            response = await self._resolve_alias(query, host, over_tcp=over_tcp)
        else:
            response = answer(query, self._names(), self._place)
        if response is None:
            forwarded = await self._forward(data, over_tcp=over_tcp)
            if forwarded is not None:
                return forwarded
            response = failure(query, dns.rcode.SERVFAIL)
        return response.to_wire() if over_tcp else encode_udp(response, query)

    async def _resolve_alias(
        self, query: dns.message.Message, host: str, *, over_tcp: bool
    ) -> dns.message.Message | None:
        inner = ask_for(host, query)
        found = await self.resolve(inner.to_wire(), over_tcp=over_tcp)
        if found is None:
            return failure(query, dns.rcode.SERVFAIL)
        return answer_by_alias(query, host, dns.message.from_wire(found))

    async def _forward(self, query: bytes, *, over_tcp: bool) -> bytes | None:
        """Ask each resolver in turn; None when none answers."""
        ask = self._ask_tcp if over_tcp else self._ask_udp
        for upstream in self._spec.dns_upstreams:
            with suppress(OSError, EOFError):
                async with asyncio.timeout(_UPSTREAM_SECONDS):
                    return await ask(upstream, query)
        return None

    async def _ask_udp(self, upstream: str, query: bytes) -> bytes:
        loop = asyncio.get_running_loop()
        # Connected, so that nobody else can answer; a fresh port each time, so hard to guess.
        with self._socket(upstream, socket.SOCK_DGRAM) as connection:
            await loop.sock_connect(connection, _upstream_address(upstream))
            await loop.sock_sendall(connection, query)
            while True:
                reply = await loop.sock_recv(connection, 65535)
                if reply[:2] == query[:2]:
                    return reply

    async def _ask_tcp(self, upstream: str, query: bytes) -> bytes:
        connection = self._socket(upstream, socket.SOCK_STREAM)
        try:
            loop = asyncio.get_running_loop()
            await loop.sock_connect(connection, _upstream_address(upstream))
            reader, writer = await asyncio.open_connection(sock=connection)
        except BaseException:
            connection.close()
            raise
        try:
            writer.write(struct.pack("!H", len(query)) + query)
            return await _read_message(reader)
        finally:
            writer.close()

    def _socket(self, upstream: str, kind: socket.SocketKind) -> socket.socket:
        family = socket.AF_INET6 if _upstream_address(upstream)[0].count(":") else socket.AF_INET
        connection = socket.socket(family, kind)
        connection.setblocking(False)
        if self._spec.capture is Capture.NETNS:  # else capture would bring it back here
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, PROXY_MARK)
        return connection


_Peer = tuple[str, int]


class _Udp(asyncio.DatagramProtocol):
    def __init__(self, receive: Callable[[asyncio.DatagramTransport, bytes, _Peer], None]) -> None:
        self._receive = receive

    def connection_made(self, transport: asyncio.DatagramTransport) -> None:  # type: ignore[override]  # typeshed says BaseTransport
        self._transport = transport

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self._receive(self._transport, data, addr)


async def _read_message(reader: asyncio.StreamReader) -> bytes:
    """Read one message as TCP frames it: two bytes of length before it."""
    (length,) = struct.unpack("!H", await reader.readexactly(2))
    return await reader.readexactly(length)


def _upstream_address(upstream: str) -> tuple[str, int]:
    """Read ``10.0.0.1``, ``10.0.0.1:5353``, ``fd00::1`` or ``[fd00::1]:5353``."""
    if upstream.startswith("["):
        host, _, port = upstream[1:].partition("]")
        return host, int(port.lstrip(":") or _DNS_PORT)
    host, separator, port = upstream.partition(":")
    if separator and ":" not in port:
        return host, int(port)
    return upstream, _DNS_PORT
