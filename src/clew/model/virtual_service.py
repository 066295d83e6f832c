"""VirtualService: how requests to a host are routed."""

from __future__ import annotations

from enum import StrEnum

from clew.model.base import Model, Resource
from clew.model.duration import Duration


class PortSelector(Model, frozen=True, kw_only=True):
    number: int | None = None


class Destination(Model, frozen=True, kw_only=True):
    host: str
    subset: str = ""
    port: PortSelector | None = None


class StringMatch(Model, frozen=True, kw_only=True):
    """One of ``exact``, ``prefix`` and ``regex``; none of them matches presence."""

    exact: str | None = None
    prefix: str | None = None
    regex: str | None = None


class Percent(Model, frozen=True, kw_only=True):
    value: float | None = None


class HeaderOperations(Model, frozen=True, kw_only=True):
    set: dict[str, str] = {}
    add: dict[str, str] = {}
    remove: tuple[str, ...] = ()


class Headers(Model, frozen=True, kw_only=True):
    request: HeaderOperations | None = None
    response: HeaderOperations | None = None


class HTTPRouteDestination(Model, frozen=True, kw_only=True):
    destination: Destination
    weight: int | None = None
    headers: Headers | None = None


class RouteDestination(Model, frozen=True, kw_only=True):
    destination: Destination
    weight: int | None = None


class Delegate(Model, frozen=True, kw_only=True):
    name: str = ""
    namespace: str = ""


class HTTPMatchRequest(Model, frozen=True, kw_only=True):
    """All conditions must hold."""

    name: str = ""
    uri: StringMatch | None = None
    scheme: StringMatch | None = None
    method: StringMatch | None = None
    authority: StringMatch | None = None
    headers: dict[str, StringMatch] = {}
    without_headers: dict[str, StringMatch] = {}
    query_params: dict[str, StringMatch] = {}
    port: int | None = None
    source_labels: dict[str, str] = {}
    source_namespace: str = ""
    gateways: tuple[str, ...] = ()
    ignore_uri_case: bool | None = None
    stat_prefix: str = ""


class DerivePort(StrEnum):
    FROM_PROTOCOL_DEFAULT = "FROM_PROTOCOL_DEFAULT"
    FROM_REQUEST_PORT = "FROM_REQUEST_PORT"


class HTTPRedirect(Model, frozen=True, kw_only=True):
    uri: str = ""
    prefix_rewrite: str = ""
    authority: str = ""
    port: int | None = None
    derive_port: DerivePort | None = None
    scheme: str = ""
    redirect_code: int | None = None


class HTTPBody(Model, frozen=True, kw_only=True):
    string: str | None = None
    bytes: str | None = None


class HTTPDirectResponse(Model, frozen=True, kw_only=True):
    status: int
    body: HTTPBody | None = None


class RegexRewrite(Model, frozen=True, kw_only=True):
    match: str = ""
    rewrite: str = ""


class HTTPRewrite(Model, frozen=True, kw_only=True):
    uri: str = ""
    authority: str = ""
    uri_regex_rewrite: RegexRewrite | None = None


class HTTPRetry(Model, frozen=True, kw_only=True):
    attempts: int | None = None
    per_try_timeout: Duration | None = None
    retry_on: str = ""
    retry_remote_localities: bool | None = None
    retry_ignore_previous_hosts: bool | None = None
    backoff: Duration | None = None


class FaultDelay(Model, frozen=True, kw_only=True):
    fixed_delay: Duration | None = None
    exponential_delay: Duration | None = None
    percent: int | None = None
    percentage: Percent | None = None


class FaultAbort(Model, frozen=True, kw_only=True):
    http_status: int | None = None
    grpc_status: str | None = None
    http2_error: str | None = None
    percentage: Percent | None = None


class HTTPFaultInjection(Model, frozen=True, kw_only=True):
    delay: FaultDelay | None = None
    abort: FaultAbort | None = None


class HTTPMirrorPolicy(Model, frozen=True, kw_only=True):
    destination: Destination
    percentage: Percent | None = None


class UnmatchedPreflights(StrEnum):
    UNSPECIFIED = "UNSPECIFIED"
    FORWARD = "FORWARD"
    IGNORE = "IGNORE"


class CorsPolicy(Model, frozen=True, kw_only=True):
    allow_origins: tuple[StringMatch, ...] = ()
    allow_origin: tuple[str, ...] = ()
    allow_methods: tuple[str, ...] = ()
    allow_headers: tuple[str, ...] = ()
    expose_headers: tuple[str, ...] = ()
    max_age: Duration | None = None
    allow_credentials: bool | None = None
    unmatched_preflights: UnmatchedPreflights | None = None


class HTTPRoute(Model, frozen=True, kw_only=True):
    name: str = ""
    match: tuple[HTTPMatchRequest, ...] = ()
    route: tuple[HTTPRouteDestination, ...] = ()
    redirect: HTTPRedirect | None = None
    direct_response: HTTPDirectResponse | None = None
    delegate: Delegate | None = None
    rewrite: HTTPRewrite | None = None
    timeout: Duration | None = None
    retries: HTTPRetry | None = None
    fault: HTTPFaultInjection | None = None
    mirror: Destination | None = None
    mirrors: tuple[HTTPMirrorPolicy, ...] = ()
    mirror_percent: int | None = None
    mirror_percentage: Percent | None = None
    cors_policy: CorsPolicy | None = None
    headers: Headers | None = None


class TLSMatchAttributes(Model, frozen=True, kw_only=True):
    sni_hosts: tuple[str, ...]
    destination_subnets: tuple[str, ...] = ()
    port: int | None = None
    source_labels: dict[str, str] = {}
    source_namespace: str = ""
    gateways: tuple[str, ...] = ()


class TLSRoute(Model, frozen=True, kw_only=True):
    match: tuple[TLSMatchAttributes, ...]
    route: tuple[RouteDestination, ...] = ()


class L4MatchAttributes(Model, frozen=True, kw_only=True):
    destination_subnets: tuple[str, ...] = ()
    port: int | None = None
    source_subnet: str = ""
    source_labels: dict[str, str] = {}
    source_namespace: str = ""
    gateways: tuple[str, ...] = ()


class TCPRoute(Model, frozen=True, kw_only=True):
    match: tuple[L4MatchAttributes, ...] = ()
    route: tuple[RouteDestination, ...] = ()


class VirtualServiceSpec(Model, frozen=True, kw_only=True):
    hosts: tuple[str, ...] = ()
    gateways: tuple[str, ...] = ()
    http: tuple[HTTPRoute, ...] = ()
    tls: tuple[TLSRoute, ...] = ()
    tcp: tuple[TCPRoute, ...] = ()
    export_to: tuple[str, ...] = ()


class VirtualService(Resource, frozen=True, kw_only=True):
    spec: VirtualServiceSpec = VirtualServiceSpec()
