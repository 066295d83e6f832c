"""ReferenceGrants: which references from one namespace into another are allowed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from clew.model.gateway_api.reference_grant import ReferenceGrant
from clew.snapshot.objects import Objects, objects_of


class Referrer(NamedTuple):
    """Whose reference it is."""

    group: str
    kind: str
    namespace: str


class Target(NamedTuple):
    group: str
    kind: str
    namespace: str
    name: str


@dataclass(frozen=True, slots=True)
class Grants:
    """``allowed``: names by who refers to what kind where; None among them is every name."""

    allowed: Mapping[tuple[Referrer, tuple[str, str, str]], frozenset[str | None]] = field(
        default_factory=dict
    )

    def allow(self, referrer: Referrer, target: Target) -> bool:
        """Tell whether a reference may be followed. Inside one namespace it always may."""
        if target.namespace == referrer.namespace:
            return True
        group, kind, namespace, name = target
        names = self.allowed.get((referrer, (group, kind, namespace)), frozenset())
        return None in names or name in names


def index_grants(objects: Objects) -> Grants:
    allowed: dict[tuple[Referrer, tuple[str, str, str]], frozenset[str | None]] = {}
    for grant in objects_of(ReferenceGrant, objects):
        namespace = grant.metadata.namespace
        for source in grant.spec.from_:
            referrer = Referrer(source.group, source.kind, source.namespace)
            for to in grant.spec.to:
                key = referrer, (to.group, to.kind, namespace)
                allowed[key] = allowed.get(key, frozenset()) | {to.name or None}
    return Grants(allowed)
