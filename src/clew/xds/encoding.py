"""Discovery responses as bytes, joined from resources that were serialised once.

A response may be megabytes for thousands of proxies, so no message objects are built: protobuf
fields may be concatenated, and each body is copied exactly once.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

from clew.model.xds import EnvoyResource, TypeUrl

# Field keys: (field number << 3) | 2, length-delimited.
_DELTA_RESOURCES, _DELTA_TYPE_URL, _DELTA_NONCE, _DELTA_REMOVED = 0x12, 0x22, 0x2A, 0x32
_SOTW_VERSION, _SOTW_RESOURCES, _SOTW_TYPE_URL, _SOTW_NONCE = 0x0A, 0x12, 0x22, 0x2A
_RESOURCE_VERSION, _RESOURCE_ANY, _RESOURCE_NAME = 0x0A, 0x12, 0x1A
_ANY_TYPE_URL, _ANY_VALUE = 0x0A, 0x12


def delta_response(
    type_url: TypeUrl, nonce: str, resources: Iterable[EnvoyResource], removed: Iterable[str]
) -> bytes:
    """A serialised DeltaDiscoveryResponse."""
    content = _delta_content(type_url, tuple(resources), tuple(removed))
    return content + _text(_DELTA_NONCE, nonce)


# The proxies of a class are told the same, one right after the other: it is joined once for them.
@lru_cache(maxsize=4)
def _delta_content(
    type_url: TypeUrl, resources: tuple[EnvoyResource, ...], removed: tuple[str, ...]
) -> bytes:
    """All but the nonce."""
    any_type = _text(_ANY_TYPE_URL, type_url)
    parts: list[bytes] = []
    for resource in resources:
        head = _text(_RESOURCE_VERSION, resource.version) + _text(_RESOURCE_NAME, resource.name)
        any_head = any_type + _head(_ANY_VALUE, len(resource.body))
        head += _head(_RESOURCE_ANY, len(any_head) + len(resource.body)) + any_head
        parts += (_head(_DELTA_RESOURCES, len(head) + len(resource.body)), head, resource.body)
    parts.append(_text(_DELTA_TYPE_URL, type_url))
    parts += (_text(_DELTA_REMOVED, name) for name in removed)
    return b"".join(parts)


def sotw_response(
    type_url: TypeUrl, version: str, nonce: str, resources: Iterable[EnvoyResource]
) -> bytes:
    """A serialised DiscoveryResponse."""
    any_type = _text(_ANY_TYPE_URL, type_url)
    parts = [_text(_SOTW_VERSION, version)]
    for resource in resources:
        head = any_type + _head(_ANY_VALUE, len(resource.body))
        parts += (_head(_SOTW_RESOURCES, len(head) + len(resource.body)), head, resource.body)
    parts += (_text(_SOTW_TYPE_URL, type_url), _text(_SOTW_NONCE, nonce))
    return b"".join(parts)


def _text(key: int, text: str) -> bytes:
    encoded = text.encode()
    return _head(key, len(encoded)) + encoded


def _head(key: int, length: int) -> bytes:
    """A field's key and length, the latter as a varint."""
    if length < 0x80:
        return bytes((key, length))
    head = bytearray((key,))
    while length >= 0x80:
        head.append(length & 0x7F | 0x80)
        length >>= 7
    head.append(length)
    return bytes(head)
