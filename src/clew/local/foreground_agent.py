"""An agent that keeps the terminal, with its program, until that ends or the mesh does."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from asyncio.subprocess import Process
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path

from clew.agent.spec import AgentSpec, encode
from clew.ca.private_file import write_private
from clew.local.agents import MeshPlace
from clew.local.network import enter_workload
from clew.local.process import CLEW, bound
from clew.local.state import AGENT_LOG, SPEC, RunState, is_alive

Report = Callable[[str], None]

_LOOK_AT_MESH_SECONDS = 1.0


async def run_agent(
    spec: AgentSpec,
    place: MeshPlace,
    state: RunState,
    announce: Callable[[], Coroutine[object, object, None]],
    report: Report,
) -> int:
    """Run the agent with its program on this terminal, and return the program's exit code.

    ``announce`` runs beside it, and both end when the mesh of ``state`` has ended.
    """
    directory = Path(spec.directory)
    write_private(directory / SPEC, encode(spec))
    log = ("--log-file", str(directory / AGENT_LOG))
    command = (*CLEW, "agent", "--foreground-app", *log, "--spec", str(directory / SPEC))
    enter = () if place.network is None else enter_workload(place.network, spec.ip)
    agent = await asyncio.create_subprocess_exec(
        *(*enter, *bound(command)), env=dict(place.environ), cwd=place.working_dir
    )
    watchers = [
        asyncio.ensure_future(_stop_without_mesh(agent, state, report)),
        asyncio.ensure_future(announce()),
    ]
    with _signals_to(agent):
        try:
            return await _exit_code(agent)
        finally:
            for watcher in watchers:
                watcher.cancel()
            await asyncio.gather(*watchers, return_exceptions=True)


async def _exit_code(agent: Process) -> int:
    code = await agent.wait()
    return code if code >= 0 else 128 - code


@contextlib.contextmanager
def _signals_to(agent: Process) -> Iterator[None]:
    """Pass SIGTERM on; Ctrl-C and a closed terminal reach the agent by themselves."""
    loop = asyncio.get_running_loop()

    def on_signal(number: signal.Signals) -> None:
        if number is signal.SIGTERM and agent.returncode is None:
            agent.terminate()

    numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
    for number in numbers:
        loop.add_signal_handler(number, on_signal, number)
    try:
        yield
    finally:
        for number in numbers:
            loop.remove_signal_handler(number)


async def _stop_without_mesh(agent: Process, state: RunState, report: Report) -> None:
    """A program whose mesh has gone has nobody to talk to."""
    while True:
        await asyncio.sleep(_LOOK_AT_MESH_SECONDS)
        if not is_alive(state.supervisor):
            report(f"the mesh {state.mesh} has ended, so the program ends too")
            agent.terminate()
            return
