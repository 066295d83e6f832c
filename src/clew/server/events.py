"""Server-sent events: that something changed, so that whoever looks at it reads it again.

An event says what kind of thing changed and carries no state, so none can be missed for long:
``objects`` (which ones, up to which revision), ``proxies`` (what they acknowledged) and
``troubles`` (what is wrong, by what proxies report and by the clock).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

import msgspec

from clew.api.messages import Key, Message, key_message
from clew.server.object_standings import Standings
from clew.stores.store import Change, Expired, Store

# Bursts become one event; to a person that is at once.
_QUIET_SECONDS = 0.2
# A sign now and then tells both sides that the other is still there, and that time passes.
_ALIVE_SECONDS = 15.0


class ObjectsChanged(Message, frozen=True, kw_only=True):
    revision: int
    keys: tuple[Key, ...] = ()


async def events(
    store: Store,
    standings: Standings,
    troubles_changed: Callable[[], Awaitable[None]],
    closing: asyncio.Event,
) -> AsyncIterator[bytes]:
    """Events until either side closes; the first says which revision there is.

    ``troubles_changed`` returns when something else is wrong.
    """
    revision = await store.revision()
    yield sse("objects", ObjectsChanged(revision=revision))
    changes = store.watch(revision)
    closed = asyncio.ensure_future(closing.wait())
    objects = asyncio.ensure_future(anext(changes))
    proxies = asyncio.ensure_future(standings.changed())
    wrong = asyncio.ensure_future(troubles_changed())
    try:
        while not closed.done():
            waiting = (objects, proxies, wrong, closed)
            done, _ = await asyncio.wait(
                waiting, timeout=_ALIVE_SECONDS, return_when=asyncio.FIRST_COMPLETED
            )
            if objects in done:
                batch = objects.result()
                objects = asyncio.ensure_future(anext(changes))
                yield sse("objects", _changed(batch))
            if proxies in done:
                proxies = asyncio.ensure_future(standings.changed())
                yield sse("proxies", {})
            if wrong in done:
                wrong.result()
                wrong = asyncio.ensure_future(troubles_changed())
                yield sse("troubles", {})
            if not done:  # What expires does so while nothing happens.
                yield sse("troubles", {})
            await asyncio.wait((closed,), timeout=_QUIET_SECONDS)
    except Expired:
        return  # the reader connects again, and reads everything anew
    finally:
        for task in (closed, objects, proxies, wrong):
            task.cancel()
        await asyncio.gather(closed, objects, proxies, wrong, return_exceptions=True)


def _changed(batch: Sequence[Change]) -> ObjectsChanged:
    keys = dict.fromkeys(change.key for change in batch)
    return ObjectsChanged(revision=batch[-1].revision, keys=tuple(map(key_message, keys)))


def sse(name: str, data: object) -> bytes:
    """One server-sent event with JSON in it."""
    return b"event: " + name.encode() + b"\ndata: " + msgspec.json.encode(data) + b"\n\n"
