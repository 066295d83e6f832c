"""Ends a mesh from outside, as `clew down` does."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable
from enum import Enum, auto
from pathlib import Path

from clew.local.leftovers import remove_leftovers
from clew.local.state import STATE, ProcessId, is_alive, is_locked, lock, read_state

_POLL_SECONDS = 0.05
# `clew up` takes the lock before it writes who it is.
_START_SECONDS = 10.0


class Outcome(Enum):
    """How a mesh was found, or how it ended."""

    NOTHING = auto()  # it did not run
    STOPPED = auto()
    CLEANED = auto()  # it had been killed; what was left of it is gone


class StillRuns(Exception):
    """The mesh did not end in time."""


def stop_mesh(directory: Path, *, now: bool, seconds: float) -> Outcome:
    """Ask `clew up` of this mesh to end, and wait until it has. ``now``: without grace periods.

    Raises:
        StillRuns: after ``seconds`` it still has not.
    """
    if not is_locked(directory):
        return _clean(directory)
    supervisor = _supervisor(directory)
    for _ in range(2 if now else 1):
        with contextlib.suppress(ProcessLookupError):
            os.kill(supervisor.pid, signal.SIGTERM)
        time.sleep(_POLL_SECONDS)  # two equal signals at once would be one
    if not _wait(lambda: not is_locked(directory), seconds):
        raise StillRuns(f"`clew up` (process {supervisor.pid}) still runs after {seconds:.0f} s")
    return Outcome.STOPPED


def _clean(directory: Path) -> Outcome:
    if not (directory / STATE).exists():
        return Outcome.NOTHING
    with lock(directory):
        remove_leftovers(directory)
    return Outcome.CLEANED


def _supervisor(directory: Path) -> ProcessId:
    """Return who runs the mesh. Raises: StillRuns, when it has not said so in time."""
    found: list[ProcessId] = []

    def look() -> bool:
        state = read_state(directory)
        if state is not None and is_alive(state.supervisor):
            found.append(state.supervisor)
        return bool(found)

    if not _wait(look, _START_SECONDS):
        raise StillRuns("`clew up` is only just starting")
    return found[0]


def _wait(condition: Callable[[], bool], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not (held := condition()) and time.monotonic() < deadline:
        time.sleep(_POLL_SECONDS)
    return held
