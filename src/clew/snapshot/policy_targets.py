"""Which workloads a policy is for: by its namespace, its selector or its targets."""

from __future__ import annotations

from collections.abc import Iterable

from clew.model.authorization_policy import AuthorizationPolicy
from clew.model.base import Resource, ResourceKey, age_order
from clew.model.peer_authentication import PeerAuthentication
from clew.model.proxy import Proxy, ProxyType
from clew.model.request_authentication import RequestAuthentication
from clew.model.selectors import PolicyTargetReference
from clew.model.telemetry import Telemetry
from clew.snapshot.labels import selects

# The label of the router that serves a Gateway of the Gateway API.
_GATEWAY_NAME = "gateway.networking.k8s.io/gateway-name"


def binds(
    policy: AuthorizationPolicy | RequestAuthentication | Telemetry,
    proxy: Proxy,
    root_namespace: str,
) -> bool:
    """Whether a proxy is to enforce a policy.

    Targets other than a Gateway are for waypoints, so no sidecar and no router has anything to
    do with them. Source: istio ``ShouldAttachPolicy``.
    """
    spec, namespace = policy.spec, policy.metadata.namespace
    if namespace not in (proxy.namespace, root_namespace):
        return False
    if targets := targets_of(policy):
        return is_target(proxy, targets, namespace)
    return selects(spec.selector.match_labels if spec.selector else {}, dict(proxy.labels))


def overruled(policies: Iterable[Resource]) -> dict[ResourceKey, Resource]:
    """Of one namespace's ``policies`` those that count for nobody, and the older one that does.

    Of PeerAuthentications and Telemetries for all workloads of a namespace, or of the mesh, only
    the oldest counts. Source: istio.
    """
    found: dict[ResourceKey, Resource] = {}
    first: dict[type[Resource], Resource] = {}
    for policy in sorted(filter(_is_for_all, policies), key=age_order):
        older = first.setdefault(type(policy), policy)
        if older is not policy:
            found[policy.key] = older
    return found


def _is_for_all(policy: Resource) -> bool:
    if not isinstance(policy, (PeerAuthentication, Telemetry)):
        return False
    selector = policy.spec.selector
    return not targets_of(policy) and (selector is None or not selector.match_labels)


def targets_of(policy: Resource) -> tuple[PolicyTargetReference, ...]:
    """Return what a policy is attached to, instead of selecting workloads."""
    spec = getattr(policy, "spec", None)
    several: tuple[PolicyTargetReference, ...] = getattr(spec, "target_refs", ())
    one: PolicyTargetReference | None = getattr(spec, "target_ref", None)
    return several or ((one,) if one is not None else ())


def is_target(proxy: Proxy, targets: Iterable[PolicyTargetReference], namespace: str) -> bool:
    """Whether a proxy serves a Gateway of the Gateway API that an object of ``namespace`` targets.

    Gateways of other namespaces cannot be targets, not even of the root namespace's objects.
    """
    if proxy.type is not ProxyType.ROUTER or namespace != proxy.namespace:
        return False
    served = ("gateway.networking.k8s.io", "Gateway", dict(proxy.labels).get(_GATEWAY_NAME))
    return any((each.group, each.kind, each.name) == served for each in targets)
