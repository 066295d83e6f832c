"""The file behind the SQLite store: its tables, and one transaction per change."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from clew.config.parse import parse_manifest
from clew.model.base import ResourceKey
from clew.model.diagnostic import Diagnostic
from clew.stores.revise import EPHEMERAL_HISTORY_LIMITS, history_limit, is_ephemeral
from clew.stores.store import HistoryEntry, RecentEntry, Stored

# Grows when the tables change; an older clew then refuses the file instead of spoiling it.
_SCHEMA_VERSION = 1
_SCHEMA = """
CREATE TABLE counter (revision INTEGER NOT NULL);
INSERT INTO counter VALUES (0);
CREATE TABLE objects (
    "group" TEXT, kind TEXT, namespace TEXT, name TEXT,
    revision INTEGER NOT NULL,
    manifest BLOB NOT NULL,
    PRIMARY KEY ("group", kind, namespace, name)
) WITHOUT ROWID;
CREATE TABLE log (
    revision INTEGER PRIMARY KEY,
    "group" TEXT NOT NULL, kind TEXT NOT NULL, namespace TEXT NOT NULL, name TEXT NOT NULL,
    at TEXT NOT NULL, author TEXT NOT NULL, action TEXT NOT NULL,
    manifest BLOB
);
CREATE INDEX log_of_object ON log ("group", kind, namespace, name, revision);
"""
_SAME_OBJECT = '"group" = ? AND kind = ? AND namespace = ? AND name = ?'


class SqliteFile:
    """The open file. Used by one thread at a time.

    ``log`` holds what people did and is only ever added to, up to a number of entries for each
    object. Reports of status change ``objects`` alone.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    @classmethod
    def open(cls, path: Path) -> SqliteFile:
        try:
            return cls(_connect(path))
        except sqlite3.DatabaseError as error:
            raise OSError(_cannot_open(path, error)) from error

    def close(self) -> None:
        self._connection.close()

    def load(self) -> tuple[int, Sequence[Stored], Sequence[Diagnostic]]:
        """The last revision, all objects, and why some could not be understood."""
        (revision,) = self._connection.execute("SELECT revision FROM counter").fetchone()
        objects: list[Stored] = []
        problems: list[Diagnostic] = []
        query = "SELECT revision, manifest FROM objects ORDER BY revision"
        for object_revision, text in self._connection.execute(query):
            manifest = msgspec.json.decode(text)
            document = parse_manifest(manifest)
            if document.resource is None:
                problems.extend(document.diagnostics)
                continue
            objects.append(
                Stored(
                    key=document.resource.key,
                    revision=object_revision,
                    manifest=manifest,
                    resource=document.resource,
                )
            )
        return revision, objects, tuple(problems)

    def put(self, stored: Stored, entry: HistoryEntry | None) -> None:
        row = (*stored.key, stored.revision, msgspec.json.encode(stored.manifest))
        with self._transaction(stored.revision):
            self._connection.execute("REPLACE INTO objects VALUES (?, ?, ?, ?, ?, ?)", row)
            if entry is not None:
                self._log(stored.key, entry)

    def remove(self, key: ResourceKey, entry: HistoryEntry) -> None:
        with self._transaction(entry.revision):
            self._connection.execute(f"DELETE FROM objects WHERE {_SAME_OBJECT}", key)
            if is_ephemeral(key.kind):
                self._connection.execute(f"DELETE FROM log WHERE {_SAME_OBJECT}", key)
            else:
                self._log(key, entry)

    def history(self, key: ResourceKey) -> Sequence[HistoryEntry]:
        """Newest first."""
        rows = self._connection.execute(
            "SELECT revision, at, author, action, manifest FROM log"
            f" WHERE {_SAME_OBJECT} ORDER BY revision DESC",
            key,
        )
        return tuple(_entry(*row) for row in rows)

    def recent(self, limit: int) -> Sequence[RecentEntry]:
        """The newest changes, newest first, without those of ephemeral kinds."""
        kinds = tuple(EPHEMERAL_HISTORY_LIMITS)
        rows = self._connection.execute(
            'SELECT "group", kind, namespace, name, revision, at, author, action, manifest,'
            " (SELECT manifest FROM log AS earlier WHERE"
            ' earlier."group" = log."group" AND earlier.kind = log.kind'
            " AND earlier.namespace = log.namespace AND earlier.name = log.name"
            " AND earlier.revision < log.revision ORDER BY earlier.revision DESC LIMIT 1)"
            f" FROM log WHERE kind NOT IN ({', '.join('?' * len(kinds))})"
            " ORDER BY revision DESC LIMIT ?",
            (*kinds, limit),
        )
        return tuple(
            RecentEntry(
                key=ResourceKey(*row[:4]),
                entry=_entry(*row[4:9]),
                before=None if row[9] is None else msgspec.json.decode(row[9]),
            )
            for row in rows
        )

    @contextmanager
    def _transaction(self, revision: int) -> Iterator[None]:
        with self._connection:
            self._connection.execute("UPDATE counter SET revision = ?", (revision,))
            yield

    def _log(self, key: ResourceKey, entry: HistoryEntry) -> None:
        manifest = None if entry.manifest is None else msgspec.json.encode(entry.manifest)
        row = (entry.revision, *key, entry.at, entry.author, entry.action, manifest)
        self._connection.execute("INSERT INTO log VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", row)
        self._connection.execute(
            f"DELETE FROM log WHERE {_SAME_OBJECT} AND revision <= (SELECT revision FROM log"
            f" WHERE {_SAME_OBJECT} ORDER BY revision DESC LIMIT 1 OFFSET ?)",
            (*key, *key, history_limit(key.kind)),
        )


def _connect(path: Path) -> sqlite3.Connection:
    # The store calls from one thread at a time, but not from the one that opens the file.
    connection = sqlite3.connect(path, timeout=2, check_same_thread=False)
    try:
        # One server per mesh: a second one must fail at once and loudly.
        connection.execute("PRAGMA locking_mode = EXCLUSIVE")
        connection.execute("PRAGMA journal_mode = WAL")
        # With WAL this loses nothing when the process dies; only a power cut may take the
        # last changes, and then the processes of the mesh are gone as well.
        connection.execute("PRAGMA synchronous = NORMAL")
        _create_or_check_tables(connection)
        connection.execute("BEGIN IMMEDIATE")
        connection.commit()
    except BaseException:
        connection.close()
        raise
    return connection


def _create_or_check_tables(connection: sqlite3.Connection) -> None:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version == 0:
        connection.executescript(
            f"BEGIN; {_SCHEMA} PRAGMA user_version = {_SCHEMA_VERSION}; COMMIT;"
        )
    elif version != _SCHEMA_VERSION:
        raise sqlite3.DatabaseError(
            f"its format is {version}, and this version of clew knows {_SCHEMA_VERSION}"
        )


def _cannot_open(path: Path, error: sqlite3.DatabaseError) -> str:
    if "locked" in str(error):
        return f"{path} is in use: another control plane serves this mesh already"
    return f"cannot use {path} as the store of a mesh: {error}; move it away to begin anew"


def _entry(
    revision: int, at: str, author: str, action: str, manifest: bytes | None
) -> HistoryEntry:
    decoded: dict[str, Any] | None = None if manifest is None else msgspec.json.decode(manifest)
    return HistoryEntry(revision=revision, at=at, author=author, action=action, manifest=decoded)
