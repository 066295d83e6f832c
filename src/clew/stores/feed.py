"""The current objects of one store in memory, and everybody who watches them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence

from clew.model.base import ResourceKey
from clew.stores.store import Change, Expired, Stored

# Deletions that are remembered for watchers that come back. Only one that was away for longer
# has to list again, and the bound keeps a mesh with many short-lived Pods small.
DELETIONS_KEPT = 10_000


class Feed:
    """The latest change of every object, oldest first. Belongs to one event loop.

    Nothing is queued per watcher: each has a revision up to which it knows, and reads what is
    newer when it is ready.
    """

    def __init__(
        self,
        revision: int = 0,
        objects: Iterable[Stored] = (),
        *,
        deletions_kept: int | None = None,
    ) -> None:
        self.revision = revision
        ordered = sorted(objects, key=lambda stored: stored.revision)
        self._latest = {s.key: Change(s.key, s.revision, s) for s in ordered}
        self._deleted: dict[ResourceKey, int] = {}
        self._deletions_kept = DELETIONS_KEPT if deletions_kept is None else deletions_kept
        # Deletions up to this revision may be forgotten.
        self._complete_since = revision
        self._changed = asyncio.Event()

    def objects(self) -> list[Stored]:
        return [change.stored for change in self._latest.values() if change.stored is not None]

    def get(self, key: ResourceKey) -> Stored | None:
        change = self._latest.get(key)
        return None if change is None else change.stored

    def record(self, changes: Sequence[Change]) -> None:
        """Take over changes, in order, and wake the watchers."""
        for change in changes:
            self._record(change)
        if changes:
            self._changed.set()
            self._changed = asyncio.Event()

    async def watch(self, since: int) -> AsyncIterator[Sequence[Change]]:
        """Batches of what changed after ``since``; 0 begins with all objects. Raises: Expired."""
        while True:
            changed = self._changed
            if since > self.revision or 0 < since < self._complete_since:
                raise Expired(
                    f"the changes since revision {since} are not known any more "
                    f"(the store is at {self.revision}): list again and watch from there"
                )
            batch = self._after(since)
            if not batch:
                await changed.wait()
                continue
            since = batch[-1].revision
            yield batch

    def _record(self, change: Change) -> None:
        self._latest.pop(change.key, None)
        self._latest[change.key] = change
        self._deleted.pop(change.key, None)
        self.revision = change.revision
        if change.stored is None:
            self._deleted[change.key] = change.revision
            self._forget_old_deletions()

    def _forget_old_deletions(self) -> None:
        while len(self._deleted) > self._deletions_kept:
            key = next(iter(self._deleted))
            self._complete_since = self._deleted.pop(key)
            del self._latest[key]

    def _after(self, since: int) -> tuple[Change, ...]:
        newest_first = []
        for change in reversed(self._latest.values()):
            if change.revision <= since:
                break
            newest_first.append(change)
        return tuple(reversed(newest_first))
