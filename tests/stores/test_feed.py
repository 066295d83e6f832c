from __future__ import annotations

import asyncio

import pytest

from clew.stores.feed import Feed
from clew.stores.store import Change, Expired
from tests.stores.objects import key, next_batch


def deletion(revision: int) -> Change:
    return Change(key(f"gone-{revision}"), revision, None)


def test_only_the_newest_deletions_are_remembered() -> None:
    async def scenario() -> None:
        feed = Feed(deletions_kept=2)
        feed.record([deletion(revision) for revision in range(1, 6)])
        with pytest.raises(Expired):
            await next_batch(feed.watch(1))
        assert [change.revision for change in await next_batch(feed.watch(3))] == [4, 5]

    asyncio.run(scenario())


def test_a_watcher_that_knows_nothing_needs_no_deletions() -> None:
    async def scenario() -> None:
        feed = Feed(deletions_kept=2)
        feed.record([deletion(revision) for revision in range(1, 6)])
        assert [change.revision for change in await next_batch(feed.watch(0))] == [4, 5]

    asyncio.run(scenario())
