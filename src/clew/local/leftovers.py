"""Removes what a run of a mesh leaves, also one that was killed."""

from __future__ import annotations

import shutil
from pathlib import Path

from clew.local import leases
from clew.local.state import (
    AGENTS,
    HOLDER_LOG,
    SERVER_LOG,
    STATE,
    kill_leftovers,
    read_state,
)


def remove_leftovers(directory: Path) -> int:
    """End and remove what is left of the last run; return how many processes still ran.

    What stays: the objects, and the mesh's certificate authority. Nothing of the mesh may run.
    """
    state = read_state(directory)
    killed = kill_leftovers(state) if state else 0
    leases.release_all(directory)
    shutil.rmtree(directory / AGENTS, ignore_errors=True)
    for name in (SERVER_LOG, HOLDER_LOG, STATE):
        (directory / name).unlink(missing_ok=True)
    return killed
