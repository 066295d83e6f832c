"""The admin API's part about what proxies tell and log for a while."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Collection, Sequence
from dataclasses import dataclass

import msgspec
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from clew.api.runtime_settings import LONGEST_SECONDS, LogLevelAnswer, LogLevelRequest
from clew.config.structure import did_you_mean
from clew.model.duration import Duration
from clew.model.pod import Pod
from clew.model.proxy import Proxy
from clew.server.replies import BadRequest, number, read_body, reply, text_of
from clew.server.tap import Tap, TapFilter, names_of, workload_of
from clew.snapshot.objects import objects_of
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
        self._check_names(wanted)
        stream = self._lines(wanted, min(seconds, LONGEST_SECONDS), request.app.state.closing)
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        return StreamingResponse(stream, media_type="application/x-ndjson", headers=headers)

    def _check_names(self, wanted: TapFilter) -> None:
        """Who watches a workload that is not there would wait in vain. Raises: NotFound."""
        directory = self.tap.directory
        snapshot = directory.publisher.snapshot
        callers = {
            name
            for each in directory.proxies()
            for name in names_of(workload_of(each), dict(each.labels).get("app", ""))
        }
        # Their proxies may be on their way, as when the control plane has just been started.
        pods = [each.metadata for each in objects_of(Pod, snapshot.objects)]
        hosts = {host.partition(".")[0] for host in snapshot.services.by_host}

        def is_known(name: str) -> bool:
            bare = name.rpartition("/")[2].partition(".")[0]
            comes = (bare == p.labels.get("app") or p.name.startswith(f"{bare}-") for p in pods)
            return name in callers or any(comes)

        if wanted.caller and not is_known(wanted.caller):
            raise _no_workload(wanted.caller, callers)
        host = wanted.called.rpartition("/")[2]
        # Hosts outside may be called by any name.
        if host and "." not in host and host not in hosts and not is_known(wanted.called):
            raise _no_workload(wanted.called, callers | hosts)

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
        wanted = await read_body(request, LogLevelRequest)
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
        raise _no_workload(name, {rule(each) for rule in rules for each in every})


def _no_workload(name: str, known: Collection[str]) -> NotFound:
    hint = did_you_mean(name, sorted(known)) or "see: clew status"
    return NotFound(f'there is no workload "{name}" with a proxy; {hint}')


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
