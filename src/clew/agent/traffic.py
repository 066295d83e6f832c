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
from clew.agent.envoy_counts import STATS_PATH, Sample, read_sample, since
from clew.agent.envoy_secrets import certificate_in_use
from clew.agent.http_client import request_unix
from clew.api.traffic_report import METHOD, ProxyFacts, ReportTaken, TrafficReport

log = logging.getLogger("clew.agent")

_LONGEST_PAGE = 64 * 1024 * 1024
_CALL_SECONDS = 5.0
# Until the control plane has said how often.
_FIRST_SECONDS = 2.5
# What could not be told for so long is of the past, and the control plane's window about now.
_OLDEST_SECONDS = 10.0
# A proxy without traffic says now and then that it counts.
_ALIVE_SECONDS = 20.0


class _ServerInfo(msgspec.Struct):
    """``version``: ``<commit>/1.40.0/Clean/RELEASE/BoringSSL``."""

    version: str = ""

    @property
    def short_version(self) -> str:
        return self.version.split("/")[1]


class TrafficReports:
    """What has been reported, so that each count is reported once, whatever connections do."""

    def __init__(self, directory: str, *, every_seconds: float = _FIRST_SECONDS) -> None:
        self._directory = Path(directory)
        self._admin = str(Path(directory, ADMIN_SOCKET))
        self._version = ""
        self._every = every_seconds
        self._before = Sample()
        self._last, self._said_last = asyncio.Event(), asyncio.Event()
        # Until when all that was counted has been reported; when anything was.
        self._until = time.monotonic()
        self._reported = self._facts_told = -math.inf

    async def run(self, channel: grpc.aio.Channel) -> None:
        """Report until cancelled. What cannot be told is told later; traffic waits for nothing."""
        report = channel.unary_unary(METHOD)
        while True:
            last = self._last.is_set()
            try:
                await self._report(report)
            except (grpc.aio.AioRpcError, OSError, ValueError) as error:
                log.debug("traffic not reported error=%r", error)
            if last:
                self._said_last.set()
                await asyncio.Event().wait()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._last.wait(), self._every)

    async def say_last(self) -> None:
        """Report once more, at once, and no more: there will be no traffic."""
        self._last.set()
        await self._said_last.wait()

    async def _report(self, report: grpc.aio.UnaryUnaryMultiCallable) -> None:
        """Report what is new. Raises: AioRpcError, OSError, ValueError."""
        sample, now = await self._sample(), time.monotonic()
        if now - self._until > _OLDEST_SECONDS:
            self._before, self._until = sample, now
        counted, denied = since(self._before, sample)
        if not counted and not denied and sample.ejected == self._before.ejected:
            self._until = now
            if now - self._reported < _ALIVE_SECONDS:
                return
        tells = now - self._facts_told > _ALIVE_SECONDS
        message = TrafficReport(
            seconds=now - self._until,
            counted=counted,
            denied=denied,
            ejected=dict(sample.ejected),
            facts=await self._facts() if tells else None,
        )
        answer = await report(msgspec.json.encode(message), timeout=_CALL_SECONDS)
        self._before, self._until, self._reported = sample, now, now
        self._facts_told = now if tells else self._facts_told
        self._every = msgspec.json.decode(answer, type=ReportTaken).seconds

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
