"""Rules for faults that an HTTP route injects, for mirrors and for cross-origin requests."""

from __future__ import annotations

from collections.abc import Iterator

from clew.config.finding import FieldPath, Finding
from clew.config.validate.destinations import check_destination
from clew.config.validate.http_headers import check_names
from clew.config.validate.route_matches import check_string_match
from clew.config.validate.scalars import check_duration, check_range
from clew.model.virtual_service import (
    CorsPolicy,
    FaultAbort,
    FaultDelay,
    HTTPFaultInjection,
    HTTPRoute,
    Percent,
)

_METHODS = frozenset("GET HEAD POST PUT PATCH DELETE CONNECT OPTIONS TRACE *".split())
_GRPC_STATUSES = frozenset(
    "OK CANCELLED UNKNOWN INVALID_ARGUMENT DEADLINE_EXCEEDED NOT_FOUND ALREADY_EXISTS "
    "PERMISSION_DENIED RESOURCE_EXHAUSTED FAILED_PRECONDITION ABORTED OUT_OF_RANGE UNIMPLEMENTED "
    "INTERNAL UNAVAILABLE DATA_LOSS UNAUTHENTICATED".split()
)


def check_fault(fault: HTTPFaultInjection, path: FieldPath) -> Iterator[Finding]:
    if fault.delay is None and fault.abort is None:
        yield Finding(path, "set delay, abort or both")
    if fault.delay is not None:
        yield from _check_delay(fault.delay, (*path, "delay"))
    if fault.abort is not None:
        yield from _check_abort(fault.abort, (*path, "abort"))


def _check_delay(delay: FaultDelay, path: FieldPath) -> Iterator[Finding]:
    if delay.exponential_delay is not None:
        yield Finding((*path, "exponentialDelay"), "Istio does not know this kind of delay yet")
    elif delay.fixed_delay is None:
        yield Finding(path, "without fixedDelay nothing is delayed", warning=True)
    yield from check_duration(delay.fixed_delay, (*path, "fixedDelay"))
    yield from _check_percentage(delay.percentage, (*path, "percentage"))


def _check_abort(abort: FaultAbort, path: FieldPath) -> Iterator[Finding]:
    """Source: istio ``validateHTTPFaultInjectionAbort``."""
    kinds = (abort.http_status, abort.grpc_status, abort.http2_error)
    if sum(kind is not None for kind in kinds) > 1:
        yield Finding(path, "httpStatus, grpcStatus and http2Error exclude each other")
    if abort.http2_error is not None:
        yield Finding((*path, "http2Error"), "Istio does not know this kind of abort yet")
    elif abort.grpc_status is not None:
        if abort.grpc_status not in _GRPC_STATUSES:
            problem = f'"{abort.grpc_status}" is not a status of gRPC'
            yield Finding((*path, "grpcStatus"), problem, "such as NOT_FOUND")
    elif abort.http_status is None:
        problem = "without httpStatus or grpcStatus nothing is aborted"
        yield Finding(path, problem, warning=True)
    elif not 200 <= abort.http_status <= 600:
        yield Finding((*path, "httpStatus"), f"{abort.http_status} is not an HTTP status")
    yield from _check_percentage(abort.percentage, (*path, "percentage"))


def _check_percentage(percent: Percent | None, path: FieldPath) -> Iterator[Finding]:
    value = percent.value if percent is not None else None
    if value is not None and not (value == 0 or 0.0001 <= value <= 100):
        yield Finding((*path, "value"), f"{value} is neither 0 nor between 0.0001 and 100")


def check_mirrors(route: HTTPRoute, path: FieldPath) -> Iterator[Finding]:
    """``mirror`` and its percentage, or ``mirrors`` with a percentage each."""
    if route.mirror is not None:
        yield from check_destination(route.mirror, (*path, "mirror"))
        if route.mirrors:
            yield Finding((*path, "mirrors"), "set mirror or mirrors, not both")
    if route.mirror_percent is not None:
        at = (*path, "mirrorPercent")
        yield from check_range(route.mirror_percent, 0, 100, at)
        yield Finding(at, "this field is deprecated", "use mirrorPercentage", warning=True)
    if route.mirror_percentage is not None:
        yield from check_range(
            route.mirror_percentage.value, 0, 100, (*path, "mirrorPercentage", "value")
        )
    for index, mirror in enumerate(route.mirrors):
        at = (*path, "mirrors", index)
        yield from check_destination(mirror.destination, (*at, "destination"))
        if mirror.percentage is not None:
            yield from check_range(mirror.percentage.value, 0, 100, (*at, "percentage", "value"))


def check_cors(cors: CorsPolicy, path: FieldPath) -> Iterator[Finding]:
    for index, method in enumerate(cors.allow_methods):
        if method not in _METHODS:
            yield Finding((*path, "allowMethods", index), f'"{method}" is not an HTTP method')
    yield from check_duration(cors.max_age, (*path, "maxAge"))
    if cors.max_age is not None and cors.max_age.nanoseconds % 1_000_000_000:
        yield Finding((*path, "maxAge"), "must be whole seconds")
    yield from check_names(cors.allow_headers, (*path, "allowHeaders"))
    yield from check_names(cors.expose_headers, (*path, "exposeHeaders"))
    for index, origin in enumerate(cors.allow_origins):
        at = (*path, "allowOrigins", index)
        if not (origin.exact or origin.prefix or origin.regex):
            yield Finding(at, "set exact, prefix or regex")
        else:
            yield from check_string_match(origin, at)
