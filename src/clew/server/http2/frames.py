"""HTTP/2 frames and gRPC's headers, as bytes. Source: RFC 9113, and gRPC over HTTP/2."""

from __future__ import annotations

import struct
from typing import Final
from urllib.parse import quote

PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
HEAD_BYTES: Final = 9

DATA: Final = 0
HEADERS: Final = 1
RST_STREAM: Final = 3
SETTINGS: Final = 4
PUSH_PROMISE: Final = 5
PING: Final = 6
GOAWAY: Final = 7
WINDOW_UPDATE: Final = 8
CONTINUATION: Final = 9

ACK: Final = 0x1
END_STREAM: Final = 0x1
END_HEADERS: Final = 0x4
PADDED: Final = 0x8
PRIORITY: Final = 0x20

# Settings.
MAX_CONCURRENT_STREAMS: Final = 3
INITIAL_WINDOW_SIZE: Final = 4
MAX_FRAME_SIZE: Final = 5
MAX_HEADER_LIST_SIZE: Final = 6

# Error codes.
NO_ERROR: Final = 0
PROTOCOL_ERROR: Final = 1
FLOW_CONTROL_ERROR: Final = 3
FRAME_SIZE_ERROR: Final = 6
REFUSED_STREAM: Final = 7
CANCEL: Final = 8
COMPRESSION_ERROR: Final = 9
ENHANCE_YOUR_CALM: Final = 11

DEFAULT_WINDOW: Final = 65_535
DEFAULT_FRAME: Final = 16_384
LARGEST_FRAME: Final = 2**24 - 1
LARGEST_WINDOW: Final = 2**31 - 1

# ":status: 200" and "content-type: application/grpc", by index of HPACK's static table.
_STATUS_200 = b"\x88"
_CONTENT_TYPE = b"\x0f\x10\x10application/grpc"
RESPONSE_HEADERS: Final = _STATUS_200 + _CONTENT_TYPE


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    """One frame, header and payload."""
    size = len(payload)
    return struct.pack(">BHBBI", size >> 16, size & 0xFFFF, kind, flags, stream) + payload


def settings(values: dict[int, int]) -> bytes:
    packed = (struct.pack(">HI", identifier, value) for identifier, value in values.items())
    return frame(SETTINGS, 0, 0, b"".join(packed))


def window_update(stream: int, size: int) -> bytes:
    return frame(WINDOW_UPDATE, 0, stream, size.to_bytes(4, "big"))


def reset(stream: int, error: int) -> bytes:
    return frame(RST_STREAM, 0, stream, error.to_bytes(4, "big"))


def go_away(last: int, error: int, reason: str = "") -> bytes:
    return frame(GOAWAY, 0, 0, struct.pack(">II", last, error) + reason.encode())


def data(payload: bytes | memoryview, stream: int, largest: int) -> bytes:
    """DATA frames of at most ``largest`` bytes each, joined at once: each copy would cost."""
    view = memoryview(payload)
    parts: list[bytes | memoryview] = []
    for start in range(0, len(view), largest):
        piece = view[start : start + largest]
        size = len(piece)
        header = struct.pack(">BHBBI", size >> 16, size & 0xFFFF, DATA, 0, stream)
        parts += (header, piece)
    return b"".join(parts)


def message(body: bytes) -> bytes:
    """A gRPC message with its prefix: not compressed, and how long it is."""
    return struct.pack(">BI", 0, len(body)) + body


def status_headers(code: int, text: str = "") -> bytes:
    """The header block with a call's outcome. ``text`` goes out percent-encoded."""
    block = literal(b"grpc-status", str(code).encode())
    if text:
        safe = quote(text[:1000], safe=" !\"#$&'()*+,-./:;<=>?@[\\]^_`{|}~")
        block += literal(b"grpc-message", safe.encode())
    return block


def literal(name: bytes, value: bytes) -> bytes:
    """A header field that no table remembers. Source: RFC 7541 §6.2.2."""
    return b"\x00" + _length(len(name)) + name + _length(len(value)) + value


def _length(size: int) -> bytes:
    """A length in HPACK's integer form with a prefix of seven bits. Source: RFC 7541 §5.1."""
    if size < 0x7F:
        return bytes((size,))
    size -= 0x7F
    rest = bytearray((0x7F,))
    while size >= 0x80:
        rest.append(size & 0x7F | 0x80)
        size >>= 7
    rest.append(size)
    return bytes(rest)
