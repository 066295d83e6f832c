"""The admin API's part about what proxies tell and log for a while."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

import msgspec
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from clew.api.runtime_settings import LONGEST_SECONDS, LogLevelAnswer, LogLevelRequest
from clew.model.duration import Duration
from clew.model.proxy import Proxy
from clew.server.replies import BadRequest, body_of, number, reply, text_of
from clew.server.tap import Tap, TapFilter, workload_of
from clew.stores.store import NotFound

_SECONDS = 600
_STATUS = re.compile(r"[1-5]xx|[1-5][0-9]{2}|error|")
_LOGGER = re.compile(r"[a-z0-9_]+")
# How soon a client that has gone is noticed where nothing happens.
_ALIVE_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class TapApi:
    tap: Tap

    def routes(self) -> list[Route]:
        return [
            Route("/v1/tap", self._watch, methods=["GET"]),
            Route("/v1/log-levels", self._log_levels, methods=["POST"]),
        ]

    async def _watch(self, request: Request) -> Response:
        """A line per request; an empty one now and then."""
        wanted, seconds = _filter(request), number(request, "seconds") or _SECONDS
        stream = self._lines(wanted, min(seconds, LONGEST_SECONDS), request.app.state.closing)
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        return StreamingResponse(stream, media_type="application/x-ndjson", headers=headers)

    async def _lines(
        self, wanted: TapFilter, seconds: float, closing: asyncio.Event
    ) -> AsyncIterator[bytes]:
        yield b"\n"
        events = self.tap.watch(wanted, seconds)
        closed = asyncio.ensure_future(closing.wait())
        event = asyncio.ensure_future(anext(events, None))
        try:
            while not closed.done():
                await asyncio.wait(
                    (closed, event), timeout=_ALIVE_SECONDS, return_when=asyncio.FIRST_COMPLETED
                )
                if not event.done():
                    yield b"\n"
                elif (found := event.result()) is None:
                    return
                else:
                    yield msgspec.json.encode(found) + b"\n"
                    event = asyncio.ensure_future(anext(events, None))
        finally:
            for task in (closed, event):
                task.cancel()
            await asyncio.gather(closed, event, return_exceptions=True)
            await events.aclose()

    async def _log_levels(self, request: Request) -> Response:
        try:
            wanted = msgspec.json.decode(await body_of(request), type=LogLevelRequest)
        except msgspec.MsgspecError as error:
            raise BadRequest(f"this is no request for levels: {error}") from None
        for name in wanted.levels:
            if not _LOGGER.fullmatch(name):
                raise BadRequest(f'"{name}" is no name of a logger', hint="as in http or router")
        proxies = self._chosen(wanted.workload, wanted.namespace)
        seconds = min(max(wanted.seconds, 1.0), LONGEST_SECONDS)
        self.tap.settings.log(proxies, wanted.levels, seconds)
        names = sorted({f"{each.namespace}/{each.name}" for each in proxies})
        return reply(LogLevelAnswer(proxies=tuple(names), seconds=seconds))

    def _chosen(self, name: str, namespace: str) -> Sequence[Proxy]:
        """Proxies by replica, or else workload, or else the label app. Raises: NotFound."""
        every = [
            each
            for each in self.tap.directory.proxies()
            if not namespace or each.namespace == namespace
        ]
        rules = (
            lambda proxy: proxy.name,
            lambda proxy: workload_of(proxy).rpartition("/")[2],
            lambda proxy: dict(proxy.labels).get("app", ""),
        )
        for rule in rules:
            if found := [each for each in every if rule(each) == name]:
                return found
        raise NotFound(f'no proxy of a workload "{name}" is connected (see: clew status)')


def _filter(request: Request) -> TapFilter:
    status, shortest = text_of(request, "status"), text_of(request, "minDuration")
    if not _STATUS.fullmatch(status):
        raise BadRequest(f'status is like 503, 5xx or error, not "{status}"')
    try:
        milliseconds = Duration.parse(shortest).seconds * 1000 if shortest else 0.0
    except ValueError as error:
        raise BadRequest(f"minDuration: {error}") from None
    return TapFilter(
        caller=text_of(request, "from"),
        called=text_of(request, "to"),
        path=text_of(request, "path"),
        status=status,
        min_duration=milliseconds,
    )
