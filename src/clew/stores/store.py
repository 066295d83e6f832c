"""The one protocol that all stores speak, and the values it moves."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from clew.model.base import Resource, ResourceKey


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """One object as it is stored.

    ``manifest`` is what the user wrote plus the metadata that the store sets (uid,
    creationTimestamp, generation, resourceVersion); ``resource`` is the same, typed.
    """

    key: ResourceKey
    revision: int
    manifest: Mapping[str, Any]
    resource: Resource


@dataclass(frozen=True, slots=True)
class Change:
    """One step of the store: ``stored`` is None when the object was deleted."""

    key: ResourceKey
    revision: int
    stored: Stored | None


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryEntry:
    """One change of one object: who, when (RFC 3339), what. ``manifest`` None: deleted."""

    revision: int
    at: str
    author: str
    action: str  # "create", "update", "delete", "rollback"
    manifest: Mapping[str, Any] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RecentEntry:
    """A change of ``key``, and the object's manifest before it, None: it did not exist."""

    key: ResourceKey
    entry: HistoryEntry
    before: Mapping[str, Any] | None


class Conflict(Exception):
    """The object changed since the revision that the writer had seen."""


class NotFound(Exception):
    """There is no such object, or no such revision of it."""


class ReadOnly(Exception):
    """The objects come from files; change the files."""


class Expired(Exception):
    """Deletions since that revision are forgotten: list again, and watch from there."""


class Store(Protocol):
    """Objects with optimistic concurrency and a totally ordered log of changes.

    Revisions grow by one per change and are never reused. ``apply`` trusts that the resource is
    valid: the API validates before it writes.
    """

    async def revision(self) -> int: ...

    async def list(self) -> tuple[int, Sequence[Stored]]:
        """All objects, and the revision that they show."""
        ...

    async def get(self, key: ResourceKey) -> Stored | None: ...

    async def apply(
        self,
        resource: Resource,
        manifest: Mapping[str, Any],
        *,
        author: str,
        expected_revision: int | None = None,
        action: str = "",
    ) -> Stored:
        """Create or replace. An apply that changes nothing returns what is stored already.

        ``expected_revision``: the revision that must be current; 0: the object must not exist.
        ``action`` is what the history calls it, when that is not "create" or "update".

        Raises: Conflict, ReadOnly.
        """
        ...

    async def delete(
        self, key: ResourceKey, *, author: str, expected_revision: int | None = None
    ) -> int:
        """Delete and return the revision. Raises: NotFound, Conflict, ReadOnly."""
        ...

    async def history(self, key: ResourceKey) -> Sequence[HistoryEntry]:
        """Newest first; empty where a store keeps no history."""
        ...

    async def recent(self, limit: int) -> Sequence[RecentEntry]:
        """The newest changes of all objects but Pods, newest first; empty without a history."""
        ...

    def watch(self, since: int) -> AsyncIterator[Sequence[Change]]:
        """Batches of changes after revision ``since``, for ever; never an empty batch.

        An object that changed several times between two batches is in the second one once, as it
        is then: however slow the reader is, nothing piles up for it.

        Raises: Expired.
        """
        ...
