"""Bookinfo under a steady load: what `clew graph` says of it beside what the client saw."""

from __future__ import annotations

import asyncio
import os
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from math import ceil
from pathlib import Path

from benchmarks.load import ANY_CORE, running
from benchmarks.pages import Page, load_pages, percentile
from benchmarks.processes import free_port, wait_until
from benchmarks.startup import bookinfo_up, clew_home, page_of
from benchmarks.table import show
from clew.api.client import Client
from clew.api.location import API_SOCKET
from clew.api.traffic import TrafficEdge, TrafficGraph
from clew.server.traffic_window import COARSE_SECONDS, COARSE_STEPS, FINE_SECONDS

ALLOWED = 0.05
GATEWAY, PRODUCTPAGE = "istio-ingressgateway", "productpage-v1"
WITH_RATINGS = ("v2", "v3")
_PERCENTILES = (0.5, 0.9, 0.95, 0.99)
_EVERYTHING = int(COARSE_SECONDS * COARSE_STEPS)
# The graph is asked for this long before the load ends, and its window begins after the load.
_BEFORE_END, _AFTER_BEGIN = 1.0, 2 * FINE_SECONDS
# Nothing comes any more when nothing has come for so long.
_QUIET_SECONDS = 6.0

Calls = tuple[str, str]


def main(seconds: int = 300, per_second: float = 20.0) -> None:
    with tempfile.TemporaryDirectory() as name:
        home, port = Path(name), free_port()
        log = home / "up.log"
        with clew_home(home), running(bookinfo_up(home, port), ANY_CORE, log):
            wait_until(lambda: "unavailable" not in (page_of(port) or "unavailable"), log)
            with Client(home / "b" / API_SOCKET) as client:
                _settle(client)
                began = time.monotonic()
                with _precedence():
                    pages, live = asyncio.run(_loaded(client, port, seconds, per_second))
                _settle(client)
                # It begins a step early at most, when there was nothing.
                whole = client.traffic(window=ceil(time.monotonic() - began))
    show_compared(pages, live, whole)


@contextmanager
def _precedence() -> Iterator[None]:
    """Let the client have a core whenever it needs one, where that is allowed.

    No proxy could see what it waits for one, and would seem to be too fast.
    """
    before = os.sched_getscheduler(0), os.sched_getparam(0)
    with suppress(PermissionError):
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
    try:
        yield
    finally:
        os.sched_setscheduler(0, *before)


async def _loaded(
    client: Client, port: int, seconds: int, per_second: float
) -> tuple[list[Page], TrafficGraph]:
    """The pages, and the graph of nearly all of that time, asked for while they still come."""
    load = asyncio.create_task(load_pages(port, per_second=per_second, seconds=seconds))
    await asyncio.sleep(seconds - _BEFORE_END)
    window = round(seconds - _BEFORE_END - _AFTER_BEGIN)
    graph = await asyncio.to_thread(client.traffic, window=window)
    return await load, graph


def _settle(client: Client) -> None:
    """Wait until nothing comes any more."""
    last, since = -1, time.monotonic()
    while time.monotonic() - since < _QUIET_SECONDS:
        now = client.traffic(window=_EVERYTHING).total.requests
        if now != last:
            last, since = now, time.monotonic()
        time.sleep(0.2)


def _calls(edge: TrafficEdge) -> Calls:
    return edge.source.rpartition("/")[2], edge.destination.rpartition("/")[2]


def made(pages: Sequence[Page]) -> Counter[Calls]:
    """The calls that these pages took: one for details, one for reviews, and theirs for ratings."""
    found = Counter({(GATEWAY, PRODUCTPAGE): len(pages), (PRODUCTPAGE, "details-v1"): len(pages)})
    for page in pages:
        reviews = f"reviews-{page.version}"
        found[PRODUCTPAGE, reviews] += 1
        if page.version in WITH_RATINGS:
            found[reviews, "ratings-v1"] += 1
    return found


def show_compared(pages: Sequence[Page], live: TrafficGraph, whole: TrafficGraph) -> None:
    """``live``: of a part of the load, while it was on. ``whole``: of all of it, in the end."""
    until = datetime.fromisoformat(live.until).timestamp()
    seen = [page for page in pages if until - live.window < page.ended <= until]
    failed = sum(page.status != 200 for page in pages)
    print(f"\n{len(pages)} pages, {failed} failed; rates are of {live.window:.0f} s of them")
    show(
        "Requests per second, while they come",
        ("from", "to", "load", "graph", "difference", "met"),
        [
            (*calls, *_compared(number / live.window, _rate(live, calls), "{:.2f}"))
            for calls, number in sorted(made(seen).items())
        ],
    )
    show(
        "Latency of all pages in milliseconds",
        ("percentile", "load", "graph", "difference", "met"),
        [
            (f"p{share * 100:.0f}", *_compared(percentile(pages, share), told, "{:.1f}"))
            for share, told in zip(_PERCENTILES, _latency(whole), strict=True)
        ],
    )
    show(
        "All requests",
        ("from", "to", "load", "graph", "difference"),
        [
            (*calls, number, counted, counted - number)
            for calls, number in sorted(made(pages).items())
            for counted in (_requests(whole, calls),)
        ],
    )


def _compared(load: float, graph: float, form: str) -> tuple[str, str, str, str]:
    share = graph / load - 1 if load else float("inf")
    met = "yes" if abs(share) <= ALLOWED else "no"
    return form.format(load), form.format(graph), f"{share:+.1%}", met


def _requests(graph: TrafficGraph, calls: Calls) -> int:
    return sum(e.traffic.requests for e in graph.edges if _calls(e) == calls)


def _rate(graph: TrafficGraph, calls: Calls) -> float:
    return sum(e.traffic.requests_per_second for e in graph.edges if _calls(e) == calls)


def _latency(graph: TrafficGraph) -> tuple[float, ...]:
    found = [e.traffic.latency for e in graph.edges if _calls(e) == (GATEWAY, PRODUCTPAGE)]
    [latency] = [each for each in found if each is not None]
    return latency.p50, latency.p90, latency.p95, latency.p99
