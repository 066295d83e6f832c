"""Messages to published resources: serialised once, versioned by their bytes."""

from __future__ import annotations

from collections.abc import Iterable

from google.protobuf.message import Message
from xxhash import xxh3_64_hexdigest

from clew.model.base import Resource
from clew.model.route_semantics import parents
from clew.model.service import Service
from clew.model.xds import EnvoyResource

NOTHING: frozenset[str] = frozenset()


def encode(message: Message) -> bytes:
    """The bytes of a message; equal messages have equal bytes, maps included."""
    return message.SerializeToString(deterministic=True)


def resource(
    name: str,
    message: Message,
    *,
    uses: frozenset[str] = NOTHING,
    sources: frozenset[str] = NOTHING,
) -> EnvoyResource:
    """Serialise ``message`` deterministically; equal messages get equal versions."""
    return resource_of(name, encode(message), uses=uses, sources=sources)


def resource_of(
    name: str,
    body: bytes,
    *,
    uses: frozenset[str] = NOTHING,
    sources: frozenset[str] = NOTHING,
) -> EnvoyResource:
    """The same for a message that has been joined from parts."""
    return EnvoyResource(name, xxh3_64_hexdigest(body), body, uses, sources)


def sources(*objects: Resource | Service | None) -> frozenset[str]:
    """The names of the objects something was compiled from, as messages for people spell them."""
    return frozenset(name for each in objects if each is not None for name in _written(each))


def _written(compiled: Resource | Service) -> Iterable[str]:
    """What people wrote; of an object that stands for others, those."""
    if isinstance(compiled, Service):
        return (str(compiled.source),)
    return [str(key) for key in parents(compiled) or (compiled.key,)]
