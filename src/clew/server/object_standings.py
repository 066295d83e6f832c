"""The standing of objects as the admin API answers it: in their status, and to whoever waits."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

from clew.api.messages import ObjectStatus, Refusal
from clew.model.base import Resource, ResourceKey
from clew.model.diagnostic import Diagnostic
from clew.server.standing import as_status, has_standing, with_status
from clew.stores.store import NotFound, Store, Stored

LONGEST_WAIT = 3600


class Standings(Protocol):
    """Who knows whether objects are in force."""

    def standing(self, stored: Stored) -> ObjectStatus: ...

    def own_status(self, key: ResourceKey) -> Mapping[str, Any]: ...

    def findings_after(
        self, changes: Iterable[tuple[ResourceKey, Resource | None]]
    ) -> Mapping[ResourceKey, Sequence[Diagnostic]]: ...

    def refusals(self) -> tuple[Refusal, ...]: ...

    async def changed(self) -> None:
        """Wait until an answer may be another one."""
        ...


def manifest_of(stored: Stored, standings: Standings | None) -> dict[str, Any]:
    """Return the object, with the status that it has now."""
    manifest = dict(stored.manifest)
    if standings is None or not has_standing(stored.key):
        return manifest
    status = as_status(standings.standing(stored))
    return with_status(manifest, standings.own_status(stored.key), status)


async def settled(
    key: ResourceKey, store: Store, standings: Standings, seconds: int, closing: asyncio.Event
) -> ObjectStatus:
    """Return the standing as soon as it is settled, or as it is after so many seconds.

    Raises: NotFound when the object is deleted meanwhile.
    """
    loop = asyncio.get_running_loop()
    until = loop.time() + seconds
    while True:
        stored = await store.get(key)
        if stored is None:
            raise NotFound(f"there is no {key}")
        found = standings.standing(stored)
        if found.settled or closing.is_set() or loop.time() >= until:
            return found
        happens = [asyncio.ensure_future(e) for e in (standings.changed(), closing.wait())]
        await asyncio.wait(
            happens, timeout=until - loop.time(), return_when=asyncio.FIRST_COMPLETED
        )
        for event in happens:
            event.cancel()
        await asyncio.gather(*happens, return_exceptions=True)
