"""What is ready at this moment, and a way to wait for changes of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Ended:
    """How the program ended last, in words, and when (RFC 3339)."""

    how: str
    exit_code: int
    at: str


class Conditions:
    """The two halves of a workload's readiness. Only the event loop's thread touches it."""

    def __init__(self) -> None:
        self.envoy_ready = False
        self.app_ready = False
        self.stopping = False
        self.phase = "Pending"
        self.restarts = 0
        self.ended: Ended | None = None
        self._changed = asyncio.Condition()

    @property
    def ready(self) -> bool:
        return self.envoy_ready and self.app_ready and not self.stopping

    async def set_envoy_ready(self, ready: bool) -> None:
        async with self._changed:
            self.envoy_ready = ready
            self._changed.notify_all()

    async def set_app_ready(self, ready: bool) -> None:
        async with self._changed:
            self.app_ready = ready
            self._changed.notify_all()

    async def set_phase(self, phase: str) -> None:
        async with self._changed:
            self.phase = phase
            self._changed.notify_all()

    async def app_restarted(self, ended: Ended) -> None:
        async with self._changed:
            self.restarts += 1
            self.ended = ended
            self._changed.notify_all()

    async def stop(self) -> None:
        """From now on not ready, whatever the halves say."""
        async with self._changed:
            self.stopping = True
            self._changed.notify_all()

    async def wait_for(self, predicate: Callable[[], bool]) -> None:
        async with self._changed:
            await self._changed.wait_for(predicate)
