"""Listening: sockets in, connections out, and what goes on among all of them."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import ssl
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from clew.server.http2.call import UNAVAILABLE, Method
from clew.server.http2.transport import SocketTransport
from clew.server.listening import is_of_owner

log = logging.getLogger("clew.grpc")

TICK_SECONDS = 10.0
# More proxies than one process serves well; a flood of connections ends here.
MOST_CONNECTIONS = 20_000
ACCEPT_AT_ONCE = 32


class GrpcServer:
    """Serves ``methods`` (``/package.Service/Method``) on a listening socket until stopped.

    ``context`` is asked at each connection, so that a new certificate counts from then on;
    None: plaintext.
    """

    def __init__(
        self,
        listener: socket.socket,
        methods: Mapping[str, Method],
        context: Callable[[], ssl.SSLContext] | None = None,
    ) -> None:
        self._listener = listener
        self._name = listener.getsockname()
        self._methods = methods
        self._context = context
        self._transports: set[SocketTransport] = set()
        self._loop = asyncio.get_running_loop()
        listener.setblocking(False)
        self._loop.add_reader(listener, self._accept)
        self._ticking = self._loop.call_later(TICK_SECONDS, self._tick)

    async def stop(self, grace: float = 0.0) -> None:
        """Take no more connections, end the calls, and close.

        ``grace``: the seconds that slow readers get.
        """
        self._loop.remove_reader(self._listener)
        if self._listener.family == socket.AF_UNIX:
            with suppress(FileNotFoundError):
                os.unlink(self._name)
        self._listener.close()
        self._ticking.cancel()
        for transport in tuple(self._transports):
            transport.go_away(UNAVAILABLE, "the control plane stops; connect again")
        if any(transport.paused for transport in self._transports):
            await asyncio.sleep(grace)
        for transport in tuple(self._transports):
            transport.close()

    def _accept(self) -> None:
        for _ in range(ACCEPT_AT_ONCE):
            try:
                peer, address = self._listener.accept()
            except BlockingIOError:
                return
            except OSError as error:
                self._rest(error)
                return
            self._take(peer, address)

    def _take(self, peer: socket.socket, address: Any) -> None:
        if len(self._transports) >= MOST_CONNECTIONS:
            peer.close()
            return
        peer.setblocking(False)
        host = ""
        if peer.family == socket.AF_UNIX and not is_of_owner(peer):
            log.warning("connection refused socket=%s reason=another user's", self._name)
            peer.close()
            return
        if peer.family != socket.AF_UNIX:
            host = str(address[0])
            peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            tls = self._context() if self._context is not None else None
            close = self._transports.discard
            self._transports.add(SocketTransport(peer, host, self._methods, tls, close))
        except Exception:
            log.exception("a connection could not be served")
            peer.close()

    def _rest(self, error: OSError) -> None:
        """Out of file descriptors: those that wait are taken when others have gone."""
        log.error("no connection can be taken for a second reason=%s", error)
        self._loop.remove_reader(self._listener)
        self._loop.call_later(1.0, self._resume)

    def _resume(self) -> None:
        if self._listener.fileno() >= 0:
            self._loop.add_reader(self._listener, self._accept)

    def _tick(self) -> None:
        self._ticking = self._loop.call_later(TICK_SECONDS, self._tick)
        for transport in tuple(self._transports):
            transport.tick()
