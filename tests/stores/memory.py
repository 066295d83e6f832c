"""A store that forgets everything when the process ends."""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from datetime import datetime
from itertools import zip_longest
from typing import Any
from uuid import uuid4

from clew.model.base import Resource, ResourceKey
from clew.stores.feed import Feed
from clew.stores.revise import (
    Stamp,
    check_revision,
    existing,
    history_limit,
    is_ephemeral,
    only_status_differs,
    revised,
    timestamp,
)
from clew.stores.store import Change, HistoryEntry, RecentEntry, Stored


class MemoryStore:
    """Objects and their history in dicts. The history is bounded as ``revise`` says."""

    def __init__(self, *, now: Callable[[], datetime]) -> None:
        self._now = now
        self._feed = Feed()
        self._history: dict[ResourceKey, deque[HistoryEntry]] = {}

    async def revision(self) -> int:
        return self._feed.revision

    async def list(self) -> tuple[int, Sequence[Stored]]:
        return self._feed.revision, self._feed.objects()

    async def get(self, key: ResourceKey) -> Stored | None:
        return self._feed.get(key)

    async def apply(
        self,
        resource: Resource,
        manifest: Mapping[str, Any],
        *,
        author: str,
        expected_revision: int | None = None,
        action: str = "",
    ) -> Stored:
        current = self._feed.get(resource.key)
        check_revision(current, resource.key, expected_revision)
        stamp = Stamp(revision=self._feed.revision + 1, at=timestamp(self._now()), uid=str(uuid4()))
        stored = revised(current, resource, manifest, stamp)
        if stored is current:
            return stored
        if not only_status_differs(current, stored):
            action = action or ("update" if current else "create")
            self._remember(stored.key, stamp, author, action, stored.manifest)
        self._feed.record([Change(stored.key, stored.revision, stored)])
        return stored

    async def delete(
        self, key: ResourceKey, *, author: str, expected_revision: int | None = None
    ) -> int:
        current = existing(self._feed.get(key), key)
        check_revision(current, key, expected_revision)
        stamp = Stamp(revision=self._feed.revision + 1, at=timestamp(self._now()), uid="")
        if is_ephemeral(key.kind):
            self._history.pop(key, None)
        else:
            self._remember(key, stamp, author, "delete", None)
        self._feed.record([Change(key, stamp.revision, None)])
        return stamp.revision

    async def history(self, key: ResourceKey) -> Sequence[HistoryEntry]:
        return tuple(self._history.get(key, ()))

    async def recent(self, limit: int) -> Sequence[RecentEntry]:
        found = [
            RecentEntry(key=key, entry=entry, before=None if before is None else before.manifest)
            for key, entries in self._history.items()
            if not is_ephemeral(key.kind)
            for entry, before in zip_longest(entries, list(entries)[1:])
        ]
        return heapq.nlargest(limit, found, key=lambda each: each.entry.revision)

    def watch(self, since: int) -> AsyncIterator[Sequence[Change]]:
        return self._feed.watch(since)

    def _remember(
        self,
        key: ResourceKey,
        stamp: Stamp,
        author: str,
        action: str,
        manifest: Mapping[str, Any] | None,
    ) -> None:
        entries = self._history.setdefault(key, deque(maxlen=history_limit(key.kind)))
        entries.appendleft(
            HistoryEntry(
                revision=stamp.revision,
                at=stamp.at,
                author=author,
                action=action,
                manifest=manifest,
            )
        )
