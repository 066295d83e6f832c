"""Traces are found by what is asked for, and never take more room or time than they may."""

from __future__ import annotations

import asyncio
import stat
from collections.abc import Callable, Coroutine, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clew.model.trace import Span, TraceQuery
from clew.stores import traces as traces_module
from clew.stores import traces_file
from clew.stores.traces import Traces
from clew.stores.traces_file import TraceLimits, TracesFile
from tests.spans import BEGAN, TRACE, bookinfo_trace, span

MILLISECOND = 1_000_000
SMALL = 160 * 1024


@pytest.fixture
def file(tmp_path: Path) -> Iterator[TracesFile]:
    opened = TracesFile.open(tmp_path / "traces.db", TraceLimits())
    yield opened
    opened.close()


def found(file: TracesFile, **query: Any) -> list[str]:
    return [spans[0].trace_id for spans in file.find(TraceQuery(**query))]


def other(number: int, **fields: Any) -> Span:
    return span(number, **{"trace_id": f"{number:032x}", **fields})


def test_a_trace_comes_back_as_it_was_told(file: TracesFile) -> None:
    late, *early = bookinfo_trace()
    file.add(early, 100)
    file.add([late], 101)
    assert file.trace(TRACE) == bookinfo_trace()
    assert file.trace("0" * 32) == ()


def test_a_span_that_is_told_twice_is_there_once(file: TracesFile) -> None:
    file.add([span(1), span(1)], 100)
    file.add([span(1)], 100)
    assert len(file.trace(TRACE)) == 1


@pytest.mark.parametrize(
    ("query", "is_found"),
    [
        ({}, True),
        ({"service": "reviews.default"}, True),
        ({"service": "ratings.default"}, False),
        ({"service": "productpage.default", "operation": "productpage"}, True),
        ({"service": "reviews.default", "operation": "productpage"}, False),
        ({"errors": True}, True),
        ({"status": 503}, True),
        ({"status": 404}, False),
        ({"service": "reviews.default", "status": 200}, False),
        ({"min_duration": 9 * MILLISECOND}, True),
        ({"min_duration": 10 * MILLISECOND}, False),
        ({"max_duration": 8 * MILLISECOND}, False),
        ({"since": BEGAN}, True),
        ({"since": BEGAN + 1 + MILLISECOND}, False),
        ({"until": BEGAN + MILLISECOND}, False),
        ({"since": 2**70, "status": 2**70}, False),
    ],
)
def test_traces_are_found_by_what_is_asked_for(
    file: TracesFile, query: dict[str, Any], is_found: bool
) -> None:
    file.add(bookinfo_trace(), 100)
    assert (found(file, **query) == [TRACE]) is is_found


def test_the_newest_come_first_and_no_more_than_wanted(file: TracesFile) -> None:
    file.add([other(2), other(3), other(1)], 100)
    assert found(file, limit=2) == [f"{3:032x}", f"{2:032x}"]


def test_services_and_their_operations_are_told_by_name(file: TracesFile) -> None:
    assert file.services() == ()
    file.add([*bookinfo_trace(), other(4, service="a")], 100)
    assert file.services() == ("a", "productpage.default", "reviews.default")
    assert file.operations("productpage.default") == ("productpage", span(1).name)


def test_what_is_too_old_goes(tmp_path: Path) -> None:
    file = TracesFile.open(tmp_path / "traces.db", TraceLimits(age=timedelta(seconds=60)))
    file.add([other(1)], 100)
    file.add([other(2)], 130)
    file.shrink(161)
    assert found(file) == [f"{2:032x}"]
    assert file.trace(f"{1:032x}") == ()
    file.close()


BATCHES = st.lists(
    st.lists(st.tuples(st.integers(1, 40), st.integers(1, 60), st.integers(0, 4_000)), max_size=40),
    max_size=8,
)


@settings(max_examples=40, deadline=None)
@given(BATCHES)
def test_the_file_never_outgrows_its_bounds_and_keeps_the_newest(
    tmp_path_factory: pytest.TempPathFactory, batches: list[list[tuple[int, int, int]]]
) -> None:
    path = tmp_path_factory.mktemp("traces") / "traces.db"
    limits = TraceLimits(age=timedelta(seconds=5), size=SMALL)
    file = TracesFile.open(path, limits)
    heard: dict[str, float] = {}
    for now, batch in enumerate(batches):
        spans = [
            span(number, trace_id=f"{trace:032x}", attributes={"text": "x" * size})
            for trace, number, size in batch
        ]
        assert file.add(spans, now) == 0
        heard |= {each.trace_id: now for each in spans}
        assert file.size <= SMALL
        kept = {spans[0].trace_id for spans in file.find(TraceQuery(limit=1_000))}
        assert kept <= {trace for trace, at in heard.items() if at >= now - 5}
        dropped = {heard[trace] for trace in heard.keys() - kept}
        # None goes before one that was heard of earlier.
        assert not kept or not dropped or max(dropped) <= min(heard[each] for each in kept)
    file.close()


def test_a_trace_without_end_is_cut_off(file: TracesFile, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(traces_file, "MOST_SPANS", 10)
    assert file.add([span(number) for number in range(1, 15)], 100) == 4
    assert len(file.trace(TRACE)) == 10


def test_a_file_that_cannot_be_read_is_begun_anew(tmp_path: Path) -> None:
    path = tmp_path / "traces.db"
    path.write_bytes(b"no database" * 1_000)
    file = TracesFile.open(path, TraceLimits())
    file.add([span(1)], 100)
    assert found(file) == [TRACE]
    file.close()


def with_traces(path: Path, scenario: Callable[[Traces], Coroutine[Any, Any, None]]) -> None:
    async def run() -> None:
        kept = Traces(path, TraceLimits(), now=lambda: 100.0)
        running = asyncio.ensure_future(kept.run())
        try:
            async with asyncio.timeout(10):
                await scenario(kept)
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)

    asyncio.run(run())


async def until_found(kept: Traces) -> None:
    while not await kept.find(TraceQuery()):  # noqa: ASYNC110  # a thread writes
        await asyncio.sleep(0)


def test_what_is_offered_is_written_and_survives_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "traces.db"

    async def tell(kept: Traces) -> None:
        assert kept.offer(bookinfo_trace()) == 0
        await until_found(kept)

    async def ask(kept: Traces) -> None:
        assert await kept.trace(TRACE) == bookinfo_trace()

    with_traces(path, tell)
    with_traces(path, ask)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_what_waits_to_be_written_is_bounded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(traces_module, "MOST_WAITING", 2)

    async def tell(kept: Traces) -> None:
        assert kept.offer(bookinfo_trace()) == 1
        await until_found(kept)
        assert kept.offer([span(4)]) == 0

    with_traces(tmp_path / "traces.db", tell)


def test_a_file_that_cannot_be_written_costs_traces_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "missing" / "traces.db"

    async def tell(kept: Traces) -> None:
        kept.offer([span(1)])
        with pytest.raises(OSError, match="No such file"):
            await kept.find(TraceQuery())
        path.parent.mkdir()
        kept.offer([span(2)])
        await until_found(kept)

    with_traces(path, tell)
