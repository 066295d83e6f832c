"""What each change of the mesh made of what proxies are told, remembered for a while."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field

from clew.model.base import Resource, ResourceKey
from clew.model.xds import Published, TypeUrl

# The names of resources that differ, by type.
Changed = Mapping[TypeUrl, AbstractSet[str]]
# Told what is published now, and at least what differs from before (None: everything may).
OnPublish = Callable[[Published, Changed | None], None]
# By type and name; None: the resource was removed.
Versions = Mapping[TypeUrl, Mapping[str, str | None]]
# Of a change: the versions of which a proxy must have acknowledged one, by type and name.
Effect = Mapping[TypeUrl, Mapping[str, frozenset[str | None]]]

_REMEMBERED = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Changes that were taken together: the revisions after ``since``, up to ``revision``.

    ``before``: the configuration that they replaced, as it was in force; None: it was absent.
    """

    since: int
    revision: int
    before: Mapping[ResourceKey, Resource | None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Publication:
    """What one batch changed for one class of proxies."""

    batch: Batch
    versions: Versions


class PublicationLog:
    """The latest publications to one class of proxies, oldest first.

    ``added``: how many there have been in all.
    """

    def __init__(self) -> None:
        self.added = 0
        self._entries: deque[Publication] = deque()
        self._forgotten = 0

    def continued(self, other: PublicationLog, after: int) -> PublicationLog:
        """Return a log of these and of what came to ``other`` after its first so many."""
        both = PublicationLog()
        both._forgotten = self._forgotten
        new = max(0, other.added - after)
        for entry in (*self._entries, *(list(other._entries)[-new:] if new else ())):
            both.add(entry)
        return both

    def add(self, publication: Publication) -> None:
        self.added += 1
        if len(self._entries) == _REMEMBERED:
            self._forgotten = self._entries.popleft().batch.revision
        self._entries.append(publication)

    def effect(self, revision: int) -> Effect | None:
        """Return what the change of ``revision`` made different; None: it is forgotten."""
        if revision <= self._forgotten:
            return None
        found: dict[TypeUrl, dict[str, set[str | None]]] = {}
        for entry in self._entries:
            if entry.batch.since == entry.batch.revision:
                continue  # A trial: it may lack what the change brought.
            if entry.batch.since < revision <= entry.batch.revision:
                found = {
                    type_url: {name: {version} for name, version in versions.items()}
                    for type_url, versions in entry.versions.items()
                }
                continue
            for type_url, names in found.items():
                later = entry.versions.get(type_url, {})
                for name in names.keys() & later.keys():
                    names[name].add(later[name])
        return {
            type_url: {name: frozenset(versions) for name, versions in names.items()}
            for type_url, names in found.items()
        }

    def since_version(self, type_url: TypeUrl, name: str, version: str | None) -> Iterator[Batch]:
        """Yield the batches that changed a resource after it had this version, newest first.

        All that are remembered if it never had it.
        """
        for entry in reversed(self._entries):
            versions = entry.versions.get(type_url, {})
            if name in versions:
                if versions[name] == version:
                    return
                yield entry.batch


def difference(before: Published, after: Published) -> dict[TypeUrl, frozenset[str]]:
    """Return the names, by type, whose version differs or that only one side has."""
    changed = {}
    for type_url in before.keys() | after.keys():
        old, new = before.get(type_url, {}), after.get(type_url, {})
        if old is new:
            continue
        differing = {
            name
            for name, resource in new.items()
            if (known := old.get(name)) is None or known.version != resource.version
        }
        if names := frozenset(differing | (old.keys() - new.keys())):
            changed[type_url] = names
    return changed


def versions_of(changed: Changed, published: Published) -> Versions:
    """Return the versions that these resources have now."""
    return {
        type_url: {
            name: resource.version if (resource := named.get(name)) is not None else None
            for name in names
        }
        for type_url, names in changed.items()
        for named in (published.get(type_url, {}),)
    }
