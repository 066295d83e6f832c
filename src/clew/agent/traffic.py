"""Tells the control plane what the proxy has counted of its traffic, every few seconds."""

from __future__ import annotations

import asyncio
import logging
import math
import time
from pathlib import Path

import grpc
import msgspec

from clew.agent.bootstrap import ADMIN_SOCKET
from clew.agent.envoy_counts import STATS_PATH, Sample, read_sample, since
from clew.agent.http_client import request_unix
from clew.api.traffic_report import METHOD, ReportTaken, TrafficReport

log = logging.getLogger("clew.agent")

_LONGEST_PAGE = 64 * 1024 * 1024
_CALL_SECONDS = 5.0
# Until the control plane has said how often.
_FIRST_SECONDS = 2.0
# What could not be told for so long is of the past, and the control plane's window about now.
_OLDEST_SECONDS = 10.0
# A proxy without traffic says now and then that it counts.
_ALIVE_SECONDS = 20.0


class TrafficReports:
    """What has been reported, so that each count is reported once, whatever connections do."""

    def __init__(self, directory: str, *, every_seconds: float = _FIRST_SECONDS) -> None:
        self._admin = str(Path(directory, ADMIN_SOCKET))
        self._every = every_seconds
        self._before = Sample()
        # Until when all that was counted has been reported; when anything was.
        self._until = time.monotonic()
        self._reported = -math.inf

    async def run(self, channel: grpc.aio.Channel) -> None:
        """Report until cancelled. What cannot be told is told later; traffic waits for nothing."""
        report = channel.unary_unary(METHOD)
        while True:
            try:
                await self._report(report)
            except (grpc.aio.AioRpcError, OSError, ValueError) as error:
                log.debug("traffic not reported error=%r", error)
            await asyncio.sleep(self._every)

    async def _report(self, report: grpc.aio.UnaryUnaryMultiCallable) -> None:
        """Report what is new. Raises: AioRpcError, OSError, ValueError."""
        sample, now = await self._sample(), time.monotonic()
        if now - self._until > _OLDEST_SECONDS:
            self._before, self._until = sample, now
        counted, denied = since(self._before, sample)
        if not counted and not denied:
            self._until = now
            if now - self._reported < _ALIVE_SECONDS:
                return
        message = TrafficReport(seconds=now - self._until, counted=counted, denied=denied)
        answer = await report(msgspec.json.encode(message), timeout=_CALL_SECONDS)
        self._before, self._until, self._reported = sample, now, now
        self._every = msgspec.json.decode(answer, type=ReportTaken).seconds

    async def _sample(self) -> Sample:
        page = await request_unix(self._admin, "GET", STATS_PATH, longest=_LONGEST_PAGE)
        if not page.ok:
            raise ValueError(f"Envoy answered {page.status}")
        return read_sample(page.body)
