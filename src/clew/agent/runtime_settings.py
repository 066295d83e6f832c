"""Switches what the proxy tells and logs, for a while, as the control plane says."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

import grpc
import msgspec

from clew.agent.directory import ADMIN_SOCKET
from clew.agent.envoy_process import COMPONENT_LOG_LEVELS, LOG_LEVEL
from clew.agent.http_client import request_unix
from clew.api.runtime_settings import ALL_LOGGERS, METHOD, LogLevel, RuntimeSettings
from clew.model.tap import RUNTIME_KEY

log = logging.getLogger("clew.agent")

# A control plane may be another program's, which does not know the method.
_RETRY_SECONDS = 10.0
# An Envoy that was started again meanwhile has forgotten everything.
_REPEAT_SECONDS = 5.0


class ProxyRuntime:
    """What holds now, and until when. Times are of the monotonic clock.

    The tap ends with the connection, as nobody could watch; levels of logs, when their time is up.
    """

    def __init__(self, directory: str) -> None:
        self._admin = str(Path(directory, ADMIN_SOCKET))
        self._tap_until = self._log_until = 0.0
        self._levels: Mapping[str, LogLevel] = {}
        self._changed = asyncio.Event()
        self._applied: tuple[bool, Mapping[str, LogLevel]] = (False, {})

    async def follow(self, channel: grpc.aio.Channel) -> None:
        """Hear what is wanted, until cancelled."""
        while True:
            try:
                async for message in channel.unary_stream(METHOD)(b""):
                    self._take(msgspec.json.decode(message, type=RuntimeSettings))
            except (grpc.aio.AioRpcError, msgspec.MsgspecError) as error:
                log.debug("no runtime settings error=%r", error)
            finally:
                self._tap_until = 0.0
                self._changed.set()
            await asyncio.sleep(_RETRY_SECONDS)

    def _take(self, wanted: RuntimeSettings) -> None:
        now = time.monotonic()
        self._tap_until = now + wanted.tap_seconds
        self._log_until = now + wanted.log_seconds
        self._levels = wanted.log_levels
        self._changed.set()

    async def run(self) -> None:
        """Let Envoy do what holds, until cancelled."""
        while True:
            self._changed.clear()
            # Envoy may just be starting again; then it is told later.
            with suppress(OSError, ValueError):
                await self._apply(time.monotonic())
            with suppress(TimeoutError):
                async with asyncio.timeout(self._pause(time.monotonic())):
                    await self._changed.wait()

    def _pause(self, now: float) -> float | None:
        """Until there may be something to do; None: until something else is said."""
        left = [until - now for until in (self._tap_until, self._log_until) if until > now]
        if left:
            return min(_REPEAT_SECONDS, *left)
        return _REPEAT_SECONDS if self._applied != (False, {}) else None

    async def _apply(self, now: float) -> None:
        tap = now < self._tap_until
        levels = self._levels if now < self._log_until else {}
        before_tap, before_levels = self._applied
        if tap or before_tap:
            # An empty value is none.
            await self._post(f"/runtime_modify?{RUNTIME_KEY}={100 if tap else ''}")
        if before_levels and levels != before_levels:
            for path in _usual_levels():
                await self._post(path)
        for path in _paths(levels):
            await self._post(path)
        self._applied = (tap, dict(levels))

    async def _post(self, path: str) -> None:
        answer = await request_unix(self._admin, "POST", path)
        if not answer.ok:
            log.warning("envoy refused path=%s answer=%r", path, answer.body[:200])


def _usual_levels() -> Iterator[str]:
    yield f"/logging?level={LOG_LEVEL}"
    yield from (f"/logging?{name}={level}" for name, level in COMPONENT_LOG_LEVELS.items())


def _paths(levels: Mapping[str, LogLevel]) -> Iterator[str]:
    if ALL_LOGGERS in levels:
        yield f"/logging?level={levels[ALL_LOGGERS]}"
    named = ",".join(f"{name}:{level}" for name, level in levels.items() if name != ALL_LOGGERS)
    if named:
        yield f"/logging?paths={named}"
