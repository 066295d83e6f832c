"""The store of a mesh on one machine: one SQLite file with every object and its history."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar
from uuid import uuid4

from clew.model.base import Resource, ResourceKey
from clew.model.diagnostic import Diagnostic
from clew.stores.feed import Feed
from clew.stores.revise import (
    Stamp,
    check_revision,
    existing,
    only_status_differs,
    revised,
    timestamp,
)
from clew.stores.sqlite_file import SqliteFile
from clew.stores.store import Change, HistoryEntry, RecentEntry, Stored

T = TypeVar("T")


class SqliteStore:
    """Objects that survive ``kill -9``, with the history of each of them.

    One thread owns the file and decides every write; the event loop owns the feed, which serves
    all reads from memory. A change reaches the feed after its transaction has ended, in order.
    """

    def __init__(self, file: SqliteFile, *, now: Callable[[], datetime]) -> None:
        self._file = file
        self._now = now
        revision, objects, self._problems = file.load()
        self._revision = revision
        self._objects = {stored.key: stored for stored in objects}
        self._feed = Feed(revision, objects)
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="clew-store")

    @classmethod
    def open(cls, path: Path, *, now: Callable[[], datetime]) -> SqliteStore:
        """Open or create the file; only its owner may read it, since objects hold secrets.

        Raises: OSError when another process uses the file, or it is none of ours.
        """
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
        path.chmod(0o600)
        return cls(SqliteFile.open(path), now=now)

    async def close(self) -> None:
        """Finish what was begun and give the file free."""
        await self._in_thread(self._file.close)
        self._thread.shutdown()

    def problems(self) -> Sequence[Diagnostic]:
        """Stored objects that this version of clew does not understand; they stay in the file."""
        return self._problems

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
        publish = self._publisher()

        def write() -> Stored:
            current = self._objects.get(resource.key)
            check_revision(current, resource.key, expected_revision)
            stamp = self._stamp()
            stored = revised(current, resource, manifest, stamp)
            if stored is not current:
                entry = None
                if not only_status_differs(current, stored):
                    default = "update" if current else "create"
                    entry = _entry(stamp, author, action or default, stored.manifest)
                self._file.put(stored, entry)
                self._objects[stored.key] = stored
                self._revision = stored.revision
                publish(Change(stored.key, stored.revision, stored))
            return stored

        return await self._in_thread(write)

    async def delete(
        self, key: ResourceKey, *, author: str, expected_revision: int | None = None
    ) -> int:
        publish = self._publisher()

        def write() -> int:
            check_revision(existing(self._objects.get(key), key), key, expected_revision)
            stamp = self._stamp()
            self._file.remove(key, _entry(stamp, author, "delete", None))
            del self._objects[key]
            self._revision = stamp.revision
            publish(Change(key, stamp.revision, None))
            return stamp.revision

        return await self._in_thread(write)

    async def history(self, key: ResourceKey) -> Sequence[HistoryEntry]:
        return await self._in_thread(lambda: self._file.history(key))

    async def recent(self, limit: int) -> Sequence[RecentEntry]:
        return await self._in_thread(lambda: self._file.recent(limit))

    def watch(self, since: int) -> AsyncIterator[Sequence[Change]]:
        return self._feed.watch(since)

    def _publisher(self) -> Callable[[Change], object]:
        """A function for the thread. It works even if the caller was cancelled meanwhile."""
        loop = asyncio.get_running_loop()
        return lambda change: loop.call_soon_threadsafe(self._feed.record, (change,))

    def _stamp(self) -> Stamp:
        return Stamp(revision=self._revision + 1, at=timestamp(self._now()), uid=str(uuid4()))

    async def _in_thread(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)


def _entry(
    stamp: Stamp, author: str, action: str, manifest: Mapping[str, Any] | None
) -> HistoryEntry:
    return HistoryEntry(
        revision=stamp.revision, at=stamp.at, author=author, action=action, manifest=manifest
    )
