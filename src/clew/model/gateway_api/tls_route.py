"""TLSRoute: where TLS connections go, by the name that the client asks for (SNI)."""

from __future__ import annotations

from clew.model.base import Model, Resource
from clew.model.gateway_api.references import BackendRef, ParentReference
from clew.model.gateway_api.route import UseDefaultGateways


class TLSRouteRule(Model, frozen=True, kw_only=True):
    name: str | None = None
    backend_refs: tuple[BackendRef, ...]


class TLSRouteSpec(Model, frozen=True, kw_only=True):
    parent_refs: tuple[ParentReference, ...] = ()
    use_default_gateways: UseDefaultGateways | None = None
    hostnames: tuple[str, ...] = ()
    rules: tuple[TLSRouteRule, ...]


class KubernetesTLSRoute(Resource, frozen=True, kw_only=True):
    spec: TLSRouteSpec
