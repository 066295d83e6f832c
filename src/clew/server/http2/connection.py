"""One HTTP/2 connection of a client: frames in, calls out, without I/O of its own."""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from typing import Protocol

from hpack import Decoder, HPACKError

from clew.server.http2 import frames
from clew.server.http2.call import CALL_WINDOW, UNIMPLEMENTED, Call, Caller, Method

# What one connection may have at a time; a proxy needs two or three calls.
MOST_CALLS = 16
CONNECTION_WINDOW = 4 * CALL_WINDOW
# Names of thousands of resources are messages, not headers.
MOST_HEADER_BYTES = 32 * 1024
# Frames that cost the sender nothing and are never many between honest peers.
MOST_RESETS = 1000
MOST_UNREAD_REPLIES = 1000
SILENT_TICKS = 3

_SETTINGS = frames.settings(
    {
        frames.MAX_CONCURRENT_STREAMS: MOST_CALLS,
        frames.INITIAL_WINDOW_SIZE: CALL_WINDOW,
        frames.MAX_HEADER_LIST_SIZE: MOST_HEADER_BYTES,
    }
)
# ":status: 415" of HPACK's static table, for who does not speak gRPC.
_NOT_GRPC = b"\x08\x03415"


class ProtocolError(Exception):
    """The peer broke the protocol; the connection must end."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code


class Transport(Protocol):
    """What carries bytes. ``paused``: the peer is slow to take what was written."""

    paused: bool

    def write(self, data: bytes) -> None: ...


class Connection:
    """The server's end. The transport reports bytes, room to write, and the end."""

    def __init__(self, transport: Transport, methods: Mapping[str, Method], caller: Caller) -> None:
        self.window = frames.DEFAULT_WINDOW
        self.frame_size = frames.DEFAULT_FRAME
        self._transport = transport
        self._methods = methods
        self._caller = caller
        self._calls: dict[int, Call] = {}
        self._buffer = b""
        self._greeted = False
        self._last = 0  # The newest stream.
        self._closing = False
        self._first_window = frames.DEFAULT_WINDOW
        self._credit = CONNECTION_WINDOW
        self._decoder = Decoder(max_header_list_size=MOST_HEADER_BYTES)
        # Headers that have not ended: their stream, flags and fragments.
        self._headers: tuple[int, int, bytes] | None = None
        self._resets = 0
        self._unread_replies = 0
        self._silent_ticks = 0
        self.write = transport.write
        self.write(_SETTINGS + frames.window_update(0, CONNECTION_WINDOW - frames.DEFAULT_WINDOW))

    @property
    def paused(self) -> bool:
        return self._transport.paused

    def forget(self, call: Call) -> None:
        if self._calls.pop(call.id, None) is not None:
            call.closed()

    def drained(self) -> None:
        """The peer has taken what was written."""
        self._unread_replies = 0
        self._flush()

    def tick(self) -> bool:
        """Time has passed. After three silent ticks the peer is asked whether it is there.

        False: it has not answered by the next tick.
        """
        self._silent_ticks += 1
        if self._silent_ticks == SILENT_TICKS:
            self.write(frames.frame(frames.PING, 0, 0, b"clewping"))
        return self._silent_ticks <= SILENT_TICKS

    def go_away(self, code: int, text: str) -> None:
        """End every call with this outcome; the peer is told to connect anew."""
        self._closing = True
        self.write(frames.go_away(self._last, frames.NO_ERROR))
        for call in list(self._calls.values()):
            call.finish(code, text)

    def closed(self) -> None:
        """There is no connection any more."""
        calls, self._calls = self._calls, {}
        for call in calls.values():
            call.closed()

    def receive(self, data: bytes) -> None:
        """Take what came. Raises: ProtocolError when the connection must end."""
        self._silent_ticks = 0
        data = self._buffer + data if self._buffer else data
        start = 0
        if not self._greeted:
            start = self._greet(data)
            if not start:
                return
        while len(data) - start >= frames.HEAD_BYTES:
            high, low, kind, flags, stream = struct.unpack_from(">BHBBI", data, start)
            size, body = high << 16 | low, start + frames.HEAD_BYTES
            if size > frames.DEFAULT_FRAME:
                raise ProtocolError(frames.FRAME_SIZE_ERROR, f"a frame of {size} bytes")
            if len(data) - body < size:
                break
            start = body + size
            self._take(kind, flags, stream & 0x7FFFFFFF, data[body:start])
        self._buffer = data[start:]

    def _greet(self, data: bytes) -> int:
        """The length of the client's preface, 0 while it is not all there."""
        if data[: len(frames.PREFACE)] != frames.PREFACE[: len(data)]:
            raise ProtocolError(frames.PROTOCOL_ERROR, "this is not HTTP/2")
        if len(data) < len(frames.PREFACE):
            self._buffer = data
            return 0
        self._greeted = True
        return len(frames.PREFACE)

    def _take(self, kind: int, flags: int, stream: int, payload: bytes) -> None:
        if self._headers is not None and kind != frames.CONTINUATION:
            raise ProtocolError(frames.PROTOCOL_ERROR, "headers were not continued")
        take = _TAKE.get(kind)
        if take is not None:  # Frames of kinds unknown are left out. Source: RFC 9113 §4.1.
            take(self, flags, stream, payload)

    def _data(self, flags: int, stream: int, payload: bytes) -> None:
        size = len(payload)
        self._credit -= size
        if self._credit < 0:
            raise ProtocolError(frames.FLOW_CONTROL_ERROR, "more than the window allows")
        if self._credit < CONNECTION_WINDOW // 2:
            self.write(frames.window_update(0, CONNECTION_WINDOW - self._credit))
            self._credit = CONNECTION_WINDOW
        call = self._calls.get(stream)
        if call is None or call.heard_all:
            if stream > self._last or not stream:
                raise ProtocolError(frames.PROTOCOL_ERROR, "data of no call")
            return
        call.credit -= size
        if call.credit < 0:
            raise ProtocolError(frames.FLOW_CONTROL_ERROR, "more than a call's window allows")
        if call.credit < CALL_WINDOW // 2 and not flags & frames.END_STREAM:
            self.write(frames.window_update(stream, CALL_WINDOW - call.credit))
            call.credit = CALL_WINDOW
        call.receive(_without_padding(flags, payload))
        if flags & frames.END_STREAM:
            call.end_of_input()

    def _begin_headers(self, flags: int, stream: int, payload: bytes) -> None:
        block = _without_padding(flags, payload)
        if flags & frames.PRIORITY:
            block = block[5:]
        self._more_headers(flags, stream, b"", flags, block)

    def _continue_headers(self, flags: int, stream: int, payload: bytes) -> None:
        if self._headers is None or self._headers[0] != stream:
            raise ProtocolError(frames.PROTOCOL_ERROR, "nothing to continue")
        _, first_flags, before = self._headers
        if not payload and not flags & frames.END_HEADERS:
            raise ProtocolError(frames.ENHANCE_YOUR_CALM, "empty headers")
        self._more_headers(flags, stream, before, first_flags, payload)

    def _more_headers(
        self, flags: int, stream: int, before: bytes, first_flags: int, block: bytes
    ) -> None:
        block = before + block
        if len(block) > MOST_HEADER_BYTES:
            raise ProtocolError(frames.ENHANCE_YOUR_CALM, "headers are too long")
        if not flags & frames.END_HEADERS:
            self._headers = (stream, first_flags, block)
            return
        self._headers = None
        try:
            # Those of refused calls as well: the table of what was seen is one for all.
            decoded = self._decoder.decode(block, raw=True)
        except HPACKError as error:
            raise ProtocolError(frames.COMPRESSION_ERROR, str(error)) from error
        headers = {_text(name): _text(value) for name, value in decoded}
        self._take_headers(stream, first_flags, headers)

    def _take_headers(self, stream: int, flags: int, headers: Mapping[str, str]) -> None:
        call = self._calls.get(stream)
        if call is not None:
            if not flags & frames.END_STREAM:
                raise ProtocolError(frames.PROTOCOL_ERROR, "headers twice")
            call.end_of_input()
            return
        if not stream % 2:
            raise ProtocolError(frames.PROTOCOL_ERROR, f"stream {stream} is not a client's")
        if stream <= self._last:
            return  # Trailers of a call that we have ended already.
        self._last = stream
        if self._closing or len(self._calls) >= MOST_CALLS:
            self._reply(frames.reset(stream, frames.REFUSED_STREAM))
        elif not headers.get("content-type", "").startswith("application/grpc"):
            end = frames.END_HEADERS | frames.END_STREAM
            self._reply(frames.frame(frames.HEADERS, end, stream, _NOT_GRPC))
        else:
            self._open(stream, headers)
            if flags & frames.END_STREAM and stream in self._calls:
                self._calls[stream].end_of_input()

    def _open(self, stream: int, headers: Mapping[str, str]) -> None:
        call = Call(self, stream, self._caller, headers, self._first_window)
        self._calls[stream] = call
        call.begin(self._methods.get(call.path, _UNKNOWN))

    def _reset(self, _flags: int, stream: int, _payload: bytes) -> None:
        self._resets += 1
        if self._resets > MOST_RESETS:
            raise ProtocolError(frames.ENHANCE_YOUR_CALM, "calls are given up again and again")
        if (call := self._calls.get(stream)) is not None:
            self.forget(call)

    def _settings(self, flags: int, stream: int, payload: bytes) -> None:
        if stream or len(payload) % 6 or (flags & frames.ACK and payload):
            raise ProtocolError(frames.FRAME_SIZE_ERROR, "settings of a wrong size")
        if flags & frames.ACK:
            return
        for identifier, value in struct.iter_unpack(">HI", payload):
            self._set(identifier, value)
        self._reply(frames.frame(frames.SETTINGS, frames.ACK, 0))
        self._flush()

    def _set(self, identifier: int, value: int) -> None:
        if identifier == frames.INITIAL_WINDOW_SIZE:
            if value > frames.LARGEST_WINDOW:
                raise ProtocolError(frames.FLOW_CONTROL_ERROR, "a window is too large")
            for call in self._calls.values():
                call.window += value - self._first_window
            self._first_window = value
        elif identifier == frames.MAX_FRAME_SIZE:
            if not frames.DEFAULT_FRAME <= value <= frames.LARGEST_FRAME:
                raise ProtocolError(frames.PROTOCOL_ERROR, f"frames of {value} bytes")
            self.frame_size = value

    def _ping(self, flags: int, _stream: int, payload: bytes) -> None:
        if len(payload) != 8:
            raise ProtocolError(frames.FRAME_SIZE_ERROR, "a ping of a wrong size")
        if not flags & frames.ACK:
            self._reply(frames.frame(frames.PING, frames.ACK, 0, payload))

    def _window_update(self, _flags: int, stream: int, payload: bytes) -> None:
        if len(payload) != 4:
            raise ProtocolError(frames.FRAME_SIZE_ERROR, "a window update of a wrong size")
        more = int.from_bytes(payload, "big") & 0x7FFFFFFF
        if not stream:
            self.window += more
            self._bounded(self.window)
            self._flush()
        elif (call := self._calls.get(stream)) is not None:
            call.window += more
            self._bounded(call.window)
            call.flush()

    def _bounded(self, window: int) -> None:
        if window > frames.LARGEST_WINDOW:
            raise ProtocolError(frames.FLOW_CONTROL_ERROR, "a window is too large")

    def _refuse_push(self, _flags: int, _stream: int, _payload: bytes) -> None:
        raise ProtocolError(frames.PROTOCOL_ERROR, "clients do not push")

    def _flush(self) -> None:
        for call in list(self._calls.values()):
            if not call.idle:
                call.flush()

    def _reply(self, data: bytes) -> None:
        """Answer a frame that cost the peer nothing, unless it takes no answers."""
        if self.paused:
            self._unread_replies += 1
            if self._unread_replies > MOST_UNREAD_REPLIES:
                raise ProtocolError(frames.ENHANCE_YOUR_CALM, "answers are not read")
        self.write(data)


class _Unknown:
    """Answers a call of a method that is not here."""

    def __init__(self, call: Call) -> None:
        call.finish(UNIMPLEMENTED, f"there is no method {call.path}")

    def message(self, body: bytes) -> None: ...

    def ended(self) -> None: ...

    def drained(self) -> None: ...

    def closed(self) -> None: ...


_UNKNOWN = Method(_Unknown, longest=0)


def _text(value: bytes | str) -> str:
    return value if isinstance(value, str) else value.decode(errors="replace")


def _without_padding(flags: int, payload: bytes) -> bytes:
    if not flags & frames.PADDED:
        return payload
    if not payload or payload[0] >= len(payload):
        raise ProtocolError(frames.PROTOCOL_ERROR, "more padding than payload")
    return payload[1 : len(payload) - payload[0]]


_TAKE: Mapping[int, Callable[[Connection, int, int, bytes], None]] = {
    frames.DATA: Connection._data,
    frames.HEADERS: Connection._begin_headers,
    frames.CONTINUATION: Connection._continue_headers,
    frames.RST_STREAM: Connection._reset,
    frames.SETTINGS: Connection._settings,
    frames.PING: Connection._ping,
    frames.WINDOW_UPDATE: Connection._window_update,
    frames.PUSH_PROMISE: Connection._refuse_push,
}
