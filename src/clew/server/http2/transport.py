"""A connection's socket: bytes go out at once, in plaintext or by TLS."""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from clew.server.http2 import frames
from clew.server.http2.call import Caller, Method
from clew.server.http2.connection import Connection, ProtocolError

log = logging.getLogger("clew.grpc")

READ_BYTES = 64 * 1024
# OpenSSL's memory buffers never shrink, so they are never filled with more than a short record;
# what proxies are told is long, what they say is not.
TLS_BYTES_OUT, TLS_BYTES_IN = 8 * 1024, 4 * 1024


class SocketTransport:
    """Carries one connection. asyncio's own would buffer, copy and take ten times the memory."""

    def __init__(
        self,
        peer: socket.socket,
        address: str,
        methods: Mapping[str, Method],
        context: ssl.SSLContext | None,
        on_close: Callable[[SocketTransport], None],
    ) -> None:
        self.paused = False
        self._socket = peer
        self._methods = methods
        self._on_close = on_close
        self._loop = asyncio.get_running_loop()
        self._unsent: deque[memoryview] = deque()
        self._tls: ssl.SSLObject | None = None
        self._caller = Caller(address=address)
        self._ticks_in_handshake = 0
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._connection: Connection | None = None
        if context is None:
            self._connection = Connection(self, methods, self._caller)
        else:
            self._tls = context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        self._loop.add_reader(peer, self._readable)

    def write(self, data: bytes) -> None:
        """Send now what the kernel takes, and the rest when it takes more."""
        if self._tls is None or not self._is_open:
            self._send(data)
            return
        try:
            self._send(b"".join(self._encrypted(self._tls, memoryview(data))))
        except ssl.SSLError:
            self._close_soon()

    def _encrypted(self, tls: ssl.SSLObject, data: memoryview) -> Iterator[bytes]:
        for start in range(0, len(data), TLS_BYTES_OUT):
            tls.write(data[start : start + TLS_BYTES_OUT])
            yield self._outgoing.read()

    def tick(self) -> None:
        """Time has passed: who has not shown up by the second tick, or fell silent, is cut off."""
        if self._connection is None:
            self._ticks_in_handshake += 1
            alive = self._ticks_in_handshake < 2
        else:
            alive = self._connection.tick()
        if not alive:
            self.close()

    def go_away(self, code: int, text: str) -> None:
        if self._connection is not None and self._is_open:
            self._connection.go_away(code, text)

    @property
    def _is_open(self) -> bool:
        return self._socket.fileno() >= 0

    def close(self) -> None:
        if not self._is_open:
            return
        self._loop.remove_reader(self._socket)
        self._loop.remove_writer(self._socket)
        self._socket.close()
        self._unsent.clear()
        self._on_close(self)
        if self._connection is not None:
            self._connection.closed()

    def _close_soon(self) -> None:
        """Not now: whoever writes is in the middle of something."""
        self._loop.call_soon(self.close)

    def _send(self, data: bytes) -> None:
        if not self._is_open:
            return
        sent = 0
        if not self._unsent:
            try:
                sent = self._socket.send(data)
            except BlockingIOError:
                pass
            except OSError:
                self._close_soon()
                return
            if sent == len(data):
                return
            self.paused = True
            self._loop.add_writer(self._socket, self._writable)
        self._unsent.append(memoryview(data)[sent:])

    def _writable(self) -> None:
        try:
            while self._unsent:
                sent = self._socket.send(self._unsent[0])
                if sent < len(self._unsent[0]):
                    self._unsent[0] = self._unsent[0][sent:]
                    return
                self._unsent.popleft()
        except BlockingIOError:
            return
        except OSError:
            self.close()
            return
        self._loop.remove_writer(self._socket)
        self.paused = False
        if self._connection is not None:
            self._connection.drained()

    def _readable(self) -> None:
        """Take what is there. Whatever goes wrong ends this connection and no other."""
        try:
            data = self._socket.recv(READ_BYTES)
            if not data:
                self.close()
            elif self._tls is None:
                self._receive(data)
            else:
                for start in range(0, len(data), TLS_BYTES_IN):
                    self._incoming.write(data[start : start + TLS_BYTES_IN])
                    self._decrypt(self._tls)
        except BlockingIOError:
            return
        except ProtocolError as error:
            log.warning("connection ended caller=%s reason=%s", self._caller, error)
            self.write(frames.go_away(0, error.code, str(error)))
            self.close()
        except ssl.SSLError as error:
            self._refused(error)
        except OSError:
            self.close()
        except Exception:
            log.exception("connection failed caller=%s", self._caller)
            self.close()

    def _refused(self, error: ssl.SSLError) -> None:
        """The handshake failed, or somebody tampered: say why to the peer and in the log."""
        if alert := self._outgoing.read():
            self._send(alert)
        if self._connection is None:
            log.warning("connection refused reason=%s", _reason(error))
        self.close()

    def _decrypt(self, tls: ssl.SSLObject) -> None:
        if self._connection is None:
            try:
                tls.do_handshake()
            except ssl.SSLWantReadError:
                self._send(self._outgoing.read())
                return
            self._send(self._outgoing.read())
            self._caller = Caller(_names(tls), self._caller.address)
            self._connection = Connection(self, self._methods, self._caller)
        # Else OpenSSL would be asked in vain, and an exception made, after each message.
        while self._is_open and (self._incoming.pending or tls.pending()):
            try:
                data = tls.read(READ_BYTES)
            except ssl.SSLWantReadError:
                break
            if not data:
                self.close()
                return
            self._receive(data)
        if self._outgoing.pending:  # Answers of TLS itself.
            self._send(self._outgoing.read())

    def _receive(self, data: bytes) -> None:
        if self._connection is not None:
            self._connection.receive(data)


def _names(tls: ssl.SSLObject) -> tuple[tuple[str, str], ...]:
    """What the verified certificate of the peer names; nothing without one."""
    certificate: Mapping[str, Any] = tls.getpeercert() or {}
    return tuple((kind, value) for kind, value in certificate.get("subjectAltName", ()))


def _reason(error: ssl.SSLError) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return error.verify_message
    return error.reason or str(error)
