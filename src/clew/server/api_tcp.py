"""The admin API on TCP: over TLS, for those who bring a token or a client certificate."""

from __future__ import annotations

import asyncio
import socket
import ssl
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from starlette.applications import Starlette
from uvicorn.protocols.http.h11_impl import H11Protocol

from clew.server.access import CERTIFICATE, Caller, Guarded
from clew.server.api import ApiServer, api_config
from clew.server.api_tokens import ApiTokens
from clew.server.connection_limits import ConnectionLimits
from clew.server.console import ConsoleForAll
from clew.server.request_limits import LimitedRequests

# Within this time a client has to send the head of its first request.
_FIRST_REQUEST_SECONDS = 10.0
# Of one caller at a time.
_MOST_REQUESTS = 50
# Over all addresses; what is more is answered with 503.
_MOST_CONNECTIONS = 512


def listen_on(address: str) -> socket.socket:
    """A listening socket at ``host:port``; the host may be a name, or an IPv6 address in brackets.

    Raises: OSError: it cannot be bound. ValueError: that is no address.
    """
    host, colon, port = address.rpartition(":")
    if not colon or not host or not port.isdecimal():
        raise ValueError(f'"{address}" is not host:port, as in 127.0.0.1:15443')
    bare = host.removeprefix("[").removesuffix("]")
    family, _, _, _, place = socket.getaddrinfo(
        bare, int(port), type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    listener = _Listener(family, ConnectionLimits())
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(place)
        listener.listen(socket.SOMAXCONN)
        listener.setblocking(False)
    except OSError:
        listener.close()
        raise
    return listener


@asynccontextmanager
async def serve_api_on_tcp(
    app: Starlette, listener: socket.socket, context: ssl.SSLContext, tokens: ApiTokens
) -> AsyncIterator[None]:
    """Serve the app while the context lasts; then streams end, and the listener is closed."""

    def by_token(text: str) -> Caller | None:
        token = tokens.owner(text)
        return Caller(token.name, token.role) if token is not None else None

    config = api_config(
        ConsoleForAll(Guarded(LimitedRequests(app, _MOST_REQUESTS), by_token)),
        protocol=_Protocol,
        limit_concurrency=_MOST_CONNECTIONS,
    )
    config.load()
    config.ssl = context
    async with ApiServer(config, app.state.closing).serving(listener):
        yield


class _Listener(socket.socket):
    """Closes connections over the limits before anything is read from them."""

    def __init__(self, family: int, limits: ConnectionLimits) -> None:
        super().__init__(family, socket.SOCK_STREAM)
        self._limits = limits

    def accept(self) -> tuple[socket.socket, Any]:
        while True:
            connection, peer = super().accept()
            address = str(peer[0])
            if self._limits.admits(address, time.monotonic()):
                return _Connection(connection, address, self._limits), peer
            connection.close()


class _Connection(socket.socket):
    """Counts as open until it is closed, its handshake included."""

    def __init__(self, accepted: socket.socket, address: str, limits: ConnectionLimits) -> None:
        super().__init__(accepted.family, accepted.type, accepted.proto, fileno=accepted.detach())
        self._address, self._limits, self._counted = address, limits, True
        limits.opened(address)

    def close(self) -> None:
        if self._counted:
            self._counted = False
            self._limits.closed(self._address)
        super().close()


class _Protocol(H11Protocol):
    """Tells of the client's certificate, and gives up on clients that send no request."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn
        super().connection_made(transport)
        connection = transport.get_extra_info("ssl_object")
        self.app_state = {**self.app_state, CERTIFICATE: connection.getpeercert()}
        self.loop.call_later(_FIRST_REQUEST_SECONDS, self._give_up)

    def _give_up(self) -> None:
        if not self.headers:
            self.transport.close()
