"""All objects of the mesh by kind, namespace and name; a change copies only what it touches."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Generic, Self, TypeVar

from clew.model.base import Resource, ResourceKey
from clew.model.kinds import kind_of

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")
T = TypeVar("T", bound=Resource)

Objects = Mapping[type[Resource], Mapping[str, Mapping[str, Resource]]]


@dataclass(frozen=True, slots=True)
class Change:
    """An object before and after; None: it did not, or does not, exist."""

    old: Resource | None
    new: Resource | None

    @property
    def sides(self) -> tuple[Resource, ...]:
        return tuple(side for side in (self.old, self.new) if side is not None)

    @property
    def namespace(self) -> str:
        return self.sides[0].metadata.namespace

    @property
    def kind(self) -> type[Resource]:
        return type(self.sides[0])


def index_objects(resources: Iterable[Resource]) -> Objects:
    """Return the objects; of several with one key, the last."""
    objects: dict[type[Resource], dict[str, dict[str, Resource]]] = {}
    for resource in resources:
        named = objects.setdefault(type(resource), {}).setdefault(resource.metadata.namespace, {})
        named[resource.metadata.name] = resource
    return objects


def change_objects(
    before: Objects, changes: Iterable[tuple[ResourceKey, Resource | None]]
) -> tuple[Objects, tuple[Change, ...]]:
    """Return the objects after the changes, and those changes that make a difference."""
    objects, made = dict(before), []
    for key, new in changes:
        kind = kind_of(key.group, key.kind)
        if kind is None:
            continue
        spaces = objects.get(kind.type, {})
        named = spaces.get(key.namespace, {})
        old = named.get(key.name)
        if old != new:
            objects[kind.type] = replaced(spaces, key.namespace, replaced(named, key.name, new))
            made.append(Change(old, new))
    return objects, tuple(made)


def objects_of(kind: type[T], objects: Objects) -> Iterator[T]:
    for named in objects.get(kind, {}).values():
        yield from (each for each in named.values() if isinstance(each, kind))


def replaced(before: Mapping[K, V], key: K, value: V | None) -> dict[K, V]:
    """Return a copy in which ``key`` has another value, or none."""
    return all_replaced(before, {key: value})


def all_replaced(before: Mapping[K, V], changes: Mapping[K, V | None]) -> dict[K, V]:
    """Return a copy with other values; None takes a key out."""
    after = dict(before)
    for key, value in changes.items():
        if value is None:
            after.pop(key, None)
        else:
            after[key] = value
    return after


class Spread(Generic[V]):
    """An immutable mapping from text, in parts of which a change copies only one."""

    __slots__ = ("_parts",)

    def __init__(self, parts: tuple[dict[str, V], ...] | None = None) -> None:
        self._parts = parts or tuple({} for _ in range(_PARTS))

    @classmethod
    def of(cls, items: Mapping[str, V]) -> Self:
        parts: tuple[dict[str, V], ...] = tuple({} for _ in range(_PARTS))
        for key, value in items.items():
            parts[hash(key) % _PARTS][key] = value
        return cls(parts)

    def get(self, key: str) -> V | None:
        return self._parts[hash(key) % _PARTS].get(key)

    def with_changes(self, changes: Mapping[str, V | None]) -> Self:
        parts = list(self._parts)
        for key, value in changes.items():
            place = hash(key) % _PARTS
            parts[place] = replaced(parts[place], key, value)
        return type(self)(tuple(parts))


_PARTS = 256
