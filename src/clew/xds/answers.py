"""What streams and their owner tell each other: responses to send, and the proxy's verdicts."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Protocol

from clew.model.xds import TypeUrl

# Names to versions; None: the resource was removed.
Versions = Mapping[str, str | None]


@dataclass(frozen=True, slots=True)
class Response:
    """One discovery response. ``body`` is the serialised message, sent as it is."""

    type_url: TypeUrl
    nonce: str
    versions: Versions
    body: bytes


@dataclass(frozen=True, slots=True)
class Acked:
    """The proxy accepted these versions."""

    type_url: TypeUrl
    versions: Versions


@dataclass(frozen=True, slots=True)
class Nacked:
    """The proxy refused these versions and keeps what it had.

    Where the proxy names the guilty resources, ``versions`` has only those. Otherwise it has all
    of the response, and a later Acked clears those that turn out to be innocent.
    """

    type_url: TypeUrl
    versions: Versions
    detail: str


class Conversation(Protocol):
    """What is known of one stream: what its proxy asks for, and what it has yet to accept."""

    def asked(self, type_url: TypeUrl) -> bool: ...

    def wants(self, type_url: TypeUrl, name: str) -> bool: ...

    def lagging(self) -> Mapping[TypeUrl, AbstractSet[str]]: ...


def named_as_guilty(detail: str, names: Mapping[str, object]) -> frozenset[str]:
    """The names that a refusal blames; empty when it blames none.

    Source: Envoy reports refused clusters and listeners as ``cluster(s) NAME: REASON, NAME: …``.
    """
    return frozenset(name for name in names if f" {name}: " in detail)
