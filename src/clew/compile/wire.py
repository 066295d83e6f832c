"""Protobuf's wire format, as far as messages are joined from parts that are bytes already.

A container such as a RouteConfiguration is its own few fields followed by its virtual hosts. When
one host changes, the others are not built or serialised again: their bytes are appended.
"""

from __future__ import annotations

from collections.abc import Iterable

_LENGTH_DELIMITED = 2


def varint(number: int) -> bytes:
    """A non-negative integer, seven bits per byte, the lowest first."""
    if number < 0x80:
        return bytes((number,))
    encoded = bytearray()
    while number > 0x7F:
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)


def field(number: int, body: bytes) -> bytes:
    """One occurrence of the message, string or bytes field with this number."""
    size = len(body)
    if number < 16 and size < 0x80:  # As nearly all are, and there are many.
        return bytes((number << 3 | _LENGTH_DELIMITED, size)) + body
    return varint(number << 3 | _LENGTH_DELIMITED) + varint(size) + body


def text_fields(number: int, values: Iterable[str]) -> bytes:
    """All occurrences of a repeated string field."""
    return b"".join(field(number, value.encode()) for value in values)
