"""Traces as Jaeger's query service tells them, for what speaks to that: Grafana, Kiali.

Source: https://www.jaegertracing.io/docs/latest/architecture/apis/, its JSON for the UI.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from clew.model.duration import Duration
from clew.model.trace import Span, TraceQuery, Value
from clew.server.replies import reply, text_of
from clew.stores.traces import Traces

_LIMIT, _MOST = 20, 1_500
_MICROSECOND = 1_000
_TYPES: Mapping[type, str] = {bool: "bool", int: "int64", float: "float64", str: "string"}


class JaegerApi:
    """The part of Jaeger's HTTP API that looks at traces."""

    def __init__(self, traces: Traces) -> None:
        self._traces = traces

    def routes(self) -> list[Route]:
        return [
            Route("/api/services", self._services, methods=["GET"]),
            Route("/api/services/{service:path}/operations", self._names, methods=["GET"]),
            Route("/api/operations", self._operations, methods=["GET"]),
            Route("/api/traces", self._find, methods=["GET"]),
            Route("/api/traces/{id}", self._trace, methods=["GET"]),
        ]

    async def _services(self, _request: Request) -> Response:
        return _data(await self._traces.services())

    async def _names(self, request: Request) -> Response:
        return _data(await self._traces.operations(request.path_params["service"]))

    async def _operations(self, request: Request) -> Response:
        names = await self._traces.operations(text_of(request, "service"))
        return _data([{"name": name, "spanKind": ""} for name in names])

    async def _find(self, request: Request) -> Response:
        try:
            found = await self._wanted(request)
        except ValueError as error:
            return _error(400, str(error))
        return _data([jaeger_trace(spans) for spans in found])

    async def _wanted(self, request: Request) -> Sequence[Sequence[Span]]:
        """By ids, or else by what is asked for. Raises: ValueError."""
        ids = request.query_params.getlist("traceID")
        if ids:
            each = [await self._traces.trace(_padded(id)) for id in ids[:_MOST]]
            return [spans for spans in each if spans]
        if not text_of(request, "service"):
            raise ValueError("parameter 'service' is required")
        return await self._traces.find(_query(request))

    async def _trace(self, request: Request) -> Response:
        spans = await self._traces.trace(_padded(request.path_params["id"]))
        return _data([jaeger_trace(spans)]) if spans else _error(404, "trace not found")


def _padded(trace_id: str) -> str:
    """Jaeger leaves out zeros in front."""
    return trace_id.lower().rjust(32, "0")


def _query(request: Request) -> TraceQuery:
    """Raises: ValueError."""
    tags = _tags(request)
    status = tags.get("http.status_code", "") or tags.get("http.response.status_code", "")
    return TraceQuery(
        service=text_of(request, "service"),
        operation=text_of(request, "operation"),
        errors=tags.get("error") == "true",
        status=_number("http.status_code", status),
        since=_number("start", text_of(request, "start")) * _MICROSECOND,
        until=_number("end", text_of(request, "end")) * _MICROSECOND,
        min_duration=_nanoseconds(text_of(request, "minDuration")),
        max_duration=_nanoseconds(text_of(request, "maxDuration")),
        limit=min(_number("limit", text_of(request, "limit")) or _LIMIT, _MOST),
    )


def _tags(request: Request) -> dict[str, str]:
    """What spans must carry: of tags, only these two can be asked for. Raises: ValueError."""
    found: dict[str, str] = {}
    if text := text_of(request, "tags"):
        try:
            found = msgspec.json.decode(text, type=dict[str, str])
        except msgspec.MsgspecError as error:
            raise ValueError(f"malformed 'tags' parameter: {error}") from None
    for pair in request.query_params.getlist("tag"):
        name, _, value = pair.partition(":")
        found[name] = value
    return found


def _number(name: str, text: str) -> int:
    if not text:
        return 0
    if not (text.isascii() and text.isdigit()) or len(text) > 19:
        raise ValueError(f"cannot parse '{name}': it is a number, not \"{text}\"")
    return int(text)


def _nanoseconds(text: str) -> int:
    return max(0, Duration.parse(text).nanoseconds) if text else 0


def _data(found: Sequence[Any]) -> Response:
    return reply({"data": found, "total": len(found), "limit": 0, "offset": 0, "errors": None})


def _error(status: int, message: str) -> Response:
    errors = [{"code": status, "msg": message}]
    found = {"data": None, "total": 0, "limit": 0, "offset": 0, "errors": errors}
    return reply(found, status=status)


def jaeger_trace(spans: Sequence[Span]) -> dict[str, Any]:
    """One trace in the JSON of Jaeger's UI; times are microseconds."""
    resources = {(span.service, *sorted(span.resource.items())): span for span in spans}
    processes = {key: f"p{number}" for number, key in enumerate(resources, start=1)}
    return {
        "traceID": spans[0].trace_id,
        "spans": [
            _span(span, processes[(span.service, *sorted(span.resource.items()))]) for span in spans
        ],
        "processes": {
            process: {"serviceName": each.service, "tags": _pairs(each.resource)}
            for process, each in zip(processes.values(), resources.values(), strict=True)
        },
        "warnings": None,
    }


def _span(span: Span, process: str) -> dict[str, Any]:
    parent = {"refType": "CHILD_OF", "traceID": span.trace_id, "spanID": span.parent_id}
    return {
        "traceID": span.trace_id,
        "spanID": span.span_id,
        "flags": 1,
        "operationName": span.name,
        "references": [parent] if span.parent_id else [],
        "startTime": span.start // _MICROSECOND,
        "duration": span.duration // _MICROSECOND,
        "tags": [*_pairs(span.attributes), *_pairs(_said(span))],
        "logs": [
            {
                "timestamp": event.at // _MICROSECOND,
                "fields": [*_pairs({"event": event.name}), *_pairs(event.attributes)],
            }
            for event in span.events
        ],
        "processID": process,
        "warnings": None,
    }


def _said(span: Span) -> dict[str, Value]:
    """What Jaeger has as tags, and OpenTelemetry elsewhere."""
    found: dict[str, Value] = {}
    if span.kind != "unspecified":
        found["span.kind"] = span.kind
    if span.error:
        found |= {"error": True, "otel.status_code": "ERROR"}
    if span.status_message:
        found["otel.status_description"] = span.status_message
    return {name: value for name, value in found.items() if name not in span.attributes}


def _pairs(values: Mapping[str, Value]) -> list[dict[str, Any]]:
    return [
        {"key": name, "type": _TYPES[type(value)], "value": value} for name, value in values.items()
    ]
