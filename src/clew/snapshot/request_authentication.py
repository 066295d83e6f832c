"""Which tokens a workload accepts: the rules of all policies that select it, together."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from clew.model.proxy import Proxy, ProxyType
from clew.model.request_authentication import JWTRule, RequestAuthentication
from clew.model.selectors import PolicyTargetReference
from clew.snapshot.labels import selects

# The label of the router that serves a Gateway of the Gateway API.
_GATEWAY_NAME = "gateway.networking.k8s.io/gateway-name"


def token_rules(
    policies: Iterable[RequestAuthentication], proxy: Proxy, root_namespace: str
) -> tuple[JWTRule, ...]:
    """Return the rules, ordered by issuer so that they do not depend on the policies' order.

    Source: istio's composition of RequestAuthentication.
    """
    found = [
        rule
        for policy in sorted(policies, key=lambda each: each.key)
        if policy.metadata.namespace in (proxy.namespace, root_namespace)
        and _selects(policy, proxy)
        for rule in policy.spec.jwt_rules
    ]
    return tuple(sorted(found, key=lambda rule: rule.issuer))


def _selects(policy: RequestAuthentication, proxy: Proxy) -> bool:
    spec, labels = policy.spec, dict(proxy.labels)
    targets = spec.target_refs or ((spec.target_ref,) if spec.target_ref else ())
    if targets:
        same = policy.metadata.namespace == proxy.namespace
        return same and any(_targets(each, proxy, labels) for each in targets)
    return selects(spec.selector.match_labels if spec.selector else {}, labels)


def _targets(target: PolicyTargetReference, proxy: Proxy, labels: Mapping[str, str]) -> bool:
    router = proxy.type is ProxyType.ROUTER
    return router and target.kind == "Gateway" and labels.get(_GATEWAY_NAME) == target.name
