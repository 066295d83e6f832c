"""XBackendTrafficPolicy: retry budgets and sessions of a backend. Experimental."""

from __future__ import annotations

from clew.model.base import Model, Resource
from clew.model.gateway_api.duration import GatewayDuration
from clew.model.gateway_api.references import LocalPolicyTargetReference
from clew.model.gateway_api.session_persistence import SessionPersistence


class BudgetDetails(Model, frozen=True, kw_only=True):
    percent: int = 20
    interval: GatewayDuration = GatewayDuration.parse("10s")


class RequestRate(Model, frozen=True, kw_only=True):
    count: int | None = None
    interval: GatewayDuration | None = None


class RetryConstraint(Model, frozen=True, kw_only=True):
    budget: BudgetDetails = BudgetDetails()
    min_retry_rate: RequestRate = RequestRate(count=10, interval=GatewayDuration.parse("1s"))


class BackendTrafficPolicySpec(Model, frozen=True, kw_only=True):
    target_refs: tuple[LocalPolicyTargetReference, ...]
    retry_constraint: RetryConstraint | None = None
    session_persistence: SessionPersistence | None = None


class XBackendTrafficPolicy(Resource, frozen=True, kw_only=True):
    spec: BackendTrafficPolicySpec
