"""Waking those who wait for the next change of something, however many they are."""

from __future__ import annotations

import asyncio


class Pulse:
    """Changes that happen before somebody waits are none of theirs."""

    def __init__(self) -> None:
        self._waiting: set[asyncio.Future[None]] = set()

    async def next(self) -> None:
        """Wait until it beats."""
        future = asyncio.get_running_loop().create_future()
        self._waiting.add(future)
        try:
            await future
        finally:
            self._waiting.discard(future)

    def beat(self) -> None:
        for future in self._waiting:
            if not future.done():
                future.set_result(None)
