"""Which of several changes a proxy refuses: found by giving it some of them at a time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from clew.model.base import Resource, ResourceKey
from clew.model.xds import TypeUrl

# Objects to publish; None: without it.
Step = dict[ResourceKey, Resource | None]


@dataclass(slots=True, eq=False)
class Trial:
    """The search for what made a proxy refuse one resource.

    First all suspects are held at their good versions. If the proxy takes that, they are let go
    again part by part: a part that is refused is held and halved, one that is taken is innocent.
    So it ends after at most twice as many steps as there are suspects, and usually after few.

    ``good`` and ``newest`` are the suspects' versions; None: the object was not there.
    """

    type_url: TypeUrl
    name: str
    reason: str
    good: Mapping[ResourceKey, Resource | None]
    newest: Mapping[ResourceKey, Resource | None]
    guilty: list[ResourceKey] = field(default_factory=list)
    done: bool = False
    explained: bool = True
    _parts: list[tuple[ResourceKey, ...]] = field(default_factory=list)
    _trying: tuple[ResourceKey, ...] = ()
    _dropped: set[ResourceKey] = field(default_factory=set)

    @property
    def suspects(self) -> frozenset[ResourceKey]:
        """Those about which nothing is known yet."""
        return frozenset(self.good.keys() - self._dropped - set(self.guilty))

    def suspects_still(self, key: ResourceKey) -> bool:
        """Whether it is not known to be innocent."""
        return key in self.good and key not in self._dropped

    def begin(self) -> Step:
        return {key: self.good[key] for key in self.good}

    def accepted(self) -> Step:
        """The proxy took the last step; return the next one, nothing when all is known."""
        if self._trying:
            self._dropped |= {*self._trying}
            self._trying = ()
            return self._next({})
        self._parts = _halves(tuple(self.good))
        if len(self.good) == 1:
            self.guilty, self._parts = [*self.suspects], []
        return self._next({})

    def refused(self, reason: str) -> Step:
        """The proxy refused the last step; return the next one."""
        if not self._trying:
            # Even without the suspects: none of them is it.
            self.done, self.explained = True, False
            return {key: self.newest[key] for key in self.suspects}
        part, self._trying = [key for key in self._trying if key not in self._dropped], ()
        if len(part) == 1:
            self.guilty += part
            self.reason = reason
        else:
            self._parts += _halves(tuple(part))
        return self._next({key: self.good[key] for key in part})

    def drop(self, key: ResourceKey) -> None:
        """Somebody changed a suspect: what is searched for is another version."""
        self._dropped.add(key)
        if key in self.guilty:
            self.guilty.remove(key)

    def abandon(self) -> Step:
        """The proxy has gone: let go of those of whom nothing is known."""
        self.done = True
        return {key: self.newest[key] for key in self.suspects}

    def _next(self, step: Step) -> Step:
        while self._parts:
            part = tuple(key for key in self._parts.pop() if key not in self._dropped)
            if part:
                self._trying = part
                return step | {key: self.newest[key] for key in part}
        self.done = True
        return step


def _halves(keys: tuple[ResourceKey, ...]) -> list[tuple[ResourceKey, ...]]:
    middle = len(keys) // 2
    return [half for half in (keys[middle:], keys[:middle]) if half]
