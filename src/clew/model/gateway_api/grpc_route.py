"""GRPCRoute: where gRPC calls go."""

from __future__ import annotations

from enum import StrEnum

from clew.model.base import Model, Resource
from clew.model.gateway_api.references import LocalObjectReference, ParentReference
from clew.model.gateway_api.route import (
    HeaderMatchType,
    HTTPHeaderFilter,
    HTTPRequestMirrorFilter,
    UseDefaultGateways,
)
from clew.model.gateway_api.session_persistence import SessionPersistence


class GRPCRouteFilterType(StrEnum):
    REQUEST_HEADER_MODIFIER = "RequestHeaderModifier"
    RESPONSE_HEADER_MODIFIER = "ResponseHeaderModifier"
    REQUEST_MIRROR = "RequestMirror"
    EXTENSION_REF = "ExtensionRef"


class GRPCRouteFilter(Model, frozen=True, kw_only=True):
    """``type`` names the one field that is set."""

    type: GRPCRouteFilterType
    request_header_modifier: HTTPHeaderFilter | None = None
    response_header_modifier: HTTPHeaderFilter | None = None
    request_mirror: HTTPRequestMirrorFilter | None = None
    extension_ref: LocalObjectReference | None = None


class GRPCMethodMatch(Model, frozen=True, kw_only=True):
    type: HeaderMatchType = HeaderMatchType.EXACT
    service: str | None = None
    method: str | None = None


class GRPCHeaderMatch(Model, frozen=True, kw_only=True):
    type: HeaderMatchType = HeaderMatchType.EXACT
    name: str
    value: str


class GRPCRouteMatch(Model, frozen=True, kw_only=True):
    """Without a ``method``, any service and method."""

    method: GRPCMethodMatch | None = None
    headers: tuple[GRPCHeaderMatch, ...] = ()


class GRPCBackendRef(Model, frozen=True, kw_only=True):
    group: str = ""
    kind: str = "Service"
    name: str
    namespace: str | None = None
    port: int | None = None
    weight: int = 1
    filters: tuple[GRPCRouteFilter, ...] = ()


class GRPCRouteRule(Model, frozen=True, kw_only=True):
    """Without ``matches``, every call."""

    name: str | None = None
    matches: tuple[GRPCRouteMatch, ...] = ()
    filters: tuple[GRPCRouteFilter, ...] = ()
    backend_refs: tuple[GRPCBackendRef, ...] = ()
    session_persistence: SessionPersistence | None = None


class GRPCRouteSpec(Model, frozen=True, kw_only=True):
    parent_refs: tuple[ParentReference, ...] = ()
    use_default_gateways: UseDefaultGateways | None = None
    hostnames: tuple[str, ...] = ()
    rules: tuple[GRPCRouteRule, ...] = ()


class GRPCRoute(Resource, frozen=True, kw_only=True):
    spec: GRPCRouteSpec = GRPCRouteSpec()
