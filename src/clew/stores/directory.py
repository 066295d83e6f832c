"""A store whose objects are the files of a directory, which is watched."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from watchfiles import Change as Event
from watchfiles import awatch

from clew.model.base import Resource, ResourceKey
from clew.model.diagnostic import Diagnostic, Place, Severity
from clew.stores.declared import Declared, FileState, merge, read_file, unreadable
from clew.stores.feed import Feed
from clew.stores.revise import Stamp, revised
from clew.stores.store import Change, HistoryEntry, ReadOnly, RecentEntry, Stored

_SUFFIXES = frozenset({".yaml", ".yml", ".json"})
# Looking again this often costs a few file stats, and finds what the kernel does not report:
# network file systems, a directory that was replaced, a change while the watch was set up.
_RESCAN_MILLISECONDS = 2_000

# What tells one state of a file from the next without reading it.
Fingerprint = tuple[int, int, int]


class DirectoryStore:
    """The YAML and JSON files below a directory. Read-only through the API.

    Same files, same objects: uids follow from names, and creation times are those that the files
    state, for the times of files would change the precedence of objects with every checkout.
    Hidden files and directories do not count. History is the business of version control.
    """

    def __init__(self, directory: Path) -> None:
        """Read the directory once. Raises: NotADirectoryError."""
        if not directory.is_dir():
            raise NotADirectoryError(f"{directory} is not a directory")
        self._directory = directory
        self._feed = Feed()
        self._files: dict[str, FileState] = {}
        self._fingerprints: dict[str, Fingerprint] = {}
        self._problems: tuple[Diagnostic, ...] = ()
        self._take_over(self._read({}, {}, frozenset()))

    def problems(self) -> Sequence[Diagnostic]:
        """What is wrong with the files as they are now."""
        return self._problems

    async def run(self) -> None:
        """Follow the directory until cancelled."""
        changes = awatch(
            self._directory,
            debounce=200,
            step=20,
            rust_timeout=_RESCAN_MILLISECONDS,
            yield_on_timeout=True,
        )
        first = asyncio.ensure_future(anext(changes))
        try:
            # The kernel watches from the generator's first step on; then look what came before.
            await asyncio.sleep(0)
            await self._rescan(set())
            await self._rescan(await first)
            async for changed in changes:
                await self._rescan(changed)
        finally:
            first.cancel()

    async def _rescan(self, events: set[tuple[Event, str]]) -> None:
        if not await asyncio.to_thread(self._directory.is_dir):
            self._problems = (_directory_is_gone(self._directory),)
            return
        files, fingerprints = dict(self._files), dict(self._fingerprints)
        changed = frozenset(path for _, path in events)
        self._take_over(await asyncio.to_thread(self._read, files, fingerprints, changed))

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
        raise ReadOnly(self._read_only(resource.key))

    async def delete(
        self, key: ResourceKey, *, author: str, expected_revision: int | None = None
    ) -> int:
        raise ReadOnly(self._read_only(key))

    async def history(self, key: ResourceKey) -> Sequence[HistoryEntry]:
        return ()

    async def recent(self, limit: int) -> Sequence[RecentEntry]:
        return ()

    def watch(self, since: int) -> AsyncIterator[Sequence[Change]]:
        return self._feed.watch(since)

    def _read_only(self, key: ResourceKey) -> str:
        return f"{key}: the objects of this mesh are the files in {self._directory}; change those"

    def _read(
        self,
        files: Mapping[str, FileState],
        fingerprints: Mapping[str, Fingerprint],
        changed: frozenset[str],
    ) -> tuple[dict[str, FileState], dict[str, Fingerprint]]:
        """Read what is new; the rest stays as it was."""
        states: dict[str, FileState] = {}
        seen: dict[str, Fingerprint] = {}
        for path in _configuration_files(self._directory):
            name, last = str(path), files.get(str(path))
            try:
                stat = path.stat()
                seen[name] = (stat.st_ino, stat.st_ctime_ns, stat.st_size)
                unchanged = seen[name] == fingerprints.get(name) and name not in changed
                if last is not None and unchanged:
                    states[name] = last
                else:
                    states[name] = read_file(name, path.read_text(encoding="utf-8"), last)
            except FileNotFoundError:
                continue
            except (OSError, UnicodeDecodeError) as error:
                states[name] = unreadable(name, str(error), last)
        return states, seen

    def _take_over(self, read: tuple[dict[str, FileState], dict[str, Fingerprint]]) -> None:
        self._files, self._fingerprints = read
        objects, self._problems = merge(self._files.values())
        self._feed.record(self._changes(objects))

    def _changes(self, objects: Mapping[ResourceKey, Declared]) -> Sequence[Change]:
        changes: list[Change] = []
        gone = [stored.key for stored in self._feed.objects() if stored.key not in objects]
        for key in gone:
            changes.append(Change(key, self._feed.revision + len(changes) + 1, None))
        for key, declared in objects.items():
            stamp = Stamp(
                revision=self._feed.revision + len(changes) + 1,
                at=declared.resource.metadata.creation_timestamp,
                uid=str(uuid5(NAMESPACE_URL, "/".join(key))),
            )
            current = self._feed.get(key)
            stored = revised(current, declared.resource, declared.manifest, stamp)
            if stored is not current:
                changes.append(Change(key, stored.revision, stored))
        return changes


def _configuration_files(directory: Path) -> list[Path]:
    return [
        path
        for path in sorted(directory.rglob("*"))
        if path.suffix in _SUFFIXES
        and not any(part.startswith(".") for part in path.relative_to(directory).parts)
    ]


def _directory_is_gone(directory: Path) -> Diagnostic:
    return Diagnostic(
        severity=Severity.ERROR,
        place=Place(file=str(directory)),
        problem="the directory is gone",
        hint="all its objects stay in effect; put it back, or stop the mesh",
    )
