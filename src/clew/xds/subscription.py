"""What one proxy wants of one type over delta xDS, and what it is known to hold."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field

from clew.model.xds import EnvoyResource, ResourcesByName
from clew.xds.answers import Versions, named_as_guilty

ABSENT = ""  # the version of a resource that does not exist
MAX_IN_FLIGHT = 2

Changes = dict[str, EnvoyResource | None]  # None: removed


@dataclass(frozen=True, slots=True)
class Held:
    """What the proxy has under one name.

    ``version`` None: unsure. ``uses``: the clusters that it may refer to; None: unknown, because
    it came from an earlier stream.
    """

    version: str | None
    uses: frozenset[str] | None = frozenset()

    def or_else(self, resource: EnvoyResource | None) -> Held:
        if resource is None or self.uses is None or resource.uses <= self.uses:
            return self
        return Held(self.version, self.uses | resource.uses)


@dataclass(slots=True)
class InFlight:
    """A response that the proxy has not answered yet."""

    nonce: str
    changes: Changes


@dataclass(slots=True)
class Subscription:
    """Names that are not in ``lagging`` hold what is published: a proxy in sync costs nothing.

    ``dirty`` are the lagging names to look at in the next poll; ``resend`` those of them to send
    even if the proxy seems to have them. ``suspects`` are parts of a response that was refused
    as a whole: each is tried again alone, until the refused resources are found.
    """

    published: ResourcesByName
    wildcard: bool = False
    names: set[str] = field(default_factory=set)
    lagging: dict[str, Held] = field(default_factory=dict)
    dirty: set[str] = field(default_factory=set)
    resend: set[str] = field(default_factory=set)
    rejected: dict[str, str] = field(default_factory=dict)
    suspects: list[tuple[str, ...]] = field(default_factory=list)
    in_flight: list[InFlight] = field(default_factory=list)
    answered: bool = False  # the first request was; Envoy waits for that, even if it is empty
    acknowledged: bool = False  # the proxy has answered something

    @property
    def at_rest(self) -> bool:
        """Whether there is nothing to say, as nearly always."""
        return self.answered and not self.dirty and not self.suspects

    def wants(self, name: str) -> bool:
        return self.wildcard or name in self.names

    def awaits(self, name: str) -> bool:
        """Whether a published resource is on its way to a proxy that has no version of it."""
        held = self.lagging.get(name)
        if held is None or held.version or not self.wants(name):
            return False
        resource = self.published.get(name)
        return resource is not None and self.rejected.get(name) != resource.version

    def comes_back(self, name: str) -> bool:
        """Whether a published resource is absent until it is sent again."""
        return (
            name in self.lagging
            and self._target(name) is not None
            and self._expected(name) == ABSENT
        )

    def subscribe(self, names: Iterable[str]) -> None:
        """Want these too. A name that is wanted already gets a fresh answer."""
        for name in names:
            if name != "*":
                self.names.add(sys.intern(name))
                self._forget(name)
            elif not self.wildcard:
                self.wildcard = True
                for other in self.published:
                    if other not in self.names:
                        self._forget(other)

    def unsubscribe(self, names: Iterable[str]) -> None:
        for name in names:
            if name == "*":
                self.wildcard = False
                for other in [*self.lagging]:
                    if other not in self.names:
                        self._drop(other)
            else:
                self.names.discard(name)
                # Under a wildcard the proxy dropped its own copy and expects a fresh answer.
                (self._forget if self.wildcard else self._drop)(name)

    def resume(self, versions: Mapping[str, str]) -> None:
        """Take what a reconnecting proxy says that it holds. Call it once, after subscribing."""
        for name, version in versions.items():
            if not self.wants(name):
                continue
            resource = self.published.get(name)
            self.resend.discard(name)
            if resource is not None and resource.version == version:
                self.lagging.pop(name, None)
                self.dirty.discard(name)
            else:
                self.lagging[name] = Held(version, uses=None)
                self.dirty.add(name)

    def publish(self, published: ResourcesByName, changed: AbstractSet[str] | None) -> None:
        """Move on to ``published``; ``changed`` has at least the names that differ."""
        before, self.published = self.published, published
        if published is before:
            return
        names = differing(before, published) if changed is None else changed
        for name in names if self.wildcard else names & self.names:
            if name not in self.lagging:
                self.lagging[name] = _held(before.get(name))
            self.dirty.add(name)

    def repeat(self, names: Iterable[str]) -> None:
        """Send these once more, as far as they are wanted and exist."""
        for name in names:
            if name in self.published and self.wants(name):
                self.resend.add(name)
                self.dirty.add(name)

    def due_updates(self, ready: Callable[[EnvoyResource], bool]) -> tuple[Changes, bool]:
        """New and changed resources to send now, and whether others are not ``ready`` yet."""
        changes: Changes = {}
        waiting = False
        for name in sorted(self.dirty):
            resource = self._target(name)
            if not self._differs(name, resource):
                self._settle(name)
            elif resource is not None and ready(resource):
                changes[name] = resource
            elif resource is not None:
                waiting = True
        return changes, waiting

    def due_removals(self, removable: Callable[[str, Held], bool]) -> Changes:
        """Names of resources to remove now; call it after ``due_updates``."""
        return {
            name: None
            for name in sorted(self.dirty)
            if self._target(name) is None and removable(name, self.lagging.get(name, _NOTHING))
        }

    def due_retry(self) -> Changes:
        """The next part of a refused response to try alone."""
        while self.suspects:
            part = self.suspects.pop()
            changes: Changes = {
                name: resource
                for name in part
                if (resource := self._target(name)) is not None
                and self.rejected.get(name) == resource.version
            }
            if changes:
                return changes
        return {}

    def sent(self, nonce: str, changes: Changes) -> None:
        self.answered = True
        self.in_flight.append(InFlight(nonce, changes))
        for name, resource in changes.items():
            held = self.lagging.get(name) or _held(self.published.get(name))
            self.lagging[name] = held.or_else(resource)
            self.dirty.discard(name)
            self.resend.discard(name)

    def acknowledge(self, nonce: str) -> Versions | None:
        """The proxy accepted a response. None: not one that waits for an answer."""
        response = self._answered(nonce)
        if response is None:
            return None
        self._accept(response.changes)
        return versions_of(response.changes)

    def reject(self, nonce: str, detail: str) -> Versions | None:
        """The proxy refused a response; return what it blames. None: as in ``acknowledge``.

        Source: Envoy applies the good clusters and listeners of a response that it refuses, and
        names the others; of other types it may have applied any.
        """
        response = self._answered(nonce)
        if response is None:
            return None
        changes = response.changes
        blamed = named_as_guilty(detail, changes)
        guilty = {name: changes[name] for name in blamed or changes}
        self._accept({name: r for name, r in changes.items() if name not in guilty})
        for name, resource in guilty.items():
            self.rejected[name] = _version(resource)
            self.lagging[name] = Held(None, self.lagging.get(name, _NOTHING).uses)
        if not blamed and len(changes) > 1:
            names, half = [*changes], len(changes) // 2
            self.suspects += (tuple(names[half:]), tuple(names[:half]))
        return versions_of(guilty)

    def _answered(self, nonce: str) -> InFlight | None:
        """Take the response with this nonce out; earlier ones count as accepted."""
        if nonce not in [response.nonce for response in self.in_flight]:
            return None
        self.acknowledged = True
        while (response := self.in_flight.pop(0)).nonce != nonce:
            self._accept(response.changes)
        return response

    def _accept(self, changes: Changes) -> None:
        for name, resource in changes.items():
            self.rejected.pop(name, None)
            if name not in self.lagging:
                continue
            held = _held(resource)
            for later in self.in_flight:
                held = held.or_else(later.changes.get(name))
            self.lagging[name] = held
            self.dirty.add(name)
            if not self._differs(name, self._target(name)):
                self._settle(name)
        self._shrink()

    def _shrink(self) -> None:
        """Give back the memory of a first push: containers keep theirs when they empty."""
        if not self.lagging:
            self.lagging, self.rejected = {}, {}
        if not self.dirty:
            self.dirty, self.resend = set(), set()

    def _forget(self, name: str) -> None:
        """Void what is known of a name, as the proxy has: also what is on its way."""
        held = self.lagging.get(name) or _held(self.published.get(name))
        self._drop(name)
        self.lagging[name] = Held(None, held.uses)
        self.dirty.add(name)
        self.resend.add(name)

    def _drop(self, name: str) -> None:
        self.lagging.pop(name, None)
        self.rejected.pop(name, None)
        self.dirty.discard(name)
        self.resend.discard(name)
        for response in self.in_flight:
            response.changes.pop(name, None)

    def _target(self, name: str) -> EnvoyResource | None:
        return self.published.get(name) if self.wants(name) else None

    def _differs(self, name: str, resource: EnvoyResource | None) -> bool:
        version = _version(resource)
        if self.rejected.get(name) == version:
            return False
        return name in self.resend or version != self._expected(name)

    def _expected(self, name: str) -> str | None:
        """The version that the proxy will have once it has taken what is on its way."""
        for response in reversed(self.in_flight):
            if name in response.changes:
                return _version(response.changes[name])
        held = self.lagging.get(name)
        return _version(self.published.get(name)) if held is None else held.version

    def _settle(self, name: str) -> None:
        """Nothing is to be sent for this name; forget it if the proxy has acknowledged it."""
        self.dirty.discard(name)
        held = self.lagging.get(name)
        if held is not None and held.version == _version(self._target(name)):
            on_its_way = any(name in response.changes for response in self.in_flight)
            if not on_its_way:
                del self.lagging[name]


_NOTHING = Held(ABSENT)


def differing(before: ResourcesByName, after: ResourcesByName) -> AbstractSet[str]:
    """The names under which the two have different versions."""
    gone = before.keys() - after.keys()
    changed = {
        name
        for name, resource in after.items()
        if (old := before.get(name)) is not resource
        and (old is None or old.version != resource.version)
    }
    return gone | changed


def _held(resource: EnvoyResource | None) -> Held:
    return _NOTHING if resource is None else Held(resource.version, resource.uses)


def _version(resource: EnvoyResource | None) -> str:
    return ABSENT if resource is None else resource.version


def versions_of(changes: Changes) -> Versions:
    return {name: None if r is None else r.version for name, r in changes.items()}
