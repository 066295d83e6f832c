"""What an HTTPRoute does to requests and responses on their way."""

from __future__ import annotations

from enum import StrEnum

from clew.model.base import Model
from clew.model.gateway_api.references import BackendObjectReference, LocalObjectReference
from clew.model.gateway_api.route import HTTPHeaderFilter, HTTPRequestMirrorFilter


class HTTPRouteFilterType(StrEnum):
    REQUEST_HEADER_MODIFIER = "RequestHeaderModifier"
    RESPONSE_HEADER_MODIFIER = "ResponseHeaderModifier"
    REQUEST_MIRROR = "RequestMirror"
    REQUEST_REDIRECT = "RequestRedirect"
    URL_REWRITE = "URLRewrite"
    CORS = "CORS"
    EXTERNAL_AUTH = "ExternalAuth"
    EXTENSION_REF = "ExtensionRef"


class HTTPPathModifierType(StrEnum):
    REPLACE_FULL_PATH = "ReplaceFullPath"
    REPLACE_PREFIX_MATCH = "ReplacePrefixMatch"


class ExternalAuthProtocol(StrEnum):
    HTTP = "HTTP"
    GRPC = "GRPC"


class HTTPPathModifier(Model, frozen=True, kw_only=True):
    type: HTTPPathModifierType
    replace_full_path: str | None = None
    replace_prefix_match: str | None = None


class HTTPRequestRedirectFilter(Model, frozen=True, kw_only=True):
    scheme: str | None = None
    hostname: str | None = None
    path: HTTPPathModifier | None = None
    port: int | None = None
    status_code: int = 302


class HTTPURLRewriteFilter(Model, frozen=True, kw_only=True):
    hostname: str | None = None
    path: HTTPPathModifier | None = None


class HTTPCORSFilter(Model, frozen=True, kw_only=True):
    allow_origins: tuple[str, ...] = ()
    allow_credentials: bool = False
    allow_methods: tuple[str, ...] = ()
    allow_headers: tuple[str, ...] = ()
    expose_headers: tuple[str, ...] = ()
    max_age: int = 5


class GRPCAuthConfig(Model, frozen=True, kw_only=True):
    allowed_headers: tuple[str, ...] = ()


class HTTPAuthConfig(Model, frozen=True, kw_only=True):
    path: str = ""
    allowed_headers: tuple[str, ...] = ()
    allowed_response_headers: tuple[str, ...] = ()


class ForwardBodyConfig(Model, frozen=True, kw_only=True):
    max_size: int = 0


class HTTPExternalAuthFilter(Model, frozen=True, kw_only=True):
    protocol: ExternalAuthProtocol
    backend_ref: BackendObjectReference
    grpc: GRPCAuthConfig | None = None
    http: HTTPAuthConfig | None = None
    forward_body: ForwardBodyConfig | None = None


class HTTPRouteFilter(Model, frozen=True, kw_only=True):
    """``type`` names the one field that is set."""

    type: HTTPRouteFilterType
    request_header_modifier: HTTPHeaderFilter | None = None
    response_header_modifier: HTTPHeaderFilter | None = None
    request_mirror: HTTPRequestMirrorFilter | None = None
    request_redirect: HTTPRequestRedirectFilter | None = None
    url_rewrite: HTTPURLRewriteFilter | None = None
    cors: HTTPCORSFilter | None = None
    external_auth: HTTPExternalAuthFilter | None = None
    extension_ref: LocalObjectReference | None = None
