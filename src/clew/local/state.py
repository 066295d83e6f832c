"""What a running mesh keeps on disk: its lock, what it chose, and which processes are its own."""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
from pathlib import Path
from typing import IO

import msgspec

from clew.agent.spec import Capture
from clew.ca.private_file import write_private
from clew.model.base import OpenModel

LOCK = "lock"
STATE = "run.json"
AGENTS = "agents"
SERVER_LOG = "server.log"
HOLDER_LOG = "network.log"
SPEC = "spec.json"
AGENT_LOG = "agent.log"


class MeshRuns(Exception):
    """Another ``clew up`` of this mesh is alive."""


class ProcessId(OpenModel, frozen=True, kw_only=True):
    """A process beyond doubt: pids are reused, start times are not."""

    pid: int
    started: int  # clock ticks since boot


class ReplicaState(OpenModel, frozen=True, kw_only=True):
    """One replica as ``clew ps`` shows it. ``problem``: why it does not run, "" if it does."""

    namespace: str
    name: str
    workload: str
    ip: str
    capture: Capture
    process: ProcessId | None = None
    agent_restarts: int = 0
    since: str = ""  # RFC 3339
    problem: str = ""


class RunState(OpenModel, frozen=True, kw_only=True):
    """What ``clew up`` chose. ``namespace_holder``: the process that owns the mesh's network.

    ``up``: all that it was started with serves, or cannot run, and every proxy knows of it.
    """

    mesh: str
    supervisor: ProcessId
    up: bool = False
    capture: Capture
    user_namespace: bool = False
    why: str = ""  # why not a better capture
    subnet: str = ""
    http_port: int = 0
    https_port: int = 0
    tcp_port: int = 0
    namespace_holder: ProcessId | None = None
    server: ProcessId | None = None
    replicas: tuple[ReplicaState, ...] = ()
    problems: tuple[str, ...] = ()


def lock(directory: Path) -> IO[str]:
    """Take the mesh's lock; it is free again when the file is closed, or its process ends.

    Raises:
        MeshRuns: somebody holds it.
    """
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    directory.chmod(0o700)
    file = (directory / LOCK).open("a")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        raise MeshRuns(directory.name) from None
    return file


def is_locked(directory: Path) -> bool:
    """Tell whether a ``clew up`` of this mesh is alive."""
    try:
        with (directory / LOCK).open("r") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


def write_state(directory: Path, state: RunState) -> None:
    text = msgspec.json.format(msgspec.json.encode(state), indent=1)
    write_private(directory / STATE, text)


def read_state(directory: Path) -> RunState | None:
    """Return what the last ``clew up`` of the mesh wrote; None if it never ran, or was older."""
    try:
        return msgspec.json.decode((directory / STATE).read_bytes(), type=RunState)
    except (FileNotFoundError, msgspec.MsgspecError):
        return None


def agent_directory(directory: Path, namespace: str, replica: str) -> Path:
    return directory / AGENTS / namespace / replica


def process_id(pid: int) -> ProcessId | None:
    """Return the identity of a process, None if there is none of that pid."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    # The program's name, in parentheses, may hold spaces. Source: proc(5).
    fields = text.rpartition(")")[2].split()
    return None if fields[0] == "Z" else ProcessId(pid=pid, started=int(fields[19]))


def format_process(process: ProcessId) -> str:
    return f"{process.pid}:{process.started}"


def parse_process(text: str) -> ProcessId | None:
    pid, _, started = text.partition(":")
    if not (pid.isdigit() and started.isdigit()):
        return None
    return ProcessId(pid=int(pid), started=int(started))


def is_alive(process: ProcessId | None) -> bool:
    return process is not None and process_id(process.pid) == process


def kill_leftovers(state: RunState) -> int:
    """End what a killed ``clew up`` may have left; return how many processes that were.

    The kernel ends them with their supervisor. This is for those it could not.
    """
    processes = (*(r.process for r in state.replicas), state.server, state.namespace_holder)
    alive = [process for process in processes if process is not None and is_alive(process)]
    for process in alive:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
    return len(alive)
