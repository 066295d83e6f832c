"""Tells the control plane what the proxy has counted of its traffic, every few seconds."""

from __future__ import annotations

import asyncio
import logging
import math
import time
from contextlib import suppress
from pathlib import Path

import grpc
import msgspec

from clew.agent.directory import ADMIN_SOCKET
from clew.agent.envoy_counts import STATS_PATH, Sample, denied_since, read_sample, since
from clew.agent.envoy_secrets import certificate_in_use
from clew.agent.http_client import request_unix
from clew.agent.traffic_outbox import Outbox
from clew.api.traffic_report import (
    METHOD,
    OLDEST_SECONDS,
    REPORT_SECONDS,
    ProxyFacts,
    TrafficReport,
)

log = logging.getLogger("clew.agent")

_LONGEST_PAGE = 64 * 1024 * 1024
_CALL_SECONDS = 5.0
# A proxy without traffic says now and then that it counts.
_ALIVE_SECONDS = 20.0


class _ServerInfo(msgspec.Struct):
    """``version``: ``<commit>/1.40.0/Clean/RELEASE/BoringSSL``."""

    version: str = ""

    @property
    def short_version(self) -> str:
        return self.version.split("/")[1]


class TrafficReports:
    """What is reported, so that each count is reported once, whatever connections do."""

    def __init__(self, directory: str, *, every_seconds: float = REPORT_SECONDS) -> None:
        self._directory = Path(directory)
        self._admin = str(Path(directory, ADMIN_SOCKET))
        self._version = ""
        self._every = every_seconds
        self._before = Sample()
        self._last, self._said_last = asyncio.Event(), asyncio.Event()
        self._outbox = Outbox()
        # Until when there are reports of all that was counted; when the last one ended.
        self._until = time.monotonic()
        self._reported = self._facts_told = -math.inf

    async def run(self, channel: grpc.aio.Channel) -> None:
        """Report until cancelled. What cannot be told is told later; traffic waits for nothing."""
        call: grpc.aio.StreamUnaryCall[bytes, bytes] | None = None
        while True:
            last = self._last.is_set()
            try:
                await self._look()
            except (OSError, ValueError) as error:
                log.debug("traffic not known error=%r", error)
            if call is None or call.done():
                call = channel.stream_unary(METHOD)()
                self._outbox.begin_call()
            try:
                async with asyncio.timeout(_CALL_SECONDS):
                    for report in self._outbox.untold(time.monotonic()):
                        await call.write(report)
                    if last:
                        await call.done_writing()
                        await call
            except (grpc.aio.AioRpcError, asyncio.InvalidStateError, TimeoutError) as error:
                log.debug("traffic not reported error=%r", error)
                call.cancel()
            if last:
                self._said_last.set()
                await asyncio.Event().wait()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._last.wait(), self._every)

    async def say_last(self) -> None:
        """Report once more, at once, and no more: there will be no traffic."""
        self._last.set()
        await self._said_last.wait()

    async def _look(self) -> None:
        """Make a report of what is new. Raises: OSError, ValueError."""
        tells = time.monotonic() - self._facts_told > _ALIVE_SECONDS
        facts = await self._facts() if tells else None
        sample, now = await self._sample(), time.monotonic()
        # From here on nothing is waited for, where it could be cancelled.
        before, seconds = self._before, now - self._until
        self._before, self._until = sample, now
        if seconds > OLDEST_SECONDS:
            before = sample
        counted, (denied, denied_connections) = since(before, sample), denied_since(before, sample)
        denies = bool(denied or denied_connections)
        is_new = bool(counted) or denies or sample.ejected != before.ejected
        if not is_new and now - self._reported < _ALIVE_SECONDS:
            return
        report = TrafficReport(
            seconds=seconds,
            counted=counted,
            denied=denied,
            denied_connections=denied_connections,
            ejected=dict(sample.ejected),
            facts=facts,
        )
        self._outbox.put(report, now)
        self._reported = now
        self._facts_told = now if tells else self._facts_told

    async def _facts(self) -> ProxyFacts | None:
        """What is known of the proxy, as far as it is there already."""
        try:
            if not self._version:
                page = await request_unix(self._admin, "GET", "/server_info")
                self._version = msgspec.json.decode(page.body, type=_ServerInfo).short_version
            certificate = certificate_in_use(self._directory)
        except (OSError, ValueError, LookupError):
            return None
        return ProxyFacts(
            version=self._version,
            certificate_begins=certificate.not_valid_before_utc.timestamp(),
            certificate_ends=certificate.not_valid_after_utc.timestamp(),
        )

    async def _sample(self) -> Sample:
        page = await request_unix(self._admin, "GET", STATS_PATH, longest=_LONGEST_PAGE)
        if not page.ok:
            raise ValueError(f"Envoy answered {page.status}")
        return read_sample(page.body)
