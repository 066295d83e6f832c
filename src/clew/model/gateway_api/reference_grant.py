"""ReferenceGrant: who of another namespace may refer to objects here."""

from __future__ import annotations

from msgspec import field

from clew.model.base import Model, Resource


class ReferenceGrantFrom(Model, frozen=True, kw_only=True):
    group: str
    kind: str
    namespace: str


class ReferenceGrantTo(Model, frozen=True, kw_only=True):
    """Every object of the kind when there is no ``name``."""

    group: str
    kind: str
    name: str | None = None


class ReferenceGrantSpec(Model, frozen=True, kw_only=True):
    from_: tuple[ReferenceGrantFrom, ...] = field(name="from")
    to: tuple[ReferenceGrantTo, ...]


class ReferenceGrant(Resource, frozen=True, kw_only=True):
    spec: ReferenceGrantSpec = ReferenceGrantSpec(from_=(), to=())
