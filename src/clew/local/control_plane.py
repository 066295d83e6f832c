"""Keeps the control plane of a mesh running: a child process that is started again when it dies."""

from __future__ import annotations

import asyncio
from asyncio.subprocess import Process
from collections.abc import Callable, Mapping
from pathlib import Path

from clew.agent.backoff import delays
from clew.api.answers import ApiError, Unreachable
from clew.api.async_client import AsyncClient
from clew.local import process
from clew.local.process import CLEW
from clew.local.state import SERVER_LOG, ProcessId, process_id

_STOP_SECONDS = 5.0
_HEALTHY_SECONDS = 30.0
_START_SECONDS = 30.0
_POLL_SECONDS = 0.02


class ControlPlaneFailed(Exception):
    """It ended before it ever answered."""


class ControlPlane:
    """The process of ``clew server``, through all its restarts."""

    def __init__(
        self, directory: Path, environ: Mapping[str, str], *, report: Callable[[str], None]
    ) -> None:
        self._directory = directory
        self._environ = environ
        self._report = report
        self._process: Process | None = None
        self._stopping = False
        self._answered = False
        self.process_id: ProcessId | None = None
        self.on_change: Callable[[], None] = lambda: None

    async def run(self) -> None:
        """Keep it running until ``stop``. Proxies keep their configuration while it is away.

        Raises:
            ControlPlaneFailed: it does not even start.
        """
        waits = delays(0.1, 5.0)
        log = self._directory / SERVER_LOG
        while True:
            started = asyncio.get_running_loop().time()
            code = await self._run_once(log)
            if self._stopping:
                return
            said = process.last_lines(log)
            if not self._answered:
                raise ControlPlaneFailed(
                    f"the control plane ended with exit code {code}:\n{said}\n  log: {log}"
                )
            if asyncio.get_running_loop().time() - started > _HEALTHY_SECONDS:
                waits = delays(0.1, 5.0)
            self._report(
                f"the control plane ended ({code}) and is restarted; proxies go on meanwhile "
                f"(log: {log})"
            )
            await asyncio.sleep(next(waits))

    async def _run_once(self, log: Path) -> int:
        self._process = await process.start(
            (*CLEW, "server", "--state-dir", str(self._directory)), env=self._environ, log=log
        )
        self.process_id = process_id(self._process.pid)
        self.on_change()
        return await self._process.wait()

    async def wait_until_ready(self, client: AsyncClient) -> None:
        """Return when its API answers. Raises: ControlPlaneFailed, after half a minute."""
        try:
            async with asyncio.timeout(_START_SECONDS):
                await _until_it_answers(client)
        except TimeoutError:
            said = process.last_lines(self._directory / SERVER_LOG)
            raise ControlPlaneFailed(
                f"the control plane did not answer within {_START_SECONDS:.0f} s:\n{said}"
            ) from None
        self._answered = True

    async def stop(self) -> None:
        self._stopping = True
        if self._process is not None:
            await process.stop(self._process, seconds=_STOP_SECONDS)


async def _until_it_answers(client: AsyncClient) -> None:
    # Its socket may not exist yet, so there is nothing to wait on.
    answered = await _answers(client)
    while not answered:
        await asyncio.sleep(_POLL_SECONDS)
        answered = await _answers(client)


async def _answers(client: AsyncClient) -> bool:
    try:
        return await client.ready()
    except (Unreachable, ApiError):
        return False
