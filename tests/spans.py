"""One trace of Bookinfo, and OTLP as a program would send it."""

from __future__ import annotations

from typing import Any

from clew._pb.opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
)
from clew.model.trace import Span

BEGAN = 1_764_331_200_000_000_000  # 2025-11-28T12:00:00Z
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
HOST = "reviews.default.svc.cluster.local:9080/*"


def span(number: int, parent: int = 0, **fields: Any) -> Span:
    """Span ``number`` below ``parent``, if there is one; each begins a millisecond later."""
    return Span(
        **{
            "trace_id": TRACE,
            "span_id": f"{number:016x}",
            "parent_id": f"{parent:016x}" if parent else "",
            "service": "productpage.default",
            "name": HOST,
            "kind": "server",
            "start": BEGAN + number * 1_000_000,
            "duration": (10 - number) * 1_000_000,
            **fields,
        }
    )


def bookinfo_trace() -> tuple[Span, ...]:
    """productpage is called, and calls reviews, which fails."""
    failed: dict[str, Any] = {
        "error": True,
        "attributes": {"http.status_code": "503", "response_flags": "UH", "node_id": 7},
    }
    return (
        span(1, name="productpage", attributes={"http.status_code": "200"}),
        span(2, 1, kind="client", **failed),
        span(3, 2, service="reviews.default", **failed),
    )


def export(*ids: int, service: str = "web", trace: str = TRACE) -> ExportTraceServiceRequest:
    """A request with one span for each of ``ids``."""
    request = ExportTraceServiceRequest()
    of_resource = request.resource_spans.add()
    attribute = of_resource.resource.attributes.add(key="service.name")
    attribute.value.string_value = service
    spans = of_resource.scope_spans.add().spans
    for number in ids:
        added = spans.add(
            trace_id=bytes.fromhex(trace),
            span_id=number.to_bytes(8),
            name="GET /",
            kind=2,
            start_time_unix_nano=BEGAN,
            end_time_unix_nano=BEGAN + 5_000_000,
        )
        added.attributes.add(key="http.status_code").value.string_value = "200"
    return request
