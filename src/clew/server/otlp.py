"""OpenTelemetry's protocol: what programs and proxies send of their spans, as protobuf and JSON.

Source: https://opentelemetry.io/docs/specs/otlp/
"""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from google.protobuf.json_format import ParseDict, ParseError
from google.protobuf.message import DecodeError

from clew._pb.opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTracePartialSuccess,
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from clew._pb.opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from clew._pb.opentelemetry.proto.trace.v1 import trace_pb2
from clew.model.trace import (
    SERVICE_NAME,
    UNKNOWN_SERVICE,
    Span,
    SpanEvent,
    SpanKind,
    Value,
)
from clew.server.http2.call import INVALID_ARGUMENT, Call, Method
from clew.server.http2.unary import Refusal, unary
from clew.server.trace_admission import Admission

METHOD = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
LONGEST_REQUEST = 4 * 1024 * 1024

_KINDS: tuple[SpanKind, ...] = (
    *("unspecified", "internal", "server", "client"),
    *("producer", "consumer"),
)
# Of one span: what is beyond is cut off, as tables and pages could not show it.
_MOST_ATTRIBUTES = 128
_LONGEST_TEXT = 4_096
_DEEPEST = 8


class NotOtlp(ValueError):
    """It is no export request; the text says why."""


# Takes spans, and returns how many of them there is no room for.
Offer = Callable[[list[Span]], int]


def otlp_methods(offer: Offer, admission: Admission) -> Mapping[str, Method]:
    """The gRPC method of OTLP, for callers who are known by their certificate."""

    def export(_call: Call, body: bytes) -> bytes:
        try:
            request = read_protobuf(body)
            spans = [*read_spans(request, admission.wanted(request))]
        except NotOtlp as error:
            raise Refusal(INVALID_ARGUMENT, str(error)) from None
        return export_answer(spans, offer).SerializeToString()

    return {METHOD: unary(export, LONGEST_REQUEST)}


def export_answer(spans: list[Span], offer: Offer) -> ExportTraceServiceResponse:
    """Offer the spans, and say how many are not taken. Source: OTLP's partial success."""
    refused = offer(spans)
    if not refused:
        return ExportTraceServiceResponse()
    return ExportTraceServiceResponse(
        partial_success=ExportTracePartialSuccess(
            rejected_spans=refused, error_message="too many spans at once; these are lost"
        )
    )


def read_protobuf(body: bytes) -> ExportTraceServiceRequest:
    """Raises: NotOtlp."""
    try:
        return ExportTraceServiceRequest.FromString(body)
    except DecodeError as error:
        raise NotOtlp(f"this is no ExportTraceServiceRequest: {error}") from None


def read_json(body: bytes) -> ExportTraceServiceRequest:
    """As protobuf's JSON, but that ids are hexadecimal. Raises: NotOtlp."""
    try:
        document = json.loads(body)
        _with_bytes(document, _DEEPEST)
        return ParseDict(document, ExportTraceServiceRequest(), ignore_unknown_fields=True)
    except (ValueError, TypeError, ParseError, RecursionError) as error:
        raise NotOtlp(f"this is no ExportTraceServiceRequest in JSON: {error}") from None


def _with_bytes(value: Any, depth: int) -> None:
    """Write ids as protobuf's JSON has bytes. They are no deeper than links of spans."""
    if depth and isinstance(value, list):
        for each in value:
            _with_bytes(each, depth - 1)
    elif depth and isinstance(value, dict):
        for name, each in value.items():
            if name in ("traceId", "spanId", "parentSpanId") and isinstance(each, str):
                value[name] = b64encode(bytes.fromhex(each)).decode()
            elif name != "attributes":
                _with_bytes(each, depth - 1)


Wanted = Callable[[bytes], bool]


def read_spans(
    request: ExportTraceServiceRequest, wanted: Wanted = lambda trace_id: True
) -> Iterator[Span]:
    """Yield the spans of wanted traces. Raises: NotOtlp for one that lacks the ids it needs."""
    for of_resource in request.resource_spans:
        resource = _attributes(of_resource.resource.attributes)
        service = str(resource.get(SERVICE_NAME, "")) or UNKNOWN_SERVICE
        for of_scope in of_resource.scope_spans:
            for span in of_scope.spans:
                if wanted(span.trace_id):
                    yield _span(span, service, resource)


def _span(span: trace_pb2.Span, service: str, resource: dict[str, Value]) -> Span:
    if len(span.trace_id) != 16 or len(span.span_id) != 8 or not any(span.trace_id):
        raise NotOtlp(f'the span "{span.name[:80]}" needs a traceId of 16 bytes and a spanId of 8')
    start = span.start_time_unix_nano
    return Span(
        trace_id=span.trace_id.hex(),
        span_id=span.span_id.hex(),
        parent_id=span.parent_span_id.hex() if any(span.parent_span_id) else "",
        service=service,
        name=span.name[:_LONGEST_TEXT],
        kind=_KINDS[span.kind] if 0 <= span.kind < len(_KINDS) else "unspecified",
        start=start,
        duration=max(0, span.end_time_unix_nano - start),
        error=span.status.code == trace_pb2.Status.STATUS_CODE_ERROR,
        status_message=span.status.message[:_LONGEST_TEXT],
        attributes=_attributes(span.attributes),
        resource=resource,
        events=tuple(
            SpanEvent(
                at=event.time_unix_nano,
                name=event.name[:_LONGEST_TEXT],
                attributes=_attributes(event.attributes),
            )
            for event in span.events[:_MOST_ATTRIBUTES]
        ),
    )


def _attributes(pairs: Iterable[KeyValue]) -> dict[str, Value]:
    found: dict[str, Value] = {}
    for pair in pairs:
        if len(found) == _MOST_ATTRIBUTES:
            break
        found[pair.key[:_LONGEST_TEXT]] = _value(pair.value)
    return found


def _value(value: AnyValue) -> Value:
    """Lists, maps and bytes as text; there are few of them."""
    match value.WhichOneof("value"):
        case "string_value":
            return value.string_value[:_LONGEST_TEXT]
        case "bool_value":
            return value.bool_value
        case "int_value":
            return value.int_value
        case "double_value":
            return value.double_value
        case None:
            return ""
        case _:
            return str(value).strip()[:_LONGEST_TEXT]
