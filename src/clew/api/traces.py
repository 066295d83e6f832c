"""What the admin API answers about traces. Times are milliseconds, moments RFC 3339 in UTC."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from clew.api.messages import Message
from clew.model.trace import Span, SpanKind, Value, first_span, in_order

_PER_MILLISECOND = 1_000_000


class TraceSummary(Message, frozen=True, kw_only=True):
    """One trace: ``service`` and ``operation`` it began with, and the HTTP ``status`` of that.

    ``errors``: how many of its ``spans`` failed.
    """

    id: str
    start: str
    duration: float
    service: str
    operation: str
    status: int = 0
    spans: int = 0
    errors: int = 0
    services: tuple[str, ...] = ()


class TraceList(Message, frozen=True, kw_only=True):
    """The newest first."""

    items: tuple[TraceSummary, ...]


class TraceEvent(Message, frozen=True, kw_only=True):
    """``offset``: since the trace began."""

    offset: float
    name: str
    attributes: dict[str, Value] = {}


class TraceSpan(Message, frozen=True, kw_only=True):
    """``depth``: how many spans it is below. ``offset``: since the trace began."""

    id: str
    parent: str = ""
    depth: int = 0
    service: str
    operation: str
    kind: SpanKind
    offset: float
    duration: float
    status: int = 0
    error: bool = False
    message: str = ""
    attributes: dict[str, Value] = {}
    resource: dict[str, Value] = {}
    events: tuple[TraceEvent, ...] = ()


class Trace(Message, frozen=True, kw_only=True):
    """``spans``: each after the one that it is below, as a waterfall shows them."""

    summary: TraceSummary
    spans: tuple[TraceSpan, ...]


def summary(spans: Sequence[Span]) -> TraceSummary:
    """``spans``: all of one trace, at least one."""
    first, start = first_span(spans), min(span.start for span in spans)
    return TraceSummary(
        id=first.trace_id,
        start=_moment(start),
        duration=_milliseconds(max(span.end for span in spans) - start),
        service=first.service,
        operation=first.name,
        status=first.status,
        spans=len(spans),
        errors=sum(span.error for span in spans),
        services=tuple(dict.fromkeys(span.service for span in spans)),
    )


def trace(spans: Sequence[Span]) -> Trace:
    """``spans``: all of one trace, at least one."""
    start = min(span.start for span in spans)
    return Trace(
        summary=summary(spans),
        spans=tuple(_span(span, depth, start) for depth, span in in_order(spans)),
    )


def _span(span: Span, depth: int, start: int) -> TraceSpan:
    return TraceSpan(
        id=span.span_id,
        parent=span.parent_id,
        depth=depth,
        service=span.service,
        operation=span.name,
        kind=span.kind,
        offset=_milliseconds(span.start - start),
        duration=_milliseconds(span.duration),
        status=span.status,
        error=span.error,
        message=span.status_message,
        attributes=span.attributes,
        resource=span.resource,
        events=tuple(
            TraceEvent(
                offset=_milliseconds(event.at - start),
                name=event.name,
                attributes=event.attributes,
            )
            for event in span.events
        ),
    )


def _milliseconds(nanoseconds: int) -> float:
    return round(nanoseconds / _PER_MILLISECOND, 3)


def _moment(nanoseconds: int) -> str:
    """Clocks of those who send may say anything; a year that nobody can write is 1970."""
    try:
        moment = datetime.fromtimestamp(nanoseconds / 1e9, UTC)
    except (OverflowError, ValueError, OSError):
        moment = datetime.fromtimestamp(0, UTC)
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")
