"""Traces of the last hours, for the mesh on one machine: a file of bounded age and size."""

from __future__ import annotations

import asyncio
import logging
import os
import sqlite3
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from clew.model.trace import Span, TraceQuery
from clew.stores.traces_file import TraceLimits, TracesFile

log = logging.getLogger("clew.traces")

T = TypeVar("T")

# Spans that wait to be written; more are refused, so that memory is bounded whoever sends.
MOST_WAITING = 20_000
# Written at once, before whoever asks something gets its turn.
_AT_ONCE = 1_000
_AGEING_SECONDS = 60.0


class Traces:
    """One thread owns the file; spans are taken in at once and written as soon as it can.

    ``now``: seconds since 1970.
    """

    def __init__(self, path: Path, limits: TraceLimits, *, now: Callable[[], float]) -> None:
        self._path = path
        self._limits = limits
        self._now = now
        self._file: TracesFile | None = None
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="clew-traces")
        self._waiting: list[Span] = []
        self._something = asyncio.Event()

    def offer(self, spans: Sequence[Span]) -> int:
        """Take spans in; return how many there is no room for now."""
        room = max(0, MOST_WAITING - len(self._waiting))
        self._waiting += spans[:room]
        if self._waiting:
            self._something.set()
        return len(spans[room:])

    async def run(self) -> None:
        """Write what comes, and forget what gets old, until cancelled."""
        try:
            while True:
                try:
                    async with asyncio.timeout(_AGEING_SECONDS):
                        await self._something.wait()
                except TimeoutError:
                    await self._keep(lambda file: file.shrink(self._now()))
                await self._write()
        finally:
            self._thread.shutdown(wait=True)
            if self._file is not None:
                self._file.close()

    async def _write(self) -> None:
        self._something.clear()
        while self._waiting:
            batch = self._waiting[:_AT_ONCE]
            del self._waiting[: len(batch)]
            await self._keep(self._adding(batch))

    async def _keep(self, work: Callable[[TracesFile], None]) -> None:
        """A full disk costs traces, and nothing else."""
        try:
            await self._in_thread(work)
        except (sqlite3.Error, OSError):
            log.exception("traces are lost file=%s", self._path)

    def _adding(self, batch: Sequence[Span]) -> Callable[[TracesFile], None]:
        def add(file: TracesFile) -> None:
            if refused := file.add(batch, self._now()):
                log.warning("spans dropped, their traces are too long spans=%d", refused)

        return add

    async def trace(self, trace_id: str) -> Sequence[Span]:
        """All spans of a trace by their start, none if it is not known."""
        return await self._in_thread(lambda file: file.trace(trace_id))

    async def find(self, query: TraceQuery) -> Sequence[Sequence[Span]]:
        """The spans of each trace that is wanted, the newest trace first."""
        return await self._in_thread(lambda file: file.find(query))

    async def services(self) -> Sequence[str]:
        return await self._in_thread(lambda file: file.services())

    async def operations(self, service: str) -> Sequence[str]:
        return await self._in_thread(lambda file: file.operations(service))

    async def _in_thread(self, work: Callable[[TracesFile], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(
            self._thread, lambda: work(self._opened())
        )

    def _opened(self) -> TracesFile:
        """The file, which is made when there is something to put into it, or somebody asks."""
        if self._file is None:
            os.close(os.open(self._path, os.O_CREAT | os.O_RDWR, 0o600))
            self._file = TracesFile.open(self._path, self._limits)
        return self._file
