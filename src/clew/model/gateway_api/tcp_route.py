"""TCPRoute: where the connections of a TCP listener go."""

from __future__ import annotations

from clew.model.base import Model, Resource
from clew.model.gateway_api.references import BackendRef, ParentReference
from clew.model.gateway_api.route import UseDefaultGateways


class TCPRouteRule(Model, frozen=True, kw_only=True):
    name: str | None = None
    backend_refs: tuple[BackendRef, ...]


class TCPRouteSpec(Model, frozen=True, kw_only=True):
    parent_refs: tuple[ParentReference, ...] = ()
    use_default_gateways: UseDefaultGateways | None = None
    rules: tuple[TCPRouteRule, ...]


class KubernetesTCPRoute(Resource, frozen=True, kw_only=True):
    spec: TCPRouteSpec
