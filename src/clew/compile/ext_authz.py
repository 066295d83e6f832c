"""Action CUSTOM: requests that match are put to an external authorizer.

Source: istio ``authz/builder/extauthz.go``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta

from clew._pb.envoy.config.core.v3.config_source_pb2 import ApiVersion
from clew._pb.envoy.config.core.v3.grpc_service_pb2 import GrpcService
from clew._pb.envoy.extensions.filters.http.ext_authz.v3.ext_authz_pb2 import (
    AuthorizationRequest,
    AuthorizationResponse,
    BufferSettings,
    ExtAuthz,
    HttpService,
)
from clew._pb.envoy.extensions.filters.network.ext_authz.v3.ext_authz_pb2 import (
    ExtAuthz as NetworkExtAuthz,
)
from clew._pb.envoy.type.matcher.v3.metadata_pb2 import MetadataMatcher
from clew._pb.envoy.type.matcher.v3.string_pb2 import ListStringMatcher, StringMatcher
from clew._pb.envoy.type.matcher.v3.value_pb2 import ValueMatcher
from clew._pb.envoy.type.v3.http_status_pb2 import HttpStatus, StatusCode
from clew.compile.rbac import NETWORK_STATS
from clew.compile.rbac_values import metadata_matcher, text_matcher
from clew.model import names
from clew.model.duration import Duration
from clew.model.extension_providers import (
    EnvoyExternalAuthorizationGrpcProvider,
    EnvoyExternalAuthorizationHttpProvider,
    EnvoyExternalAuthorizationRequestBody,
    ExtensionProvider,
)
from clew.snapshot.authorization_policies import Authorization, provider_of

# The rules that decide whether to ask run as a dry run, and leave their name under this prefix.
SHADOW = "istio_ext_authz_"
_POLICY_ID = SHADOW + "shadow_effective_policy_id"
_HTTP_RBAC, _NETWORK_RBAC = "envoy.filters.http.rbac", "envoy.filters.network.rbac"
# In practice the DestinationRule of the authorizer's service is to set how long it may take.
_TIMEOUT = timedelta(seconds=600)
_PORTS = range(1, 65536)

_Provider = EnvoyExternalAuthorizationHttpProvider | EnvoyExternalAuthorizationGrpcProvider


@dataclass(frozen=True, slots=True, kw_only=True)
class Authorizer:
    """What asks an authorizer. ``connections`` None: it answers for HTTP only."""

    requests: ExtAuthz
    connections: NetworkExtAuthz | None = None


def rules_prefix(authorization: Authorization) -> str:
    """What the names of CUSTOM rules begin with. Source: Istio."""
    return f"istio-ext-authz-{provider_of(authorization.custom[0])}-"


def compile_authorizer(
    authorization: Authorization, providers: Iterable[ExtensionProvider]
) -> Authorizer | str:
    """The one authorizer that all CUSTOM policies name, or why there is none: in words."""
    wanted = sorted({provider_of(policy) for policy in authorization.custom})
    if len(wanted) > 1:
        return f"a workload can ask one provider only, and policies name {' and '.join(wanted)}"
    name = wanted[0]
    declared = [each for each in providers if each.name == name]
    if len(declared) > 1:
        return f'MeshConfig has more than one extension provider "{name}"'
    if not declared:
        return f'MeshConfig has no extension provider "{name}"'
    hosts = dict(authorization.authorizers)
    provider = declared[0]
    if provider.envoy_ext_authz_http is not None:
        return _over_http(provider.envoy_ext_authz_http, hosts.get(name, ""), name)
    if provider.envoy_ext_authz_grpc is not None:
        return _over_grpc(provider.envoy_ext_authz_grpc, hosts.get(name, ""), name)
    return f'extension provider "{name}" is not an external authorizer'


def _over_http(
    provider: EnvoyExternalAuthorizationHttpProvider, host: str, name: str
) -> Authorizer | str:
    if problem := _problem(provider, host) or _http_problem(provider):
        return problem
    service = HttpService(
        path_prefix=provider.path_prefix,
        authorization_request=_added_headers(provider.include_additional_headers_in_check),
        authorization_response=_passed_headers(provider),
    )
    service.server_uri.uri = f"http://{host}"
    service.server_uri.cluster = names.outbound_cluster(provider.port, host)
    service.server_uri.timeout.FromTimedelta(_time(provider.timeout))
    found = ExtAuthz(http_service=service)
    checked = provider.include_request_headers_in_check or provider.include_headers_in_check
    if (headers := _headers(checked)) is not None:
        found.allowed_headers.CopyFrom(headers)
    return Authorizer(requests=_completed(found, provider, name))


def _over_grpc(
    provider: EnvoyExternalAuthorizationGrpcProvider, host: str, name: str
) -> Authorizer | str:
    if problem := _problem(provider, host):
        return problem
    service = GrpcService()
    service.envoy_grpc.cluster_name = names.outbound_cluster(provider.port, host)
    service.envoy_grpc.authority = host
    service.timeout.FromTimedelta(_time(provider.timeout))
    connections = NetworkExtAuthz(
        stat_prefix=NETWORK_STATS,
        failure_mode_allow=provider.fail_open,
        transport_api_version=ApiVersion.V3,
        grpc_service=service,
        filter_enabled_metadata=_asked(_NETWORK_RBAC, name),
    )
    found = ExtAuthz(grpc_service=service)
    return Authorizer(requests=_completed(found, provider, name), connections=connections)


def _problem(provider: _Provider, host: str) -> str:
    """Why Envoy cannot ask, or ""."""
    if provider.port not in _PORTS:
        return f"port {provider.port} of the extension provider is not a port"
    if provider.status_on_error and _status(provider.status_on_error) is None:
        return f'statusOnError "{provider.status_on_error}" is not a status of HTTP'
    if not host:
        return f'the mesh has no service "{provider.service}", or several'
    return ""


def _http_problem(provider: EnvoyExternalAuthorizationHttpProvider) -> str:
    if provider.path_prefix and not provider.path_prefix.startswith("/"):
        return f'pathPrefix "{provider.path_prefix}" does not begin with /'
    listed = (
        provider.include_request_headers_in_check,
        provider.include_headers_in_check,
        provider.headers_to_upstream_on_allow,
        provider.headers_to_downstream_on_deny,
        provider.headers_to_downstream_on_allow,
    )
    return "a header cannot be just *" if any("*" in headers for headers in listed) else ""


def _completed(found: ExtAuthz, provider: _Provider, name: str) -> ExtAuthz:
    found.transport_api_version = ApiVersion.V3
    found.failure_mode_allow = provider.fail_open
    found.clear_route_cache = provider.clear_route_cache
    found.filter_enabled_metadata.CopyFrom(_asked(_HTTP_RBAC, name))
    if (status := _status(provider.status_on_error)) is not None:
        found.status_on_error.CopyFrom(HttpStatus(code=status))
    if provider.include_request_body_in_check is not None:
        found.with_request_body.CopyFrom(_body(provider.include_request_body_in_check))
    return found


def _asked(rbac: str, name: str) -> MetadataMatcher:
    """Only of requests, or connections, that a CUSTOM rule matched."""
    prefix = StringMatcher(prefix=f"istio-ext-authz-{name}-")
    return metadata_matcher(rbac, (_POLICY_ID,), ValueMatcher(string_match=prefix))


def _status(written: str) -> str | None:
    number = int(written) if written.isdigit() else 0
    known = number and number in StatusCode.values()
    return StatusCode.Name(number) if known else None


def _time(timeout: Duration | None) -> timedelta:
    return timeout.timedelta if timeout else _TIMEOUT


def _body(settings: EnvoyExternalAuthorizationRequestBody) -> BufferSettings:
    return BufferSettings(
        max_request_bytes=settings.max_request_bytes,
        allow_partial_message=settings.allow_partial_message,
        pack_as_bytes=settings.pack_as_bytes,
    )


def _added_headers(headers: Mapping[str, str]) -> AuthorizationRequest | None:
    if not headers:
        return None
    found = AuthorizationRequest()
    for name, value in sorted(headers.items()):
        found.headers_to_add.add(key=name, value=value)
    return found


def _passed_headers(
    provider: EnvoyExternalAuthorizationHttpProvider,
) -> AuthorizationResponse | None:
    upstream = provider.headers_to_upstream_on_allow
    denied = provider.headers_to_downstream_on_deny
    allowed = provider.headers_to_downstream_on_allow
    if not (upstream or denied or allowed):
        return None
    return AuthorizationResponse(
        allowed_upstream_headers=_headers(upstream),
        allowed_client_headers=_headers(denied),
        allowed_client_headers_on_success=_headers(allowed),
    )


def _headers(written: Iterable[str]) -> ListStringMatcher | None:
    patterns = [text_matcher(each, ignore_case=True) for each in written]
    return ListStringMatcher(patterns=patterns) if patterns else None
