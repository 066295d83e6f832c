"""Ending an endless stream when the server stops."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import TypeVar

T = TypeVar("T")


async def until(closing: asyncio.Event, items: AsyncIterator[T]) -> AsyncIterator[T]:
    """The items as they come, until ``closing`` is set or the reader goes away."""
    closed = asyncio.ensure_future(closing.wait())
    item: asyncio.Future[T] | None = None
    try:
        while True:
            item = asyncio.ensure_future(anext(items))
            await asyncio.wait((item, closed), return_when=asyncio.FIRST_COMPLETED)
            if not item.done():
                return
            yield item.result()
    finally:
        pending = [task for task in (closed, item) if task is not None and not task.done()]
        for task in pending:
            task.cancel()
        await asyncio.gather(*pending, return_exceptions=True)
