"""UDPRoute: where the datagrams of a UDP listener go. Istio makes nothing of it."""

from __future__ import annotations

from clew.model.base import Model, Resource
from clew.model.gateway_api.references import BackendRef, ParentReference
from clew.model.gateway_api.route import UseDefaultGateways


class UDPRouteRule(Model, frozen=True, kw_only=True):
    name: str | None = None
    backend_refs: tuple[BackendRef, ...]


class UDPRouteSpec(Model, frozen=True, kw_only=True):
    parent_refs: tuple[ParentReference, ...] = ()
    use_default_gateways: UseDefaultGateways | None = None
    rules: tuple[UDPRouteRule, ...]


class UDPRoute(Resource, frozen=True, kw_only=True):
    spec: UDPRouteSpec
