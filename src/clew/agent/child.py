"""Child processes that end when the agent does, however it ends."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from asyncio.subprocess import Process
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO

_BOUND_EXEC = str(Path(__file__).with_name("bound_exec.py"))


async def start_child(
    command: Sequence[str],
    *,
    env: Mapping[str, str],
    directory: str,
    output: IO[bytes] | None,
    own_group: bool = True,
    drop_network_admin: bool = False,
) -> Process:
    """Start ``command``; its output goes to ``output``, or to the agent's own when None.

    ``own_group`` puts it, and what it starts, into one process group to be ended together.
    """
    capability = "drop" if drop_network_admin else "keep"
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-I", "-S", _BOUND_EXEC, str(os.getpid()), capability, *command),
        env=dict(env),
        cwd=directory or None,
        stdin=None if output is None else asyncio.subprocess.DEVNULL,
        stdout=output,
        stderr=output,
        process_group=0 if own_group else None,
    )


def exit_code(process: Process) -> int:
    """Return how an ended process ended, as a shell says it: 128 + signal when killed."""
    code = process.returncode
    assert code is not None, "the process still runs"
    return code if code >= 0 else 128 - code


def how_it_ended(code: int) -> str:
    """``was killed by SIGKILL``, or ``ended with exit code 3``, of an exit code of `exit_code`."""
    number = code - 128
    if number in set(signal.Signals):
        return f"was killed by {signal.Signals(number).name}"
    return f"ended with exit code {code}"


async def stop_child(process: Process, *, grace_seconds: float, own_group: bool = True) -> None:
    """Ask the process to end, kill it after ``grace_seconds``, then kill what it left behind.

    Source: Kubernetes' container life cycle: SIGTERM to the first process, SIGKILL to all.
    """
    if process.returncode is None:
        with suppress(ProcessLookupError):
            process.terminate()
        with suppress(TimeoutError):
            await asyncio.wait_for(process.wait(), grace_seconds)
    if own_group:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    elif process.returncode is None:
        process.kill()
    await process.wait()
