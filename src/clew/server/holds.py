"""Objects that proxies refused, held at the last generation that was good."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from clew.model.base import Resource, ResourceKey


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """``refused`` is what the store has, ``good`` is in force instead; None: nothing is."""

    refused: Resource
    good: Resource | None
    reason: str

    @property
    def good_generation(self) -> int:
        return self.good.metadata.generation if self.good is not None else 0


class Holds:
    """All objects that are held. ``on_change`` is told of them whenever they change."""

    def __init__(
        self,
        held: Mapping[ResourceKey, Hold] | None = None,
        on_change: Callable[[Mapping[ResourceKey, Hold]], None] = lambda held: None,
    ) -> None:
        self._held = dict(held or {})
        self._on_change = on_change

    def of(self, newest: Resource) -> Hold | None:
        """Return the hold of an object's newest version, None if it is not held."""
        hold = self._held.get(newest.key)
        return hold if hold is not None and same_content(newest, hold.refused) else None

    def all(self) -> tuple[tuple[ResourceKey, Hold], ...]:
        return tuple(self._held.items())

    def put(self, key: ResourceKey, hold: Hold) -> None:
        self._held[key] = hold
        self._on_change(self._held)

    def in_force(self, key: ResourceKey, new: Resource | None) -> Resource | None:
        """Return what is in force of an object's newest version. A new generation is let go."""
        hold = self._held.get(key)
        if hold is None:
            return new
        if new is not None and same_content(new, hold.refused):
            return hold.good
        del self._held[key]
        self._on_change(self._held)
        return new


def same_content(one: Resource, other: Resource) -> bool:
    """Whether a change was only of what the machine writes."""
    a, b = one.metadata, other.metadata
    return (a.generation, a.uid, a.labels, a.annotations) == (
        b.generation,
        b.uid,
        b.labels,
        b.annotations,
    )
