"""Issuers of tokens that have to say themselves where their keys are, and are asked for it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import partial

from clew.server.openid import NotDiscovered, discover

log = logging.getLogger("clew.issuers")

# Source: Istio's PILOT_JWT_PUB_KEY_REFRESH_INTERVAL; what fails is tried again sooner.
FRESH_SECONDS = 20 * 60.0
_FIRST_RETRY_SECONDS = 2.0
_LONGEST_RETRY_SECONDS = 5 * 60.0
# So many are asked at a time.
_TOGETHER = 8


@dataclass(slots=True)
class _Issuer:
    """``due``: when to ask, in the loop's time. ``retry``: how long to wait after a failure."""

    due: float = 0.0
    retry: float = _FIRST_RETRY_SECONDS
    keys: str = ""


class Issuers:
    """``wanted``: the issuers to ask. ``learn`` is told where those who answered have their keys.

    One that stops answering has them where they were.
    """

    def __init__(
        self,
        wanted: Callable[[], frozenset[str]],
        learn: Callable[[Mapping[str, str]], None],
        ask: Callable[[str], Awaitable[str]] = discover,
    ) -> None:
        self._wanted = wanted
        self._learn = learn
        self._ask = ask
        self._known: dict[str, _Issuer] = {}
        self._changed = asyncio.Event()

    def look(self) -> None:
        """There may be other issuers to ask now."""
        self._changed.set()

    async def run(self) -> None:
        now = asyncio.get_running_loop().time
        together = asyncio.Semaphore(_TOGETHER)
        while True:
            self._changed.clear()
            wanted = self._wanted()
            self._known = {name: self._known.get(name) or _Issuer() for name in sorted(wanted)}
            asked = partial(self._bring_up_to_date, together)
            due = [name for name, issuer in self._known.items() if issuer.due <= now()]
            await asyncio.gather(*map(asked, due))
            self._learn({name: each.keys for name, each in self._known.items() if each.keys})
            soonest = min((each.due for each in self._known.values()), default=None)
            try:
                async with asyncio.timeout_at(soonest):
                    await self._changed.wait()
            except TimeoutError:
                continue

    async def _bring_up_to_date(self, together: asyncio.Semaphore, name: str) -> None:
        issuer, loop = self._known[name], asyncio.get_running_loop()
        try:
            async with together:
                issuer.keys = await self._ask(name)
        except NotDiscovered as error:
            meanwhile = "its keys stay where they were" if issuer.keys else "its tokens are refused"
            words = "%s, asked again in %ds issuer=%s: %s"
            log.warning(words, meanwhile, issuer.retry, name, error)
            issuer.due = loop.time() + issuer.retry
            issuer.retry = min(issuer.retry * 2, _LONGEST_RETRY_SECONDS)
        else:
            issuer.due, issuer.retry = loop.time() + FRESH_SECONDS, _FIRST_RETRY_SECONDS
