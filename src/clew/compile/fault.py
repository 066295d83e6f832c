"""A VirtualService's ``fault``: delays and aborts for a share of the requests."""

from __future__ import annotations

from clew._pb.envoy.extensions.filters.common.fault.v3.fault_pb2 import FaultDelay
from clew._pb.envoy.extensions.filters.http.fault.v3.fault_pb2 import FaultAbort, HTTPFault
from clew._pb.envoy.type.v3.percent_pb2 import FractionalPercent
from clew.model.virtual_service import HTTPFaultInjection, Percent

FILTER = "envoy.filters.http.fault"
_GRPC = (
    "OK CANCELLED UNKNOWN INVALID_ARGUMENT DEADLINE_EXCEEDED NOT_FOUND ALREADY_EXISTS "
    "PERMISSION_DENIED RESOURCE_EXHAUSTED FAILED_PRECONDITION ABORTED OUT_OF_RANGE UNIMPLEMENTED "
    "INTERNAL UNAVAILABLE DATA_LOSS UNAUTHENTICATED"
).split()


def fraction(percent: Percent | None) -> FractionalPercent:
    """Return a percentage in millionths. An absent one is 0: Istio never guesses 100."""
    value = percent.value if percent is not None and percent.value is not None else 0.0
    return FractionalPercent(numerator=round(value * 10_000), denominator=FractionalPercent.MILLION)


def compile_fault(fault: HTTPFaultInjection) -> HTTPFault:
    compiled = HTTPFault()
    if (delay := fault.delay) is not None and delay.fixed_delay is not None:
        share = delay.percentage or _whole(delay.percent)
        compiled.delay.CopyFrom(FaultDelay(percentage=fraction(share)))
        compiled.delay.fixed_delay.FromTimedelta(delay.fixed_delay.timedelta)
    if (abort := fault.abort) is not None:
        compiled.abort.CopyFrom(FaultAbort(percentage=fraction(abort.percentage)))
        if abort.grpc_status in _GRPC:
            compiled.abort.grpc_status = _GRPC.index(abort.grpc_status)
        elif abort.http_status is not None:
            compiled.abort.http_status = abort.http_status
    return compiled


def _whole(percent: int | None) -> Percent | None:
    return None if percent is None else Percent(value=float(percent))
