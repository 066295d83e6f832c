"""The admin API's part about traffic."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from clew.api.traffic import Crowd, SeriesList, TrafficGraph
from clew.api.traffic_report import REPORT_SECONDS
from clew.api.views import Trouble
from clew.server.events import sse
from clew.server.replies import BadRequest, number, reply, text_of
from clew.server.traffic_counts import Counts, add
from clew.server.traffic_reports import TrafficReports
from clew.server.traffic_views import (
    GROUPS,
    destination_id,
    edge_view,
    is_in,
    node_views,
    series_views,
    service_id,
    source_id,
    traffic,
    workload_id,
)
from clew.server.traffic_window import (
    COARSE_SECONDS,
    COARSE_STEPS,
    FINE_SECONDS,
    FINE_STEPS,
    Edge,
)

_WINDOW, _SERIES_WINDOW = 60, 900
_LONGEST_WINDOW = int(COARSE_SECONDS * COARSE_STEPS)
# What has been counted is as old as this on average when it is here.
_AGE = REPORT_SECONDS / 2
_LEAST_PAUSE, _LONGEST_SILENCE = 1.0, 5.0
# Who watches a big mesh takes no more than about a twentieth of the time.
_PAUSES = 20
# Edges that are summed before others get their turn.
_AT_ONCE = 100


@dataclass(frozen=True, slots=True)
class TrafficApi:
    """Its routes. Everything is summed when somebody asks, and never for long at once."""

    reports: TrafficReports
    troubles: Callable[[], tuple[Trouble, ...]] = tuple

    def routes(self) -> list[Route]:
        return [
            Route("/v1/traffic", self._graph, methods=["GET"]),
            Route("/v1/traffic/series", self._series, methods=["GET"]),
            Route("/v1/traffic/events", self._events, methods=["GET"]),
        ]

    async def _graph(self, request: Request) -> Response:
        seconds, namespace = _window(request, _WINDOW), text_of(request, "namespace")
        return reply(await self.graph(seconds, namespace))

    async def graph(self, seconds: int, namespace: str = "") -> TrafficGraph:
        """The traffic of the last ``seconds``; "" is every namespace."""
        window, now = self.reports.window, self.reports.now()
        since = window.first_step(now, seconds)
        covered = max(window.seconds(since, now) - _AGE, 1.0)
        total: Counts = {}
        sums: list[tuple[Edge, Counts]] = []
        edges = []
        for edge, counts in window.sums(since):
            if namespace and not is_in(edge, namespace):
                continue
            sums.append((edge, counts))
            edges.append(edge_view(edge, counts, covered))
            add(total, counts)
            if len(sums) % _AT_ONCE == 0:
                await asyncio.sleep(0)
        edges.sort(key=lambda e: (-e.traffic.requests - e.traffic.connections_opened, e.source))
        return TrafficGraph(
            window=round(covered, 1),
            until=datetime.fromtimestamp(now - _AGE, UTC).isoformat(timespec="seconds"),
            total=traffic(total, covered),
            nodes=tuple(node_views(sums, covered)),
            edges=tuple(edges),
            most_edges=window.most_edges,
            crowds=tuple(
                Crowd(node=workload_id(*workload), edges=count)
                for workload, count in window.crowds()
            ),
            proxies=len(self.reports.reporters),
            troubles=self.troubles(),
        )

    async def _events(self, request: Request) -> Response:
        """Server-sent events: ``traffic``, the graph, when there is anything new of it."""
        seconds, namespace = _window(request, _WINDOW), text_of(request, "namespace")
        stream = self._graphs(seconds, namespace, request.app.state.closing)
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        return StreamingResponse(stream, media_type="text/event-stream", headers=headers)

    async def _graphs(
        self, seconds: int, namespace: str, closing: asyncio.Event
    ) -> AsyncIterator[bytes]:
        closed = asyncio.ensure_future(closing.wait())
        changed = asyncio.ensure_future(self.reports.changed())
        try:
            while not closed.done():
                began = time.monotonic()
                yield sse("traffic", await self.graph(seconds, namespace))
                took = time.monotonic() - began
                pause = min(max(_LEAST_PAUSE, took * _PAUSES), _LONGEST_SILENCE)
                await asyncio.wait((closed,), timeout=pause)
                # The window goes on, even if nothing more happens.
                await asyncio.wait(
                    (closed, changed),
                    timeout=_LONGEST_SILENCE,
                    return_when=asyncio.FIRST_COMPLETED,
                )
                if changed.done():
                    changed = asyncio.ensure_future(self.reports.changed())
        finally:
            for task in (closed, changed):
                task.cancel()
            await asyncio.gather(closed, changed, return_exceptions=True)

    async def _series(self, request: Request) -> Response:
        seconds, by = _window(request, _SERIES_WINDOW), text_of(request, "by")
        if by not in GROUPS:
            known = ", ".join(filter(None, GROUPS))
            raise BadRequest(f'traffic is not grouped by "{by}", but by {known}')
        kept = COARSE_SECONDS if seconds > FINE_SECONDS * FINE_STEPS else FINE_SECONDS
        # In fine steps, a multiple of what is kept.
        wide = max(1, -int(-(number(request, "step") or 1) // kept)) * round(kept / FINE_SECONDS)
        found, starts = await self._steps(request, seconds, wide, by)
        step = wide * FINE_SECONDS
        return reply(SeriesList(step=step, series=tuple(series_views(found, starts, step))))

    async def _steps(
        self, request: Request, seconds: int, wide: int, by: str
    ) -> tuple[dict[str, dict[int, Counts]], list[float]]:
        """The counts by name of the series and number of the point, and when each point begins."""
        window, now = self.reports.window, self.reports.now()
        first = window.first_step(now, seconds) // wide
        last = int((now - REPORT_SECONDS) // FINE_SECONDS) // wide
        found: dict[str, dict[int, Counts]] = {} if by else {"": {}}
        for index, edge in enumerate(window.edges()):
            if index % _AT_ONCE == _AT_ONCE - 1:
                await asyncio.sleep(0)
            if not _is_wanted(edge, request):
                continue
            points = found.setdefault(GROUPS[by](edge), {})
            for step, counts in window.steps(edge, first * wide):
                add(points.setdefault(step // wide - first, {}), counts)
        return found, [number * wide * FINE_SECONDS for number in range(first, last)]


def _is_wanted(edge: Edge, request: Request) -> bool:
    namespace = text_of(request, "namespace")
    ids = {"source": source_id, "service": service_id, "destination": destination_id}
    return (not namespace or is_in(edge, namespace)) and all(
        of(edge) == wanted for name, of in ids.items() if (wanted := text_of(request, name))
    )


def _window(request: Request, default: int) -> int:
    seconds = number(request, "window") or default
    return min(seconds, _LONGEST_WINDOW)
