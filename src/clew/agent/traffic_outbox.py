"""Reports of traffic on their way: what a call has lost is told again on the next one.

Each keeps its number, so that the control plane counts none of them twice.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Iterator

import msgspec

from clew.api.traffic_report import OLDEST_SECONDS, TrafficReport


class Outbox:
    """The latest reports. Times are in seconds of one clock."""

    def __init__(self) -> None:
        self._agent = random.getrandbits(48)
        self._number = 0
        # With the time when each ended, and up to which number they were told on this call.
        self._reports: deque[tuple[float, TrafficReport]] = deque()
        self._told = 0

    def put(self, report: TrafficReport, ended: float) -> None:
        """Take a new one, and forget those that are too old to be told."""
        self._number += 1
        report = msgspec.structs.replace(report, agent=self._agent, number=self._number)
        self._reports.append((ended, report))
        while ended - self._reports[0][0] > OLDEST_SECONDS:
            self._reports.popleft()

    def begin_call(self) -> None:
        """Nobody knows what has arrived of what was told on others."""
        self._told = 0

    def untold(self, now: float) -> Iterator[bytes]:
        """Yield what is to be told on this call; as told counts what is followed by another."""
        for ended, report in tuple(self._reports):
            if report.number > self._told:
                yield msgspec.msgpack.encode(msgspec.structs.replace(report, ago=now - ended))
                self._told = report.number
