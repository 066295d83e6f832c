"""Messages to published resources: serialised once, versioned by their bytes."""

from __future__ import annotations

from google.protobuf.message import Message
from xxhash import xxh3_64_hexdigest

from clew.model.xds import EnvoyResource


def resource(
    name: str,
    message: Message,
    *,
    uses: frozenset[str] = frozenset(),
    sources: frozenset[str] = frozenset(),
) -> EnvoyResource:
    """Serialise ``message`` deterministically; equal messages get equal versions."""
    body = message.SerializeToString(deterministic=True)
    return EnvoyResource(name, xxh3_64_hexdigest(body), body, uses, sources)
