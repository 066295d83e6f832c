"""Which traces are let in: all, as long as they are few enough to leave the control plane time."""

from __future__ import annotations

import logging
from collections.abc import Callable

from clew._pb.opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
)

log = logging.getLogger("clew.traces")

# A span costs about a tenth of a millisecond.
MOST_SPANS_PER_SECOND = 1_500
_SECONDS = 2.0
_WHOLE = 1 << 32


class Admission:
    """Lets in a share of traces, and each as a whole, whoever sends its parts.

    The share follows from what came in the seconds before. ``now``: seconds of a clock that nobody
    sets.
    """

    def __init__(self, now: Callable[[], float], most: int = MOST_SPANS_PER_SECOND) -> None:
        self._now = now
        self._most = most
        self._since = now()
        self._heard = 0
        self.share = 1.0

    def wanted(self, request: ExportTraceServiceRequest) -> Callable[[bytes], bool]:
        """Count what has come, and tell which traces of it are let in."""
        self._look()
        self._heard += sum(
            len(of_scope.spans)
            for of_resource in request.resource_spans
            for of_scope in of_resource.scope_spans
        )
        if self.share == 1.0:
            return lambda trace_id: True
        # Ids are random at their end. Source: W3C Trace Context.
        end = int(self.share * _WHOLE)
        return lambda trace_id: int.from_bytes(trace_id[-4:]) < end

    def _look(self) -> None:
        passed = self._now() - self._since
        if passed < _SECONDS:
            return
        share = min(1.0, self._most * passed / self._heard) if self._heard else 1.0
        if (share == 1.0) is not (self.share == 1.0):
            log.warning("traces share=%.3f spans_per_second=%.0f", share, self._heard / passed)
        self.share, self._since, self._heard = share, self._now(), 0
