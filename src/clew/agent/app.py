"""Runs the program beside the proxy: starts it, probes it, restarts it, passes its end on."""

from __future__ import annotations

import asyncio
import logging
import time
from asyncio.subprocess import Process
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

from clew.agent.backoff import delays
from clew.agent.child import exit_code, how_it_ended, start_child, stop_child
from clew.agent.conditions import Conditions, Ended
from clew.agent.probes import accepts, listening_address, watch_probe
from clew.agent.spec import AgentSpec, AppSpec, Capture

log = logging.getLogger("clew.agent")

LOG = "app.log"
_ACCEPT_POLL_SECONDS = 0.05
_POLLS_UNTIL_HINT = 200  # ten seconds
# Source: kubelet's CrashLoopBackOff, which forgets after ten minutes of good running.
_FORGET_CRASHES_SECONDS = 600.0
_FIRST_RESTART_SECONDS = 1.0
_LONGEST_RESTART_SECONDS = 300.0


def environment(spec: AgentSpec, app: AppSpec) -> dict[str, str]:
    """Return the program's environment; without capture, also how to reach the proxy.

    ``PORT`` is where the program must listen when it stands behind its proxy on one address
    (``PORT_<NAME>`` for each named port).
    """
    if spec.capture is not Capture.ENV:
        return app.env
    ports = {name: spec.app_ports.get(str(port), port) for name, port in app.ports.items()}
    added = {f"PORT_{_variable(name)}": str(port) for name, port in ports.items()}
    if ports:
        added["PORT"] = str(next(iter(ports.values())))
    if spec.http_proxy_port:
        proxy = f"http://127.0.0.1:{spec.http_proxy_port}"
        added |= {"HTTP_PROXY": proxy, "http_proxy": proxy}
        # The program's own address space is not the mesh.
        added |= {"NO_PROXY": "localhost,127.0.0.1", "no_proxy": "localhost,127.0.0.1"}
    return dict(added) | app.env


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def _variable(name: str) -> str:
    return "".join(letter if letter.isalnum() else "_" for letter in name).upper()


class App:
    """The program of one workload, through all its restarts."""

    def __init__(
        self, spec: AgentSpec, app: AppSpec, conditions: Conditions, *, foreground: bool
    ) -> None:
        self._spec = spec
        self._app = app
        self._conditions = conditions
        self._foreground = foreground
        self._process: Process | None = None

    async def run(self) -> int:
        """Run the program; return its exit code, only if it is not to be restarted."""
        waits = delays(_FIRST_RESTART_SECONDS, _LONGEST_RESTART_SECONDS)
        while True:
            started = time.monotonic()
            code = await self._run_once()
            if not self._app.restart:
                return code
            if time.monotonic() - started > _FORGET_CRASHES_SECONDS:
                waits = delays(_FIRST_RESTART_SECONDS, _LONGEST_RESTART_SECONDS)
            delay = next(waits)
            log.error(
                "app ended workload=%s exit_code=%d restart_seconds=%.0f output=%s",
                self._spec.name,
                code,
                delay,
                "terminal" if self._foreground else Path(self._spec.directory) / LOG,
            )
            await self._conditions.app_restarted(Ended(how_it_ended(code), code, _now()))
            await asyncio.sleep(delay)

    async def _run_once(self) -> int:
        """Run the program until it ends by itself or fails its liveness or startup probe."""
        self._process = await self._start()
        watch = asyncio.ensure_future(self._watch())
        ended = asyncio.ensure_future(self._process.wait())
        try:
            await asyncio.wait((ended, watch), return_when=asyncio.FIRST_COMPLETED)
            if not ended.done():
                watch.result()
            return await self.stop()  # and what the program left behind
        finally:
            watch.cancel()
            ended.cancel()
            with suppress(asyncio.CancelledError):
                await watch
            await self._conditions.set_app_ready(False)

    async def _start(self) -> Process:
        if self._foreground:
            return await self._start_child(None)
        with (Path(self._spec.directory) / LOG).open("ab") as output:
            return await self._start_child(output)

    async def _start_child(self, output: IO[bytes] | None) -> Process:
        return await start_child(
            self._app.command,
            env=environment(self._spec, self._app),
            directory=self._app.working_dir,
            output=output,
            # A program at a terminal must stay in the terminal's foreground group.
            own_group=not self._foreground,
            drop_network_admin=self._spec.capture is Capture.NETNS,
        )

    async def _watch(self) -> None:
        """Report readiness, and return when the program must be restarted.

        Source: kubelet: liveness and readiness are asked only after startup has succeeded.
        """
        if self._app.startup is not None and not await self._first_verdict():
            log.error("app failed its startup probe workload=%s", self._spec.name)
            return
        async with asyncio.TaskGroup() as tasks:
            readiness = tasks.create_task(self._watch_readiness())
            if self._app.liveness is None:
                await asyncio.Event().wait()
            await self._until_dead()
            readiness.cancel()

    async def _first_verdict(self) -> bool:
        assert self._app.startup is not None
        async for passing in watch_probe(self._spec, self._app, self._app.startup):
            return passing
        raise AssertionError("a probe has no end")

    async def _watch_readiness(self) -> None:
        if self._app.readiness is None:
            await self._until_accepting()
            await self._conditions.set_app_ready(True)
            return
        async for passing in watch_probe(self._spec, self._app, self._app.readiness):
            await self._conditions.set_app_ready(passing)

    async def _until_accepting(self) -> None:
        """No probe: the program is ready once a port accepts, or at once when it has none."""
        ports = tuple(self._app.ports.values())
        asked = 0
        while ports and not any([await self._accepts(port) for port in ports]):
            asked += 1
            if asked == _POLLS_UNTIL_HINT:
                log.warning(
                    "app does not accept workload=%s addresses=%s; not ready, so nothing is sent "
                    "to it. Does it listen on 0.0.0.0, and on that port?",
                    self._spec.name,
                    [listening_address(self._spec, port) for port in ports],
                )
            await asyncio.sleep(_ACCEPT_POLL_SECONDS)

    async def _accepts(self, port: int) -> bool:
        try:
            return await accepts(self._spec, port)
        except OSError:
            return False

    async def _until_dead(self) -> None:
        assert self._app.liveness is not None
        async for passing in watch_probe(self._spec, self._app, self._app.liveness):
            if not passing:
                log.error("app failed its liveness probe workload=%s", self._spec.name)
                return

    @property
    def restarts(self) -> bool:
        """Whether the program is started again when it ends, so that its exit code means little."""
        return self._app.restart

    async def stop(self) -> int:
        """End the program, giving it its grace period; return its exit code."""
        await self._end(self._app.grace_seconds)
        return 0 if self._process is None else exit_code(self._process)

    async def kill(self) -> None:
        await self._end(0)

    async def _end(self, grace_seconds: float) -> None:
        if self._process is not None:
            await stop_child(
                self._process, grace_seconds=grace_seconds, own_group=not self._foreground
            )
