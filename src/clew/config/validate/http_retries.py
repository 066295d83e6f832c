"""Istio's rules for retries of HTTP requests."""

from __future__ import annotations

from collections.abc import Iterator
from http import HTTPStatus

from clew.config.finding import FieldPath, Finding
from clew.config.validate.scalars import check_duration
from clew.model.virtual_service import HTTPRetry

_RETRY_ON = frozenset(
    "5xx gateway-error reset reset-before-request connect-failure retriable-4xx refused-stream "
    "retriable-status-codes retriable-headers envoy-ratelimited http3-post-connect-failure "
    "cancelled deadline-exceeded internal resource-exhausted unavailable".split()
)
_STATUSES = frozenset(str(status.value) for status in HTTPStatus)


def check_retries(retries: HTTPRetry, path: FieldPath) -> Iterator[Finding]:
    attempts = retries.attempts or 0
    if not 0 <= attempts < 2**31:
        yield Finding((*path, "attempts"), f"{attempts} is not a number of attempts")
    others = (retries.per_try_timeout, retries.retry_on or None, retries.retry_remote_localities)
    if attempts == 0 and any(other is not None for other in others):
        yield Finding(path, "with attempts: 0 nothing is retried, so the rest has no effect")
    yield from check_duration(retries.per_try_timeout, (*path, "perTryTimeout"))
    yield from check_duration(retries.backoff, (*path, "backoff"))
    for condition in (c.strip() for c in (retries.retry_on or "").split(",")):
        if condition and condition not in _RETRY_ON | _STATUSES:
            yield Finding((*path, "retryOn"), f'"{condition}" is not a retry condition')
