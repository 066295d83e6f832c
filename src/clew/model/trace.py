"""Spans: what a proxy or a program tells of its part in one request.

Source: https://opentelemetry.io/docs/specs/otel/trace/api/, and its conventions for HTTP.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import msgspec

Value = str | int | float | bool
SpanKind = Literal["unspecified", "internal", "server", "client", "producer", "consumer"]

SERVICE_NAME = "service.name"
UNKNOWN_SERVICE = "unknown_service"
# The status of a response, by the older convention, which Envoy keeps to, and the newer one.
_STATUS = ("http.status_code", "http.response.status_code")


class SpanEvent(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """Something that happened ``at`` a moment, in nanoseconds since 1970."""

    at: int
    name: str
    attributes: dict[str, Value] = {}


class Span(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """One span. Ids are hexadecimal; ``parent_id`` "" is of a trace's first span.

    ``start`` and ``duration``: nanoseconds, since 1970 and in all. ``resource``: who tells this;
    ``service`` is its name.
    """

    trace_id: str
    span_id: str
    parent_id: str = ""
    service: str = UNKNOWN_SERVICE
    name: str = ""
    kind: SpanKind = "unspecified"
    start: int = 0
    duration: int = 0
    error: bool = False
    status_message: str = ""
    attributes: dict[str, Value] = {}
    resource: dict[str, Value] = {}
    events: tuple[SpanEvent, ...] = ()

    @property
    def end(self) -> int:
        return self.start + self.duration

    @property
    def status(self) -> int:
        """The status of the HTTP response, 0 if there was none."""
        text = next((self.attributes[name] for name in _STATUS if name in self.attributes), 0)
        return int(text) if str(text).isdecimal() else 0


@dataclass(frozen=True, slots=True, kw_only=True)
class TraceQuery:
    """Which traces are wanted: all that is set must be true of one.

    ``service`` and ``operation``: of one of its spans. ``status``: the HTTP status of one of its
    spans, of that service if one is named; ``errors``: one of them failed. Durations are of the
    whole trace, and ``since`` ≤ start < ``until``: nanoseconds.
    """

    service: str = ""
    operation: str = ""
    errors: bool = False
    status: int = 0
    min_duration: int = 0
    max_duration: int = 0
    since: int = 0
    until: int = 0
    limit: int = 20


def first_span(spans: Sequence[Span]) -> Span:
    """The span that a trace began with, as far as it is known. ``spans`` must not be empty."""
    known = {span.span_id for span in spans}
    roots = [span for span in spans if span.parent_id not in known]
    return min(roots or spans, key=lambda span: (bool(span.parent_id), span.start))


def in_order(spans: Sequence[Span]) -> list[tuple[int, Span]]:
    """Each span with its depth, callers before those they call, and early ones before late ones.

    Spans whose parent is missing, or that are their own ancestors, begin anew at depth 0.
    """
    known = {span.span_id for span in spans}
    children: dict[str, list[Span]] = {}
    for span in sorted(spans, key=lambda span: (span.start, -span.duration)):
        children.setdefault(span.parent_id if span.parent_id in known else "", []).append(span)
    found: list[tuple[int, Span]] = []
    done: set[str] = set()
    for root in (*children.get("", ()), *sorted(spans, key=lambda span: span.start)):
        waiting = [(0, root)]
        while waiting:
            depth, span = waiting.pop()
            if span.span_id not in done:
                done.add(span.span_id)
                found.append((depth, span))
                below = children.get(span.span_id, ())
                waiting += [(depth + 1, child) for child in reversed(below)]
    return found
