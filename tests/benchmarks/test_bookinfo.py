"""The load of Bookinfo's pages, and how what the graph says of it is compared with it."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime

import pytest

from benchmarks.bookinfo import made, show_compared
from benchmarks.pages import Page, load_pages, percentile
from clew.api.traffic import Latency, Traffic, TrafficEdge, TrafficGraph

BODY = b"<p>Reviews served by: <code>reviews-v2-0</code></p>"
ANSWER = b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(BODY) + BODY


async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while await reader.readline():
        while (await reader.readline()).strip():
            pass
        writer.write(ANSWER)
    writer.close()


def test_pages_are_asked_for_at_a_steady_rate() -> None:
    async def scenario() -> list[Page]:
        async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            return await load_pages(port, per_second=100, seconds=0.2, connections=4)

    pages = asyncio.run(scenario())
    assert 1 < len(pages) <= 20
    assert {(page.status, page.version) for page in pages} == {(200, "v2")}
    assert all(0 < page.milliseconds < 1000 for page in pages)


NOW = int(time.time())
# Eleven pages a second, of which the graph is to have the last ten seconds.
PAGES = [Page(NOW - number / 11, 20.0, 200, "v3") for number in range(150)]


def graph(requests: float, milliseconds: float) -> TrafficGraph:
    """Each of Bookinfo's calls at this rate, and pages within this time."""
    latency = Latency(p50=milliseconds, p90=milliseconds, p95=milliseconds, p99=milliseconds)
    traffic = Traffic(requests=150, requests_per_second=requests, latency=latency)
    return TrafficGraph(
        window=10.0,
        until=datetime.fromtimestamp(NOW, UTC).isoformat(timespec="seconds"),
        edges=tuple(
            TrafficEdge(source=f"workload/x/{a}", destination=f"workload/x/{b}", traffic=traffic)
            for a, b in made(PAGES)
        ),
    )


@pytest.mark.parametrize(
    ("requests", "milliseconds", "met"),
    [(11.5, 20.9, 8), (11.6, 20.9, 4), (10.4, 19.1, 4), (11.0, 21.1, 4), (12.0, 18.0, 0)],
)
def test_what_differs_by_more_than_a_twentieth_is_not_met(
    requests: float, milliseconds: float, met: int, capsys: pytest.CaptureFixture[str]
) -> None:
    found = graph(requests, milliseconds)
    show_compared(PAGES, found, found)
    printed = capsys.readouterr().out
    assert (printed.count("| yes |"), printed.count("| no  |")) == (met, 8 - met)
    assert printed.count("| 150  | 150   | 0          |") == 4


def test_a_percentile_lies_between_two_pages() -> None:
    pages = [Page(0, float(number), 200, "v1") for number in range(1, 102)]
    assert percentile(pages, 0.5) == 51
    assert percentile(pages, 0.995) == pytest.approx(100.5)
