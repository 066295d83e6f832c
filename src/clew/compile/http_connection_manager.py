"""The HTTP connection manager: Istio's defaults for the three places where HTTP is understood."""

from __future__ import annotations

from datetime import timedelta
from enum import Enum

from google.protobuf.wrappers_pb2 import BoolValue

from clew._pb.envoy.config.core.v3.base_pb2 import DataSource
from clew._pb.envoy.config.core.v3.config_source_pb2 import (
    AggregatedConfigSource,
    ApiVersion,
    ConfigSource,
)
from clew._pb.envoy.config.core.v3.protocol_pb2 import Http2ProtocolOptions
from clew._pb.envoy.config.core.v3.substitution_format_string_pb2 import SubstitutionFormatString
from clew._pb.envoy.config.listener.v3.listener_components_pb2 import Filter
from clew._pb.envoy.config.route.v3.route_pb2 import RouteConfiguration
from clew._pb.envoy.extensions.filters.common.set_filter_state.v3.value_pb2 import (
    FilterStateValue,
)
from clew._pb.envoy.extensions.filters.http.cors.v3.cors_pb2 import Cors
from clew._pb.envoy.extensions.filters.http.fault.v3.fault_pb2 import HTTPFault
from clew._pb.envoy.extensions.filters.http.grpc_web.v3.grpc_web_pb2 import GrpcWeb
from clew._pb.envoy.extensions.filters.http.router.v3.router_pb2 import Router
from clew._pb.envoy.extensions.filters.http.set_filter_state.v3.set_filter_state_pb2 import (
    Config as SetFilterState,
)
from clew._pb.envoy.extensions.filters.network.http_connection_manager.v3 import (
    http_connection_manager_pb2 as hcm_pb2,
)
from clew._pb.envoy.extensions.request_id.uuid.v3.uuid_pb2 import UuidRequestIdConfig
from clew.compile.access_log import compile_access_log
from clew.compile.connection_settings import apply_connection_settings, connection_settings
from clew.compile.edge_headers import NO_WORDS_OF_PROXIES
from clew.compile.proxy_headers import (
    apply_headers,
    forwarding,
    hides_debug_headers,
    proxy_headers,
    set_certificate_details,
)
from clew.compile.typed_config import typed_config
from clew.model.mesh_config import MeshConfig

HttpConnectionManager = hcm_pb2.HttpConnectionManager
HttpFilter = hcm_pb2.HttpFilter


class Direction(Enum):
    """Where in a request's way the connection manager stands."""

    OUTBOUND = "outbound"
    INBOUND = "inbound"
    GATEWAY = "gateway"


def compile_hcm(
    *,
    stat_prefix: str,
    rds_name: str | None = None,
    route_config: RouteConfiguration | None = None,
    direction: Direction,
    mesh: MeshConfig,
    extra_filters: tuple[HttpFilter, ...] = (),
    allow_absolute_url: bool = False,
    http3: bool = False,
) -> Filter:
    """The network filter that speaks HTTP, routed by ``route_config`` or by the RDS ``rds_name``.

    ``extra_filters`` run before fault injection and CORS, which are always there where a
    VirtualService may configure them per route.

    Source: istio ``buildHTTPConnectionManager``.
    """
    manager = HttpConnectionManager(
        stat_prefix=stat_prefix,
        http_filters=[*extra_filters, *_FILTERS[direction], _router(direction, mesh)],
        server_name="istio-envoy",
        proxy_100_continue=True,
        upgrade_configs=[HttpConnectionManager.UpgradeConfig(upgrade_type="websocket")],
        request_id_extension=_REQUEST_ID,
        http2_protocol_options=Http2ProtocolOptions(allow_connect=True),
        access_log=compile_access_log(mesh),
    )
    # Zero is never, where Envoy's default would cut quiet streams after five minutes.
    manager.stream_idle_timeout.FromTimedelta(timedelta(0))
    if rds_name is not None:
        manager.rds.CopyFrom(_rds(rds_name))
    else:
        manager.route_config.CopyFrom(route_config or RouteConfiguration())
    if allow_absolute_url:
        manager.http_protocol_options.allow_absolute_url.value = True
    if http3:
        manager.codec_type = HttpConnectionManager.HTTP3
        manager.http3_protocol_options.SetInParent()
    _normalize_paths(manager, mesh)
    apply_connection_settings(manager, connection_settings(mesh))
    apply_headers(manager, proxy_headers(mesh))
    _identify_client(manager, direction, mesh)
    return Filter(
        name="envoy.filters.network.http_connection_manager", typed_config=typed_config(manager)
    )


def _http_filter(
    name: str, config: Cors | GrpcWeb | HTTPFault | Router | SetFilterState
) -> HttpFilter:
    return HttpFilter(name=name, typed_config=typed_config(config))


_FAULT = _http_filter("envoy.filters.http.fault", HTTPFault())
_CORS = _http_filter("envoy.filters.http.cors", Cors())
# In front of ports that are declared grpc-web: it makes their requests plain gRPC.
GRPC_WEB = _http_filter("envoy.filters.http.grpc_web", GrpcWeb())
_FILTERS = {
    Direction.OUTBOUND: (_FAULT, _CORS),
    Direction.GATEWAY: (_FAULT, _CORS),
    Direction.INBOUND: (),
}


# By whether Envoy's own headers are left out, and whether responses are counted by their codes.
_ROUTERS = {
    (quiet, counting): _http_filter(
        "envoy.filters.http.router",
        Router(
            suppress_envoy_headers=quiet, dynamic_stats=None if counting else BoolValue(value=False)
        ),
    )
    for quiet in (False, True)
    for counting in (False, True)
}


def _router(direction: Direction, mesh: MeshConfig) -> HttpFilter:
    """Outbound, routes may have a ``statPrefix``, under which responses are counted by their codes.
    Inbound, nothing keeps such counts unless it is asked to; they would cost each request 4 %.
    """
    config = mesh.default_config
    counting = direction is not Direction.INBOUND or bool(config and config.proxy_stats_matcher)
    return _ROUTERS[hides_debug_headers(proxy_headers(mesh)), counting]


_REQUEST_ID = hcm_pb2.RequestIDExtension(
    typed_config=typed_config(
        UuidRequestIdConfig(use_request_id_for_trace_sampling={"value": True})
    )
)

# What a client offers by ALPN tells the server's filter chains whether HTTP is inside. The names
# of real protocols are left out on purpose: the server then selects none and looks at the first
# bytes, so the offer is right whichever HTTP version the chosen cluster speaks.
_OFFER = "request.protocol == 'HTTP/2' ? 'istio-h2,istio' : 'istio-http/1.1,istio'"

# For listeners of AUTO ports, whose clusters carry HTTP and TCP alike.
# Source: Istio's ``istio.alpn`` filter, rebuilt from stock parts.
OFFER_HTTP = _http_filter(
    "envoy.filters.http.set_filter_state",
    SetFilterState(
        on_request_headers=[
            FilterStateValue(
                object_key="envoy.network.application_protocols",
                format_string=SubstitutionFormatString(
                    text_format_source=DataSource(inline_string=f"%CEL({_OFFER})%")
                ),
                shared_with_upstream=FilterStateValue.ONCE,
            )
        ]
    ),
)


def _rds(name: str) -> hcm_pb2.Rds:
    source = ConfigSource(ads=AggregatedConfigSource(), resource_api_version=ApiVersion.V3)
    # Zero is without limit: a listener without its routes would answer 404.
    source.initial_fetch_timeout.FromTimedelta(timedelta(0))
    return hcm_pb2.Rds(config_source=source, route_config_name=name)


def _normalize_paths(manager: HttpConnectionManager, mesh: MeshConfig) -> None:
    """Source: Istio ``MeshConfig.pathNormalization``; DEFAULT is BASE."""
    settings = mesh.path_normalization
    kind = (settings.normalization or "DEFAULT") if settings else "DEFAULT"
    if kind == "NONE":
        return
    manager.normalize_path.value = True
    manager.merge_slashes = kind in ("MERGE_SLASHES", "DECODE_AND_MERGE_SLASHES")
    if kind == "DECODE_AND_MERGE_SLASHES":
        manager.path_with_escaped_slashes_action = HttpConnectionManager.UNESCAPE_AND_FORWARD


def _identify_client(
    manager: HttpConnectionManager, direction: Direction, mesh: MeshConfig
) -> None:
    """Whose word about the client's address and certificate counts."""
    details, headers = manager.set_current_client_cert_details, proxy_headers(mesh)
    match direction:
        case Direction.OUTBOUND:
            manager.use_remote_address.value = False
        case Direction.INBOUND:
            manager.use_remote_address.value = False
            manager.forward_client_cert_details = forwarding(
                headers.forwarded_client_cert, HttpConnectionManager.APPEND_FORWARD
            )
            details.subject.value = details.uri = details.dns = True
            set_certificate_details(manager, headers)
        case Direction.GATEWAY:
            topology = mesh.default_config.gateway_topology if mesh.default_config else None
            manager.use_remote_address.value = True
            manager.xff_num_trusted_hops = topology.num_trusted_proxies if topology else 0
            manager.forward_client_cert_details = forwarding(
                topology.forward_client_cert_details if topology else None,
                HttpConnectionManager.SANITIZE_SET,
            )
            details.subject.value = details.cert = details.uri = details.dns = True
            set_certificate_details(manager, headers)
            manager.early_header_mutation_extensions.append(NO_WORDS_OF_PROXIES)
