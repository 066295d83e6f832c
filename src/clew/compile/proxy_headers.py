"""Headers that a proxy adds, passes on or hides: ``proxyHeaders`` of its settings."""

from __future__ import annotations

from clew._pb.envoy.config.core.v3.protocol_pb2 import Http1ProtocolOptions
from clew._pb.envoy.config.route.v3.route_components_pb2 import RouteAction
from clew._pb.envoy.config.route.v3.route_pb2 import RouteConfiguration
from clew._pb.envoy.extensions.filters.network.http_connection_manager.v3 import (
    http_connection_manager_pb2 as hcm_pb2,
)
from clew._pb.envoy.extensions.http.header_formatters.preserve_case.v3.preserve_case_pb2 import (
    PreserveCaseFormatterConfig,
)
from clew.compile.typed_config import typed_config
from clew.model.mesh_config import MeshConfig
from clew.model.mesh_proxy_config import ForwardClientCertDetails, ProxyHeaders

HttpConnectionManager = hcm_pb2.HttpConnectionManager

_UNSET = ProxyHeaders()


def proxy_headers(mesh: MeshConfig) -> ProxyHeaders:
    return (mesh.default_config.proxy_headers if mesh.default_config else None) or _UNSET


def hides_debug_headers(headers: ProxyHeaders) -> bool:
    """Whether ``x-envoy-upstream-service-time`` and its like are left out."""
    return bool(headers.envoy_debug_headers and headers.envoy_debug_headers.disabled)


def apply_headers(manager: HttpConnectionManager, headers: ProxyHeaders) -> None:
    """Set what all connection managers of a proxy do with headers.

    Source: istio ``GetProxyHeadersFromProxyConfig``.
    """
    if headers.request_id is not None and headers.request_id.disabled:
        manager.generate_request_id.value = False
    server = headers.server
    if server is not None and server.disabled:
        manager.server_name = ""
        manager.server_header_transformation = HttpConnectionManager.PASS_THROUGH
    elif server is not None and server.value:
        manager.server_name = server.value
    if headers.x_forwarded_port is not None and headers.x_forwarded_port.enabled:
        manager.append_x_forwarded_port = True
    if headers.preserve_http1_header_case:
        keep_case(manager.http_protocol_options)


def keep_case(options: Http1ProtocolOptions) -> None:
    """Spell the headers of HTTP/1.1 as they came; the two sides of a proxy must both do so."""
    formatter = options.header_key_format.stateful_formatter
    formatter.name = "preserve_case"
    formatter.typed_config.CopyFrom(typed_config(PreserveCaseFormatterConfig()))


def keeps_case(mesh: MeshConfig) -> bool:
    return bool(proxy_headers(mesh).preserve_http1_header_case)


def set_certificate_details(manager: HttpConnectionManager, headers: ProxyHeaders) -> None:
    """Override what is told of the client's certificate, each part for itself."""
    said = headers.set_current_client_cert_details
    details = manager.set_current_client_cert_details
    if said is None:
        return
    if said.subject is not None:
        details.subject.value = said.subject
    for part in ("cert", "chain", "dns", "uri"):
        if getattr(said, part) is not None:
            setattr(details, part, getattr(said, part))


def forwarding(
    said: ForwardClientCertDetails | None, default: HttpConnectionManager.ForwardClientCertDetails
) -> HttpConnectionManager.ForwardClientCertDetails:
    """Return Envoy's word for what happens to ``x-forwarded-client-cert``."""
    return _FORWARD.get(said, default) if said is not None else default


_FORWARD = {
    ForwardClientCertDetails.SANITIZE: HttpConnectionManager.SANITIZE,
    ForwardClientCertDetails.FORWARD_ONLY: HttpConnectionManager.FORWARD_ONLY,
    ForwardClientCertDetails.APPEND_FORWARD: HttpConnectionManager.APPEND_FORWARD,
    ForwardClientCertDetails.SANITIZE_SET: HttpConnectionManager.SANITIZE_SET,
    ForwardClientCertDetails.ALWAYS_FORWARD_ONLY: HttpConnectionManager.ALWAYS_FORWARD_ONLY,
}


def apply_headers_to_routes(routes: RouteConfiguration, headers: ProxyHeaders) -> None:
    """Set what is a matter of virtual hosts and routes, not of connection managers."""
    counted = headers.attempt_count is None or not headers.attempt_count.disabled
    named = headers.x_forwarded_host is not None and headers.x_forwarded_host.enabled
    for host in routes.virtual_hosts:
        host.include_request_attempt_count &= counted
        for route in host.routes:
            if named and route.HasField("route"):
                _tell_host(route.route)


def _tell_host(action: RouteAction) -> None:
    """Tell the upstream which host the client asked for, where a rule rewrites it."""
    action.append_x_forwarded_host = bool(action.WhichOneof("host_rewrite_specifier"))
