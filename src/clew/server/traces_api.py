"""The admin API's part about traces: what was traced, and OTLP over HTTP to send more."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from google.protobuf.json_format import MessageToJson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from clew.api.traces import TraceList, summary, trace
from clew.model.duration import Duration
from clew.model.trace import TraceQuery
from clew.server.jaeger import JaegerApi
from clew.server.otlp import (
    LONGEST_REQUEST,
    NotOtlp,
    export_answer,
    read_json,
    read_protobuf,
    read_spans,
)
from clew.server.replies import BadRequest, TooLarge, error_reply, number, reply, text_of
from clew.stores.store import NotFound
from clew.stores.traces import Traces

_LIMIT, _MOST = 20, 1_000
_PROTOBUF, _JSON = "application/x-protobuf", "application/json"
_READERS = {_PROTOBUF: read_protobuf, _JSON: read_json}
# zlib's for gzip.
_GZIP = 16 + zlib.MAX_WBITS


@dataclass(frozen=True, slots=True)
class TracesApi:
    """Its routes, and those of Jaeger's API."""

    traces: Traces

    def routes(self) -> list[Route]:
        return [
            Route("/v1/traces", self._find, methods=["GET"]),
            Route("/v1/traces", self._take, methods=["POST"]),
            Route("/v1/traces/{id}", self._trace, methods=["GET"]),
            *JaegerApi(self.traces).routes(),
        ]

    async def _find(self, request: Request) -> Response:
        found = await self.traces.find(_query(request))
        return reply(TraceList(items=tuple(map(summary, found))))

    async def _trace(self, request: Request) -> Response:
        trace_id = request.path_params["id"].lower()
        spans = await self.traces.trace(trace_id)
        if not spans:
            raise NotFound(
                f"there is no trace {trace_id}: it was not sampled, or it is older than what is "
                "kept (see: clew trace list)"
            )
        return reply(trace(spans))

    async def _take(self, request: Request) -> Response:
        """Source: OTLP/HTTP: the answer is of the type of the request."""
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind not in _READERS:
            message = f"spans come as {' or '.join(_READERS)}"
            return error_reply(415, "BadRequest", message)
        body = await _body(request)
        try:
            spans = [*read_spans(_READERS[kind](body))]
        except NotOtlp as error:
            raise BadRequest(str(error)) from None
        answer = export_answer(spans, self.traces.offer)
        if kind == _PROTOBUF:
            return Response(answer.SerializeToString(), media_type=_PROTOBUF)
        return Response(MessageToJson(answer, indent=None), media_type=_JSON)


async def _body(request: Request) -> bytes:
    """The body, unpacked. Raises: TooLarge, BadRequest."""
    encoding = request.headers.get("content-encoding") or "identity"
    if encoding not in ("identity", "gzip"):
        raise BadRequest(f"bodies come as they are or as gzip, not as {encoding}")
    unpacker = zlib.decompressobj(_GZIP) if encoding == "gzip" else None
    found = b""
    async for chunk in request.stream():
        room = LONGEST_REQUEST + 1 - len(found)
        found += chunk if unpacker is None else _unpacked(unpacker.decompress, chunk, room)
        if len(found) > LONGEST_REQUEST:
            raise TooLarge(f"more than {LONGEST_REQUEST // 1024 // 1024} MB at once")
    if unpacker is not None and not unpacker.eof:
        raise BadRequest("the body is not gzip, or not all of it")
    return found


def _unpacked(unpack: Callable[[bytes, int], bytes], chunk: bytes, room: int) -> bytes:
    try:
        return unpack(chunk, room)
    except zlib.error as error:
        raise BadRequest(f"the body is not gzip: {error}") from None


def _query(request: Request) -> TraceQuery:
    status = text_of(request, "status")
    if status not in ("", "error") and not (status.isascii() and status.isdigit()):
        raise BadRequest(f'status is a number or "error", not "{status}"')
    return TraceQuery(
        service=text_of(request, "service"),
        operation=text_of(request, "operation"),
        errors=status == "error",
        status=int(status) if status.isdigit() else 0,
        min_duration=_duration(request, "minDuration"),
        max_duration=_duration(request, "maxDuration"),
        since=_moment(request, "since"),
        until=_moment(request, "until"),
        limit=min(number(request, "limit") or _LIMIT, _MOST),
    )


def _duration(request: Request, name: str) -> int:
    text = text_of(request, name)
    try:
        return max(0, Duration.parse(text).nanoseconds) if text else 0
    except ValueError as error:
        raise BadRequest(f"{name}: {error}", hint="as in 100ms or 1.5s") from None


def _moment(request: Request, name: str) -> int:
    """In nanoseconds since 1970."""
    text = text_of(request, name)
    if not text:
        return 0
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise BadRequest(f'{name} is a moment as in RFC 3339, not "{text}"') from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max(0, round(moment.timestamp() * 1_000_000)) * 1_000
