"""Whom a change reaches: which classes of proxies may get other configuration by it."""

from __future__ import annotations

from collections.abc import Callable

from clew.model.proxy import Proxy
from clew.model.virtual_service import VirtualService
from clew.snapshot.export import visible
from clew.snapshot.rule_index import export_of
from clew.snapshot.scope import ProxyScope
from clew.snapshot.sidecars import imports_rule
from clew.snapshot.snapshot import EVERYWHERE, Dirty
from clew.snapshot.virtual_services import MESH


def may_move(dirty: Dirty) -> Callable[[Proxy], bool]:
    """Return which proxies a change may give another scope key."""
    places = dirty.namespaces | dirty.patched | dirty.policies
    addresses = dirty.addresses
    if dirty.everything or EVERYWHERE in places:
        return lambda proxy: True
    return lambda proxy: (
        proxy.namespace in places
        or proxy.ip in addresses
        or not addresses.isdisjoint(proxy.extra_ips)
    )


def affects(dirty: Dirty, scope: ProxyScope) -> bool:
    """Whether a change may concern proxies of this scope."""
    if may_move(dirty)(scope.proxy):
        return True
    served = {port.service.key for port in scope.inbound.ports} if scope.inbound else set()
    known = scope.outbound.endpoints
    return (
        any(visible(service.export_to, scope.proxy.namespace) for service in dirty.services)
        or any(key in known or key in served for key in dirty.ruled | dirty.endpoints)
        or any(_concerns(rule, scope) for rule in dirty.rules)
        or (dirty.gateways and (scope.gateway is not None or bool(scope.outbound.credentials)))
    )


def _concerns(rule: VirtualService, scope: ProxyScope) -> bool:
    """Whether proxies of a scope may use a rule."""
    namespace = scope.proxy.namespace
    if not visible(export_of(rule, scope.outbound.mesh), namespace):
        return False
    if scope.gateway is not None:
        own = {
            f"{m.namespace}/{m.name}" for s in scope.gateway.servers if (m := s.gateway.metadata)
        }
        return not own.isdisjoint(rule.spec.gateways)
    return MESH in rule.spec.gateways and any(
        listener.declared is None or imports_rule(listener.declared, rule, namespace)
        for listener in scope.outbound.egress
    )
