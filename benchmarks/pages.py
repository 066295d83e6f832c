"""A steady load of Bookinfo's pages, and what became of each request, as its client saw it."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Iterable
from dataclasses import dataclass

PATH = "/productpage"
_REQUEST = f"GET {PATH} HTTP/1.1\r\nHost: bookinfo\r\n\r\n".encode()
_LENGTH = re.compile(rb"\r\ncontent-length: (\d+)\r\n", re.IGNORECASE)
_VERSION = re.compile(rb"Reviews served by: <code>reviews-(v\d)")


@dataclass(frozen=True, slots=True)
class Page:
    """``ended``: seconds since 1970. ``version``: of reviews, "" if the page has none."""

    ended: float
    milliseconds: float
    status: int
    version: str


async def load_pages(
    port: int, *, per_second: float, seconds: float, connections: int = 8
) -> list[Page]:
    """Ask for so many pages per second, each connection in turn, one at a time.

    A connection that is late asks at once.

    Raises:
        OSError, EOFError, ValueError: the gateway does not answer, or not as expected.
    """
    every = connections / per_second
    begin = time.monotonic()
    pages = await asyncio.gather(
        *(
            _ask(port, begin + every * number / connections, every, begin + seconds)
            for number in range(connections)
        )
    )
    return sorted((page for each in pages for page in each), key=lambda page: page.ended)


async def _ask(port: int, first: float, every: float, end: float) -> list[Page]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    pages, due = [], first
    while due < end:
        await asyncio.sleep(due - time.monotonic())
        began = time.perf_counter()
        writer.write(_REQUEST)
        status, body = await _answer(reader)
        took = (time.perf_counter() - began) * 1000
        found = _VERSION.search(body)
        pages.append(Page(time.time(), took, status, found[1].decode() if found else ""))
        due = max(due + every, time.monotonic())
    writer.close()
    return pages


async def _answer(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    head = await reader.readuntil(b"\r\n\r\n")
    length = _LENGTH.search(head)
    if length is None:
        raise ValueError(f"an answer of unknown length: {head!r}")
    return int(head.split(b" ", 2)[1]), await reader.readexactly(int(length[1]))


def percentile(pages: Iterable[Page], share: float) -> float:
    """In milliseconds; between two pages in proportion."""
    ordered = sorted(page.milliseconds for page in pages)
    position = share * (len(ordered) - 1)
    low = int(position)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (position - low)
