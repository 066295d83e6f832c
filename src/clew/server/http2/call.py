"""One gRPC call on a connection: messages in, messages out, one outcome."""

from __future__ import annotations

import logging
import struct
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, Protocol

from clew.server.http2 import frames

log = logging.getLogger("clew.grpc")

# Outcomes. Source: gRPC's status codes.
OK: Final = 0
INVALID_ARGUMENT: Final = 3
PERMISSION_DENIED: Final = 7
RESOURCE_EXHAUSTED: Final = 8
FAILED_PRECONDITION: Final = 9
UNIMPLEMENTED: Final = 12
INTERNAL: Final = 13
UNAVAILABLE: Final = 14
UNAUTHENTICATED: Final = 16

# What a peer may send on one call before it is told to go on.
CALL_WINDOW: Final = 1 << 20
_PREFIX = struct.Struct(">BI")


@dataclass(frozen=True, slots=True)
class Caller:
    """Who is at the other end: what a verified client certificate names, and the IP address.

    ``names``: its URIs and DNS names, as ``("URI", "spiffe://…")``; empty without a certificate.
    ``address``: "" on Unix sockets.
    """

    names: tuple[tuple[str, str], ...] = ()
    address: str = ""


class CallHandler(Protocol):
    """What answers a call. An exception ends the call with INTERNAL, and no other."""

    def message(self, body: bytes) -> None:
        """The peer said this."""
        ...

    def ended(self) -> None:
        """The peer will say no more."""
        ...

    def drained(self) -> None:
        """All that was sent has been taken; ``Call.idle`` is true again."""
        ...

    def closed(self) -> None:
        """The call is over, whoever ended it. Nothing is called after this."""
        ...


@dataclass(frozen=True, slots=True)
class Method:
    """How a method is answered, and the longest message in bytes that it takes."""

    answer: Callable[[Call], CallHandler]
    longest: int


class Lines(Protocol):
    """What a call needs of its connection."""

    window: int
    frame_size: int

    @property
    def paused(self) -> bool: ...

    def write(self, data: bytes) -> None: ...

    def forget(self, call: Call) -> None: ...


class Call:
    """One call. ``headers``: as they came, names in lower case, pseudo-headers included."""

    __slots__ = (
        "_blocked",
        "_buffer",
        "_handler",
        "_lines",
        "_longest",
        "_offset",
        "_outcome",
        "_unsent",
        "caller",
        "credit",
        "headers",
        "heard_all",
        "id",
        "window",
    )

    def __init__(
        self, lines: Lines, stream: int, caller: Caller, headers: Mapping[str, str], window: int
    ) -> None:
        self.id = stream
        self.caller = caller
        self.headers = headers
        # What we may send, and what the peer may send, in bytes.
        self.window = window
        self.credit = CALL_WINDOW
        self.heard_all = False
        self._lines = lines
        self._buffer = bytearray()
        self._unsent: deque[bytes] = deque()
        self._offset = 0
        self._blocked = False
        self._outcome: tuple[int, str] | None = None
        self._handler: CallHandler | None = None
        self._longest = 0

    @property
    def path(self) -> str:
        """The method's name: ``/package.Service/Method``."""
        return self.headers.get(":path", "")

    def begin(self, method: Method) -> None:
        self._longest = method.longest
        self._lines.write(
            frames.frame(frames.HEADERS, frames.END_HEADERS, self.id, frames.RESPONSE_HEADERS)
        )
        self.guarded(lambda: self._answer(method))

    def _answer(self, method: Method) -> None:
        self._handler = method.answer(self)

    @property
    def idle(self) -> bool:
        """Whether all that was sent has left for the peer."""
        return not self._unsent

    def send(self, body: bytes) -> None:
        """Send one message, as far as the peer takes it now; the rest follows."""
        if self._outcome is None:
            self._unsent.append(frames.message(body))
            self.flush()

    def finish(self, code: int = OK, text: str = "") -> None:
        """End the call once all is sent. What the peer says from now on is not heard."""
        if self._outcome is None:
            self._outcome = (code, text)
            self.flush()

    def abort(self, code: int, text: str) -> None:
        """End the call now; what has not been sent is dropped."""
        self._unsent.clear()
        self.finish(code, text)

    def flush(self) -> None:
        """Send what the windows allow."""
        lines, unsent = self._lines, self._unsent
        while unsent:
            whole, start = unsent[0], self._offset
            room = min(self.window, lines.window, len(whole) - start)
            if room <= 0 or lines.paused:
                self._blocked = True
                return
            piece = whole if room == len(whole) else memoryview(whole)[start : start + room]
            self.window -= room
            lines.window -= room
            self._offset += room
            if self._offset == len(whole):
                unsent.popleft()
                self._offset = 0
            lines.write(frames.data(piece, self.id, lines.frame_size))
        if self._outcome is not None:
            self._end(*self._outcome)
        elif self._blocked and self._handler is not None:
            self._blocked = False
            self.guarded(self._handler.drained)

    def receive(self, data: bytes) -> None:
        """Take a piece of what the peer says; whole messages go to the handler."""
        # Growing in place: a long message comes in a thousand pieces.
        buffer, start = self._buffer, 0
        buffer += data
        while len(buffer) - start >= _PREFIX.size and self._outcome is None:
            compressed, size = _PREFIX.unpack_from(buffer, start)
            if compressed:
                self.finish(UNIMPLEMENTED, "messages must not be compressed")
            elif size > self._longest:
                text = f"a message of {size} bytes; at most {self._longest} are taken"
                self.finish(RESOURCE_EXHAUSTED, text)
            elif len(buffer) - start - _PREFIX.size < size:
                break
            else:
                start += _PREFIX.size + size
                self._hear(bytes(buffer[start - size : start]))
        del buffer[: start if self._outcome is None else None]

    def _hear(self, body: bytes) -> None:
        if self._handler is not None:
            handler = self._handler
            self.guarded(lambda: handler.message(body))

    def end_of_input(self) -> None:
        self.heard_all = True
        if self._outcome is None and self._handler is not None:
            self.guarded(self._handler.ended)

    def closed(self) -> None:
        """The call is over, whoever ended it."""
        self._outcome = self._outcome or (UNAVAILABLE, "")
        handler, self._handler = self._handler, None
        self._unsent.clear()
        if handler is not None:
            try:
                handler.closed()
            except Exception:
                log.exception("the end of a call failed path=%s", self.path)

    def guarded(self, step: Callable[[], None]) -> None:
        """The bulkhead: what fails in a step ends this call, and no other."""
        try:
            step()
        except Exception:
            log.exception("call failed path=%s caller=%s", self.path, self.caller)
            self.finish(INTERNAL, "the call failed; the control plane's log says why")

    def _end(self, code: int, text: str) -> None:
        flags = frames.END_HEADERS | frames.END_STREAM
        trailers = frames.status_headers(code, text)
        # Without a reset, which grpc's clients may take for the outcome. They stop by themselves.
        self._lines.write(frames.frame(frames.HEADERS, flags, self.id, trailers))
        self._lines.forget(self)
