"""A VirtualService's ``retries`` as Envoy's retry policy."""

from __future__ import annotations

from clew._pb.envoy.config.route.v3.route_components_pb2 import RetryPolicy
from clew._pb.envoy.extensions.retry.host.previous_hosts.v3.previous_hosts_pb2 import (
    PreviousHostsPredicate,
)
from clew._pb.envoy.extensions.retry.priority.previous_priorities.v3 import (
    previous_priorities_config_pb2,
)
from clew.compile.typed_config import typed_config
from clew.model.virtual_service import HTTPRetry

DEFAULT_RETRY_ON = "connect-failure,refused-stream,unavailable,cancelled,retriable-status-codes"
_NAMED_STATUSES = "retriable-status-codes"
# A retry that picks the host that has just failed is hardly one: pick again, at most so often.
_HOST_SELECTION_ATTEMPTS = 5


def compile_retries(
    declared: HTTPRetry | None, default: HTTPRetry | None, *, hashed: bool = False
) -> RetryPolicy | None:
    """Return the policy of a route; None when it does not retry.

    Without a declaration the mesh's default holds, and without that two retries of what cannot
    have been processed. Where a hash of the request chooses the host (``hashed``), a retry may go
    back to the same one, unless that is ruled out by name. ``attempts: 0`` turns retries off.
    Source: istio ``retry.ConvertPolicy``.
    """
    retries = declared or default or HTTPRetry(attempts=2)
    if (retries.attempts or 0) <= 0:
        return None
    policy = RetryPolicy(host_selection_retry_max_attempts=_HOST_SELECTION_ATTEMPTS)
    policy.num_retries.value = retries.attempts or 0
    _set_conditions(policy, retries.retry_on or DEFAULT_RETRY_ON)
    elsewhere = retries.retry_ignore_previous_hosts
    if not hashed if elsewhere is None else elsewhere:
        policy.retry_host_predicate.add(
            name="envoy.retry_host_predicates.previous_hosts",
            typed_config=typed_config(PreviousHostsPredicate()),
        )
    if retries.per_try_timeout is not None:
        policy.per_try_timeout.FromTimedelta(retries.per_try_timeout.timedelta)
    if retries.backoff is not None:
        policy.retry_back_off.base_interval.FromTimedelta(retries.backoff.timedelta)
    if retries.retry_remote_localities:
        priorities = previous_priorities_config_pb2.PreviousPrioritiesConfig(update_frequency=2)
        policy.retry_priority.name = "envoy.retry_priorities.previous_priorities"
        policy.retry_priority.typed_config.CopyFrom(typed_config(priorities))
    return policy


def _set_conditions(policy: RetryPolicy, text: str) -> None:
    """Numbers among the conditions are status codes, which Envoy keeps in a list of their own."""
    parts = [part.strip() for part in text.split(",") if part.strip()]
    statuses = [int(part) for part in parts if part.isdigit()]
    conditions = [part for part in parts if not part.isdigit()]
    if statuses and _NAMED_STATUSES not in conditions:
        conditions.append(_NAMED_STATUSES)
    policy.retry_on = ",".join(conditions)
    policy.retriable_status_codes.extend(statuses)
