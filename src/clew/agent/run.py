"""One workload from start to end: identity, capture, Envoy, DNS, the program, and back."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Coroutine
from contextlib import suppress
from pathlib import Path
from typing import Any

import grpc

from clew.agent.ads_stream import XdsClient, follow
from clew.agent.app import App
from clew.agent.bootstrap import encode_bootstrap
from clew.agent.capture import CaptureFailed, install, ruleset
from clew.agent.conditions import Conditions
from clew.agent.dns_server import DnsFailed, DnsServer
from clew.agent.envoy_process import BOOTSTRAP, EnvoyFailed, EnvoyProcess
from clew.agent.health import report_once, run_reports
from clew.agent.health_information import HealthReports
from clew.agent.identity import IdentityRefused, WorkloadIdentity
from clew.agent.name_table import NameTables
from clew.agent.prometheus import MetricsServer
from clew.agent.resolvers import machine_resolvers, on_loopback
from clew.agent.runtime_settings import ProxyRuntime
from clew.agent.service_names import ServiceNames
from clew.agent.spec import AgentSpec, Capture
from clew.agent.system_roots import link_system_roots
from clew.agent.traffic import TrafficReports
from clew.ca.private_file import write_private

log = logging.getLogger("clew.agent")

# Why a workload cannot run; each says what happened and what to do.
FAILURES = (CaptureFailed, DnsFailed, EnvoyFailed, IdentityRefused)

# A program that looks names up at once should find them, but one without names must start too.
_FIRST_NAMES_SECONDS = 3.0
_LAST_REPORT_SECONDS = 1.0


async def run_workload(spec: AgentSpec, *, foreground: bool, token: str = "") -> int:
    """Run one workload until its program ends for good or a signal asks for the end.

    ``token``: a join token, for a host that has no certificate yet.

    Returns the exit code: the program's when it is not to be restarted, else 0. The first SIGTERM
    or SIGINT ends it in order, the second one at once.

    Raises:
        CaptureFailed, DnsFailed, EnvoyFailed, IdentityRefused: nothing of it runs any more.
    """
    workload = Workload(spec, foreground=foreground, token=token)
    life = asyncio.ensure_future(workload.live())

    def on_signal() -> None:
        if workload.stopping or not workload.started:
            life.cancel()
        workload.stop()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, on_signal)
    try:
        return await life
    except asyncio.CancelledError:
        return 128 + signal.SIGTERM
    finally:
        await workload.kill()


class Workload:
    """The parts of one workload, and the order in which they start and stop."""

    def __init__(self, spec: AgentSpec, *, foreground: bool, token: str) -> None:
        self.started = False
        self._spec = spec
        self._conditions = Conditions()
        self._stop = asyncio.Event()
        self._dns_answers = asyncio.Event()
        self._names_known = asyncio.Event()
        self._identity = WorkloadIdentity(spec, token)
        self._envoy = EnvoyProcess(spec, self._conditions)
        self._health = HealthReports(spec, self._conditions)
        self._reports = TrafficReports(spec.directory)
        self._app = (
            App(spec, spec.app, self._conditions, foreground=foreground) if spec.app else None
        )

    @property
    def stopping(self) -> bool:
        return self._stop.is_set()

    def stop(self) -> None:
        self._stop.set()

    async def live(self) -> int:
        """Start everything in order; return the exit code once it has stopped in order."""
        work = await (self._prepare_proxy() if self._spec.proxy else self._prepare_names())
        await self._conditions.set_envoy_ready(not self._spec.proxy)
        if self._spec.api:
            work.append(run_reports(self._spec, self._conditions))
        self.started = True
        program = asyncio.ensure_future(self._start_and_stop_program())
        services = [asyncio.ensure_future(service) for service in work]
        try:
            await asyncio.wait((program, *services), return_when=asyncio.FIRST_COMPLETED)
            for service in services:
                if service.done():  # they have no end, so this raises
                    service.result()
            return program.result()
        finally:
            # In reverse order: what talks to the control plane does so through Envoy.
            for task in (program, *reversed(services)):
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)

    async def _prepare_proxy(self) -> list[Coroutine[Any, Any, None]]:
        """Return what must go on for as long as the workload is there, its last moments too."""
        await self._identity.start()
        if self._spec.capture is Capture.NETNS:
            await install(ruleset(self._spec, on_loopback(machine_resolvers())))
        link_system_roots(Path(self._spec.directory))
        write_private(Path(self._spec.directory, BOOTSTRAP), encode_bootstrap(self._spec))
        metrics = MetricsServer(self._spec)
        services = [self._identity.run(), self._envoy.run(), metrics.run()]
        if self._spec.auto_register_group:
            services.append(self._health.run())
        followers: list[XdsClient] = [self._identity]
        if self._resolves_names:
            tables = NameTables(self._names_known)
            server = DnsServer(self._spec, lambda: tables.names)
            services.append(server.run(self._dns_answers))
            followers.append(tables)
        runtime = ProxyRuntime(self._spec.directory)
        services.append(runtime.run())

        async def beside(channel: grpc.aio.Channel) -> None:
            await asyncio.gather(self._reports.run(channel), runtime.follow(channel))

        services.append(follow(self._spec, followers, beside))
        return services

    async def _prepare_names(self) -> list[Coroutine[Any, Any, None]]:
        """Return what a program without a proxy has beside it: the names of services."""
        if not self._resolves_names:
            return []
        await install(ruleset(self._spec, on_loopback(machine_resolvers())))
        names = ServiceNames()
        server = DnsServer(self._spec, lambda: names.names)
        return [server.run(self._dns_answers), names.follow(self._spec, self._names_known)]

    @property
    def _resolves_names(self) -> bool:
        known = self._spec.proxy or self._spec.api
        return bool(known) and self._spec.capture is Capture.NETNS and self._spec.dns_port != 0

    async def _start_and_stop_program(self) -> int:
        running = asyncio.ensure_future(self._run_program())
        asked = asyncio.ensure_future(self._stop.wait())
        try:
            await asyncio.wait((running, asked), return_when=asyncio.FIRST_COMPLETED)
            if running.done():
                await self._conditions.set_phase("Failed" if running.result() else "Succeeded")
            await self._say_not_ready()
            code = running.result() if running.done() else await self._end_program(running)
            if self._spec.proxy:
                await self._envoy.drain()
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._reports.say_last(), _LAST_REPORT_SECONDS)
            return code
        finally:
            asked.cancel()
            running.cancel()

    async def _run_program(self) -> int:
        """Start the program once its proxy serves; return its exit code."""
        await self._conditions.wait_for(lambda: self._conditions.envoy_ready)
        if self._resolves_names:
            await self._dns_answers.wait()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._names_known.wait(), _FIRST_NAMES_SECONDS)
        await self._conditions.set_phase("Running")
        if self._app is None:  # a gateway
            await self._conditions.set_app_ready(True)
            await asyncio.Event().wait()
            raise AssertionError("nothing ends a gateway but a signal")
        return await self._app.run()

    async def _say_not_ready(self) -> None:
        """So that clients turn away before the program stops; not a reason to wait long."""
        await self._conditions.stop()
        if self._spec.auto_register_group:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._health.said_that_it_stops(), _LAST_REPORT_SECONDS)
        if self._spec.api:
            with suppress(TimeoutError):
                async with asyncio.timeout(_LAST_REPORT_SECONDS):
                    await report_once(self._spec, self._conditions)

    async def _end_program(self, running: asyncio.Future[int]) -> int:
        """End the program and then, as it may still have been starting, forget about it."""
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        if self._app is None:
            return 0
        code = await self._app.stop()
        return 0 if self._app.restarts else code

    async def kill(self) -> None:
        """End at once whatever still runs."""
        if self._app is not None:
            await self._app.kill()
        await self._envoy.stop()
