"""Which workloads a security policy is for: by its namespace, its selector or its targets."""

from __future__ import annotations

from collections.abc import Mapping

from clew.model.authorization_policy import AuthorizationPolicy
from clew.model.base import Resource
from clew.model.proxy import Proxy, ProxyType
from clew.model.request_authentication import RequestAuthentication
from clew.model.selectors import PolicyTargetReference
from clew.snapshot.labels import selects

# The label of the router that serves a Gateway of the Gateway API.
_GATEWAY_NAME = "gateway.networking.k8s.io/gateway-name"


def binds(
    policy: AuthorizationPolicy | RequestAuthentication, proxy: Proxy, root_namespace: str
) -> bool:
    """Whether a proxy is to enforce a policy.

    Targets other than a Gateway are for waypoints, so no sidecar and no router has anything to
    do with them. Source: istio ``ShouldAttachPolicy``.
    """
    spec, namespace, labels = policy.spec, policy.metadata.namespace, dict(proxy.labels)
    if namespace not in (proxy.namespace, root_namespace):
        return False
    if targets := targets_of(policy):
        same = namespace == proxy.namespace
        return same and any(_targets(each, proxy, labels) for each in targets)
    return selects(spec.selector.match_labels if spec.selector else {}, labels)


def targets_of(policy: Resource) -> tuple[PolicyTargetReference, ...]:
    """Return what a policy is attached to, instead of selecting workloads."""
    spec = getattr(policy, "spec", None)
    several: tuple[PolicyTargetReference, ...] = getattr(spec, "target_refs", ())
    one: PolicyTargetReference | None = getattr(spec, "target_ref", None)
    return several or ((one,) if one is not None else ())


def _targets(target: PolicyTargetReference, proxy: Proxy, labels: Mapping[str, str]) -> bool:
    router = proxy.type is ProxyType.ROUTER
    return router and target.kind == "Gateway" and labels.get(_GATEWAY_NAME) == target.name
