"""One replica from start to end: its address, its namespace, its agent, and all of it undone."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
from asyncio.subprocess import Process
from collections.abc import Callable
from datetime import UTC, datetime

from clew.agent.app import LOG as APP_LOG
from clew.agent.backoff import delays
from clew.agent.child import how_it_ended
from clew.agent.conditions import Ended
from clew.agent.spec import AgentSpec, encode
from clew.ca.private_file import write_private
from clew.local import leases, process
from clew.local.agents import MeshPlace, Where, fixed_address, runs_outside
from clew.local.network import add_workload, enter_workload, remove_workload
from clew.local.process import CLEW, CommandFailed
from clew.local.state import (
    AGENT_LOG,
    SPEC,
    ProcessId,
    ReplicaState,
    agent_directory,
    process_id,
)
from clew.local.workloads import Workload

# Beyond the program's own grace period: draining, and Envoy's end.
_STOP_SECONDS = 10.0
# An agent that ran this long has had its configuration; its next failure is a new one.
_HEALTHY_SECONDS = 30.0


class ReplicaProcess:
    """A replica's agent, through all its restarts. ``on_change`` is called when ``state`` changes.

    ``on_exit(replica, message)`` is called when the agent ended by itself and is restarted.
    """

    def __init__(
        self,
        workload: Workload,
        name: str,
        place: MeshPlace,
        *,
        on_change: Callable[[], None],
        on_exit: Callable[[ReplicaProcess, str], None],
    ) -> None:
        self.workload = workload
        self.name = name
        self.ready = False
        self.registered = False
        self.announced = False
        self.restarts_told = 0
        self.since = datetime.now(UTC)
        self.address = ""
        self.ended: Ended | None = None
        self._place = place
        self._outside = runs_outside(workload, place)
        self._on_change = on_change
        self._on_exit = on_exit
        self._spec: AgentSpec | None = None
        self._process: Process | None = None
        self._process_id: ProcessId | None = None
        self._restarts = 0
        self._stopping = False

    @property
    def owner(self) -> str:
        """Under which name the address is leased."""
        return f"{self.workload.namespace}/{self.name}"

    @property
    def started(self) -> bool:
        return self._spec is not None

    @property
    def running(self) -> bool:
        return self._process_id is not None

    @property
    def where(self) -> Where:
        return Where(name=self.name, address=self.address, outside=self._outside)

    @property
    def state(self) -> ReplicaState:
        assert self._spec is not None
        return ReplicaState(
            namespace=self.workload.namespace,
            name=self.name,
            workload=self.workload.name,
            ip=self.address,
            capture=self._spec.capture,
            process=self._process_id,
            agent_restarts=self._restarts,
            since=self.since.isoformat(timespec="seconds"),
        )

    def last_words(self) -> str:
        """Return the end of what its program wrote, indented."""
        directory = agent_directory(self._place.directory, self.workload.namespace, self.name)
        return process.last_lines(directory / APP_LOG)

    async def prepare(self) -> None:
        """Give it an address and a network. Raises: NoFreeAddress, CommandFailed."""
        place = self._place
        self.address = fixed_address(self.workload, place) or leases.lease(
            place.directory, place.subnet, self.owner
        )
        if place.network is not None and not self._outside:
            await add_workload(place.network, self.address)

    async def run(self, spec: AgentSpec) -> None:
        """Keep the agent running until ``stop``; return early if the program ended for good."""
        self._spec = spec
        directory = agent_directory(self._place.directory, spec.namespace, spec.name)
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_private(directory / SPEC, encode(spec))
        waits = delays(0.2, 10.0)
        while not self._stopping:
            ran_seconds, code = await self._run_once(spec)
            if self._stopping or (spec.app is not None and not spec.app.restart):
                return
            if ran_seconds > _HEALTHY_SECONDS:
                waits = delays(0.2, 10.0)
            self._restarts += 1
            self.ended = _ended(code)
            said = process.last_lines(directory / AGENT_LOG)
            self._on_exit(
                self, f"the agent of {self.owner} ended ({code}) and is restarted:\n{said}"
            )
            await asyncio.sleep(next(waits))

    async def _run_once(self, spec: AgentSpec) -> tuple[float, int]:
        started = asyncio.get_running_loop().time()
        directory = agent_directory(self._place.directory, spec.namespace, spec.name)
        self._process = await process.start(
            (*CLEW, "agent", "--spec", str(directory / SPEC)),
            enter=self._enter,
            env=self._place.environ,
            log=directory / AGENT_LOG,
            directory=self._place.working_dir,
        )
        self._process_id = process_id(self._process.pid)
        self._on_change()
        if self._stopping:  # asked while it started
            await process.stop(self._process, seconds=_STOP_SECONDS)
        code = await self._process.wait()
        # What it leaves behind, if it was killed, must not serve on without it.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process_id = None
        return asyncio.get_running_loop().time() - started, code

    @property
    def _enter(self) -> tuple[str, ...]:
        if self._place.network is None or self._outside:
            return ()
        return enter_workload(self._place.network, self.address)

    async def stop(self) -> None:
        """End program and proxy in order. ``run`` returns then, if it was running."""
        self._stopping = True
        if self._process is not None:
            app = self._spec.app if self._spec else None
            await process.stop(
                self._process, seconds=_STOP_SECONDS + (app.grace_seconds if app else 0)
            )

    def hurry(self) -> None:
        """Ask again: an agent that is asked twice waits for nobody."""
        if self._process is not None and self._process.returncode is None:
            self._process.terminate()

    async def forget(self) -> None:
        """Undo ``prepare``, and remove its keys and logs."""
        address = "" if self._outside else self.address
        await release_place(self._place, self.workload.namespace, self.name, address)


def _ended(code: int) -> Ended:
    """``code``: as asyncio has it, negative for signals."""
    plain = code if code >= 0 else 128 - code
    now = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    return Ended(f"ended with its agent, which {how_it_ended(plain)}", plain, now)


async def release_place(place: MeshPlace, namespace: str, name: str, address: str) -> None:
    """Free a replica's address, and remove its network (if ``address`` is given) and its files."""
    if place.network is not None and address:
        with contextlib.suppress(CommandFailed):
            await remove_workload(place.network, address)
    with contextlib.suppress(FileNotFoundError):  # the mesh's directory has gone
        leases.release(place.directory, f"{namespace}/{name}")
    shutil.rmtree(agent_directory(place.directory, namespace, name), ignore_errors=True)
