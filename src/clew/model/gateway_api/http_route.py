"""HTTPRoute of the Gateway API: where HTTP requests go.

Istio's VirtualService has messages named HTTPRoute and HTTPMatchRequest; these are others.
"""

from __future__ import annotations

from enum import StrEnum

from clew.model.base import Model, Resource
from clew.model.gateway_api.duration import GatewayDuration
from clew.model.gateway_api.http_filters import HTTPRouteFilter
from clew.model.gateway_api.references import ParentReference
from clew.model.gateway_api.route import HeaderMatchType, UseDefaultGateways
from clew.model.gateway_api.session_persistence import SessionPersistence


class PathMatchType(StrEnum):
    EXACT = "Exact"
    PATH_PREFIX = "PathPrefix"
    REGULAR_EXPRESSION = "RegularExpression"


class HTTPMethod(StrEnum):
    GET = "GET"
    HEAD = "HEAD"
    POST = "POST"
    PUT = "PUT"
    DELETE = "DELETE"
    CONNECT = "CONNECT"
    OPTIONS = "OPTIONS"
    TRACE = "TRACE"
    PATCH = "PATCH"


class HTTPPathMatch(Model, frozen=True, kw_only=True):
    type: PathMatchType = PathMatchType.PATH_PREFIX
    value: str = "/"


class HTTPHeaderMatch(Model, frozen=True, kw_only=True):
    type: HeaderMatchType = HeaderMatchType.EXACT
    name: str
    value: str


class HTTPQueryParamMatch(Model, frozen=True, kw_only=True):
    type: HeaderMatchType = HeaderMatchType.EXACT
    name: str
    value: str


class HTTPRouteMatch(Model, frozen=True, kw_only=True):
    path: HTTPPathMatch = HTTPPathMatch()
    headers: tuple[HTTPHeaderMatch, ...] = ()
    query_params: tuple[HTTPQueryParamMatch, ...] = ()
    method: HTTPMethod | None = None


class HTTPBackendRef(Model, frozen=True, kw_only=True):
    group: str = ""
    kind: str = "Service"
    name: str
    namespace: str | None = None
    port: int | None = None
    weight: int = 1
    filters: tuple[HTTPRouteFilter, ...] = ()


class HTTPRouteTimeouts(Model, frozen=True, kw_only=True):
    request: GatewayDuration | None = None
    backend_request: GatewayDuration | None = None


class HTTPRouteRetry(Model, frozen=True, kw_only=True):
    codes: tuple[int, ...] = ()
    attempts: int | None = None
    backoff: GatewayDuration | None = None


class HTTPRouteRule(Model, frozen=True, kw_only=True):
    name: str | None = None
    matches: tuple[HTTPRouteMatch, ...] = (HTTPRouteMatch(),)
    filters: tuple[HTTPRouteFilter, ...] = ()
    backend_refs: tuple[HTTPBackendRef, ...] = ()
    timeouts: HTTPRouteTimeouts | None = None
    retry: HTTPRouteRetry | None = None
    session_persistence: SessionPersistence | None = None


class HTTPRouteSpec(Model, frozen=True, kw_only=True):
    parent_refs: tuple[ParentReference, ...] = ()
    use_default_gateways: UseDefaultGateways | None = None
    hostnames: tuple[str, ...] = ()
    rules: tuple[HTTPRouteRule, ...] = (HTTPRouteRule(),)


class KubernetesHTTPRoute(Resource, frozen=True, kw_only=True):
    spec: HTTPRouteSpec = HTTPRouteSpec()
