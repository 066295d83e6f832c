"""The file of traces: its tables, the questions it answers, and the bounds that it keeps to."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec

from clew.model.trace import Span, TraceQuery

_SCHEMA_VERSION = 1
_SCHEMA = """
CREATE TABLE traces (
    id TEXT PRIMARY KEY, start INTEGER NOT NULL, end INTEGER NOT NULL,
    spans INTEGER NOT NULL, heard REAL NOT NULL
) WITHOUT ROWID;
CREATE INDEX traces_by_start ON traces (start);
CREATE INDEX traces_by_age ON traces (heard);
CREATE TABLE spans (
    trace TEXT NOT NULL, id TEXT NOT NULL, service TEXT NOT NULL, name TEXT NOT NULL,
    start INTEGER NOT NULL, error INTEGER NOT NULL, status INTEGER NOT NULL, body BLOB NOT NULL,
    PRIMARY KEY (trace, id)
) WITHOUT ROWID;
CREATE INDEX spans_by_service ON spans (service, start);
"""
# Of one trace. Who sends more has lost its way.
MOST_SPANS = 5_000
# The part of all traces that goes at once when there is no room.
_SHARE = 20
# What no clock says: SQLite's integers end here.
_LAST = 2**63 - 1

_decoder = msgspec.json.Decoder(Span)


@dataclass(frozen=True, slots=True, kw_only=True)
class TraceLimits:
    """How long traces are kept, and the bytes that the file may take."""

    age: timedelta = timedelta(days=1)
    size: int = 256 * 1024 * 1024


class TracesFile:
    """The open file. Used by one thread at a time. ``now``s are seconds since 1970."""

    def __init__(self, connection: sqlite3.Connection, limits: TraceLimits) -> None:
        self._connection = connection
        self._limits = limits

    @classmethod
    def open(cls, path: Path, limits: TraceLimits) -> TracesFile:
        """Open the file, or begin anew: what cannot be read is no loss. Raises: OSError."""
        try:
            return cls(_connect(path), limits)
        except sqlite3.DatabaseError as error:
            if "locked" in str(error):
                raise OSError(f"{path} is in use by another control plane") from error
            for each in (path, Path(f"{path}-wal"), Path(f"{path}-shm")):
                each.unlink(missing_ok=True)
            return cls(_connect(path), limits)

    def close(self) -> None:
        self._connection.close()

    def add(self, spans: Iterable[Span], now: float) -> int:
        """Take spans in; return how many there was no room for in their traces."""
        by_trace: dict[str, list[Span]] = {}
        for span in spans:
            by_trace.setdefault(span.trace_id, []).append(span)
        with self._connection:
            refused = sum(self._add(trace, each, now) for trace, each in by_trace.items())
        self.shrink(now)
        return refused

    def _add(self, trace: str, spans: Sequence[Span], now: float) -> int:
        """Spans of one trace; return how many there was no room for."""
        ask = self._connection.execute
        known = ask("SELECT spans FROM traces WHERE id = ?", (trace,)).fetchone()
        taken = spans[: max(0, MOST_SPANS - known[0])] if known is not None else spans[:MOST_SPANS]
        if taken:
            added = self._connection.executemany(
                "INSERT OR IGNORE INTO spans VALUES (?, ?, ?, ?, ?, ?, ?, ?)", map(_row, taken)
            ).rowcount
            start = min(min(span.start for span in taken), _LAST)
            end = min(max(span.end for span in taken), _LAST)
            ask(
                "INSERT INTO traces VALUES (?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET"
                " start = min(start, excluded.start), end = max(end, excluded.end),"
                " spans = spans + excluded.spans, heard = excluded.heard",
                (trace, start, end, added, now),
            )
        return len(spans) - len(taken)

    def shrink(self, now: float) -> None:
        """Drop what is too old, and the oldest of the rest until there is room."""
        oldest = now - self._limits.age.total_seconds()
        self._drop("heard < ?", oldest)
        while self.size > self._limits.size and (count := self._count()):
            share = -(-count // _SHARE)
            self._drop("id IN (SELECT id FROM traces ORDER BY heard, start LIMIT ?)", share)

    def _drop(self, which: str, value: float) -> None:
        with self._connection:
            self._connection.execute(
                f"DELETE FROM spans WHERE trace IN (SELECT id FROM traces WHERE {which})", (value,)
            )
            self._connection.execute(f"DELETE FROM traces WHERE {which}", (value,))

    @property
    def size(self) -> int:
        """The bytes that are in use; a file never shrinks, but what is free is used again."""
        pages, free, size = (
            self._connection.execute(f"PRAGMA {name}").fetchone()[0]
            for name in ("page_count", "freelist_count", "page_size")
        )
        return int((pages - free) * size)

    def _count(self) -> int:
        return int(self._connection.execute("SELECT count(*) FROM traces").fetchone()[0])

    def trace(self, trace_id: str) -> Sequence[Span]:
        rows = self._connection.execute(
            "SELECT body FROM spans WHERE trace = ? ORDER BY start", (trace_id,)
        )
        return tuple(_decoder.decode(body) for (body,) in rows)

    def find(self, query: TraceQuery) -> Sequence[Sequence[Span]]:
        """The traces that are wanted, the newest first."""
        conditions, values = _conditions(query)
        where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
        rows = self._connection.execute(
            f"SELECT id FROM traces{where} ORDER BY start DESC, id LIMIT ?", (*values, query.limit)
        ).fetchall()
        return tuple(self.trace(trace_id) for (trace_id,) in rows)

    def services(self) -> Sequence[str]:
        # Steps from one name to the next in the index, however many spans each has.
        rows = self._connection.execute(
            "WITH RECURSIVE found (each) AS (SELECT min(service) FROM spans UNION ALL"
            " SELECT (SELECT min(service) FROM spans WHERE service > each) FROM found"
            " WHERE each IS NOT NULL) SELECT each FROM found WHERE each IS NOT NULL"
        )
        return tuple(name for (name,) in rows)

    def operations(self, service: str) -> Sequence[str]:
        rows = self._connection.execute(
            "SELECT DISTINCT name FROM spans WHERE service = ? ORDER BY name", (service,)
        )
        return tuple(name for (name,) in rows)


def _row(span: Span) -> tuple[Any, ...]:
    start, body = min(span.start, _LAST), msgspec.json.encode(span)
    named = (span.trace_id, span.span_id, span.service, span.name)
    return (*named, start, span.error, span.status, body)


def _conditions(query: TraceQuery) -> tuple[list[str], list[Any]]:
    pairs = [*_of_trace(query)]
    if of_span := [*_of_span(query)]:
        conditions = " AND ".join(condition for condition, _ in of_span)
        # Asked trace by trace, so that the newest ones are found without looking at all.
        spans = f"EXISTS (SELECT 1 FROM spans WHERE trace = traces.id AND {conditions})"
        pairs.append((spans, [value for _, each in of_span for value in each]))
    return [condition for condition, _ in pairs], [v for _, values in pairs for v in values]


def _of_trace(query: TraceQuery) -> Iterator[tuple[str, list[Any]]]:
    bounds = (
        ("traces.start >= ?", query.since),
        ("traces.start < ?", query.until),
        ("traces.end - traces.start >= ?", query.min_duration),
        ("traces.end - traces.start <= ?", query.max_duration),
    )
    return ((condition, [min(value, _LAST)]) for condition, value in bounds if value)


def _of_span(query: TraceQuery) -> Iterator[tuple[str, list[Any]]]:
    if query.service:
        yield "service = ?", [query.service]
    if query.operation:
        yield "name = ?", [query.operation]
    if query.status:
        yield "status = ?", [min(query.status, _LAST)]
    if query.errors:
        yield "error", []


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=2, check_same_thread=False)
    try:
        connection.execute("PRAGMA locking_mode = EXCLUSIVE")
        connection.execute("PRAGMA journal_mode = WAL")
        # A power cut may cost the file; there is nothing in it that would be missed.
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute("PRAGMA journal_size_limit = 4194304")
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if version == 0:
            connection.executescript(
                f"BEGIN; {_SCHEMA} PRAGMA user_version = {_SCHEMA_VERSION}; COMMIT;"
            )
        elif version != _SCHEMA_VERSION:
            raise sqlite3.DatabaseError(f"its format is {version}")
    except BaseException:
        connection.close()
        raise
    return connection
