"""Child processes that get no signals from the terminal and cannot outlive their parent."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE, STDOUT, Process
from collections.abc import Mapping, Sequence
from pathlib import Path

from clew.agent import bound_exec

CLEW = (sys.executable, "-m", "clew")


class CommandFailed(Exception):
    """A command that must work did not; the message holds what it said."""


def bound(command: Sequence[str]) -> tuple[str, ...]:
    """Return the command that becomes ``command``, killed by the kernel when we are gone.

    It must be what our child itself executes last: entering a user namespace undoes it.
    """
    script = str(bound_exec.__file__)
    return (sys.executable, "-I", "-S", script, str(os.getpid()), "keep", *command)


async def start(
    command: Sequence[str],
    *,
    enter: Sequence[str] = (),
    env: Mapping[str, str],
    log: Path,
    directory: str = "/",
    pass_fds: Sequence[int] = (),
) -> Process:
    """Start ``command`` in a session of its own, its output appended to ``log``.

    ``enter`` is a command prefix that enters namespaces.
    """
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    with os.fdopen(descriptor, "ab") as output:
        return await asyncio.create_subprocess_exec(
            *(*enter, *bound(command)),
            env=dict(env),
            cwd=directory,
            stdin=DEVNULL,
            stdout=output,
            stderr=STDOUT,
            start_new_session=True,
            pass_fds=tuple(pass_fds),
        )


async def stop(process: Process, *, seconds: float) -> None:
    """Ask the process to end; after ``seconds`` kill it and what it started."""
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(process.wait(), seconds)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    await process.wait()


async def run(command: Sequence[str], *, env: Mapping[str, str], text: str = "") -> str:
    """Run a short command with ``text`` as its input; return what it printed.

    Raises:
        CommandFailed: it ended with another code than 0.
    """
    process = await asyncio.create_subprocess_exec(
        *command, env=dict(env), stdin=PIPE, stdout=PIPE, stderr=PIPE, start_new_session=True
    )
    output, errors = await process.communicate(text.encode())
    if process.returncode:
        said = errors.decode(errors="replace").strip() or f"exit code {process.returncode}"
        raise CommandFailed(f"{' '.join(command)}: {said}")
    return output.decode()


def last_lines(log: Path, count: int = 8) -> str:
    """Return the end of a log, indented, for a message."""
    try:
        lines = log.read_text(errors="replace").splitlines()[-count:]
    except OSError:
        lines = []
    return "\n".join(f"    {line}" for line in lines) or "    (it wrote nothing)"
