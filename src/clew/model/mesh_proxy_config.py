"""The proxy settings in MeshConfig (``defaultConfig``) and in ``proxy.istio.io/config``."""

from __future__ import annotations

from enum import StrEnum

from clew.model.base import Model
from clew.model.destination_rule import ClientTLSSettings, TcpKeepalive
from clew.model.duration import Duration
from clew.model.pod import Probe
from clew.model.proxy_config import ProxyImage

# The workload's annotation that holds a MeshProxyConfig in YAML.
ANNOTATION = "proxy.istio.io/config"


class TraceContext(StrEnum):
    UNSPECIFIED = "UNSPECIFIED"
    W3C_TRACE_CONTEXT = "W3C_TRACE_CONTEXT"
    GRPC_BIN = "GRPC_BIN"
    CLOUD_TRACE_CONTEXT = "CLOUD_TRACE_CONTEXT"
    B3 = "B3"


class ForwardClientCertDetails(StrEnum):
    UNDEFINED = "UNDEFINED"
    SANITIZE = "SANITIZE"
    FORWARD_ONLY = "FORWARD_ONLY"
    APPEND_FORWARD = "APPEND_FORWARD"
    SANITIZE_SET = "SANITIZE_SET"
    ALWAYS_FORWARD_ONLY = "ALWAYS_FORWARD_ONLY"


class MetadataExchangeMode(StrEnum):
    UNDEFINED = "UNDEFINED"
    IN_MESH = "IN_MESH"


class ConnectionProfile(StrEnum):
    SIDECAR = "SIDECAR"
    EDGE = "EDGE"


class HeadersWithUnderscoresAction(StrEnum):
    HEADERS_WITH_UNDERSCORES_UNSPECIFIED = "HEADERS_WITH_UNDERSCORES_UNSPECIFIED"
    HEADERS_WITH_UNDERSCORES_ALLOW = "HEADERS_WITH_UNDERSCORES_ALLOW"
    HEADERS_WITH_UNDERSCORES_REJECT_REQUEST = "HEADERS_WITH_UNDERSCORES_REJECT_REQUEST"
    HEADERS_WITH_UNDERSCORES_DROP_HEADER = "HEADERS_WITH_UNDERSCORES_DROP_HEADER"


class PathWithEscapedSlashesAction(StrEnum):
    PATH_WITH_ESCAPED_SLASHES_UNSPECIFIED = "PATH_WITH_ESCAPED_SLASHES_UNSPECIFIED"
    KEEP_UNCHANGED = "KEEP_UNCHANGED"
    REJECT_REQUEST = "REJECT_REQUEST"
    UNESCAPE_AND_REDIRECT = "UNESCAPE_AND_REDIRECT"
    UNESCAPE_AND_FORWARD = "UNESCAPE_AND_FORWARD"


class TracingServiceName(StrEnum):
    APP_LABEL_AND_NAMESPACE = "APP_LABEL_AND_NAMESPACE"
    CANONICAL_NAME_ONLY = "CANONICAL_NAME_ONLY"
    CANONICAL_NAME_AND_NAMESPACE = "CANONICAL_NAME_AND_NAMESPACE"


class AuthenticationPolicy(StrEnum):
    NONE = "NONE"
    MUTUAL_TLS = "MUTUAL_TLS"
    INHERIT = "INHERIT"


class InboundInterceptionMode(StrEnum):
    REDIRECT = "REDIRECT"
    TPROXY = "TPROXY"
    NONE = "NONE"


class ZipkinTracer(Model, frozen=True, kw_only=True):
    address: str = ""


class LightstepTracer(Model, frozen=True, kw_only=True):
    address: str = ""
    access_token: str = ""


class DatadogTracer(Model, frozen=True, kw_only=True):
    address: str = ""


class StackdriverTracer(Model, frozen=True, kw_only=True):
    debug: bool = False
    max_number_of_attributes: int | None = None
    max_number_of_annotations: int | None = None
    max_number_of_message_events: int | None = None


class OpenCensusAgentTracer(Model, frozen=True, kw_only=True):
    address: str = ""
    context: tuple[TraceContext, ...] = ()


class LiteralTag(Model, frozen=True, kw_only=True):
    value: str = ""


class EnvironmentTag(Model, frozen=True, kw_only=True):
    name: str = ""
    default_value: str = ""


class RequestHeaderTag(Model, frozen=True, kw_only=True):
    name: str = ""
    default_value: str = ""


class TracingCustomTag(Model, frozen=True, kw_only=True):
    literal: LiteralTag | None = None
    environment: EnvironmentTag | None = None
    header: RequestHeaderTag | None = None


class ProxyTracing(Model, frozen=True, kw_only=True):
    zipkin: ZipkinTracer | None = None
    lightstep: LightstepTracer | None = None
    datadog: DatadogTracer | None = None
    stackdriver: StackdriverTracer | None = None
    open_census_agent: OpenCensusAgentTracer | None = None
    custom_tags: dict[str, TracingCustomTag] = {}
    max_path_tag_length: int = 0
    sampling: float | None = None
    tls_settings: ClientTLSSettings | None = None
    enable_istio_tags: bool | None = None


class SDS(Model, frozen=True, kw_only=True):
    enabled: bool = False
    k8s_sa_jwt_path: str = ""


class ProxyProtocolConfiguration(Model, frozen=True, kw_only=True):
    """Accept the PROXY protocol; there is nothing to set."""


class GatewayTopology(Model, frozen=True, kw_only=True):
    num_trusted_proxies: int = 0
    forward_client_cert_details: ForwardClientCertDetails | None = None
    proxy_protocol: ProxyProtocolConfiguration | None = None


class CryptoMb(Model, frozen=True, kw_only=True):
    poll_delay: Duration | None = None
    fallback: bool | None = None


class QAT(Model, frozen=True, kw_only=True):
    poll_delay: Duration | None = None
    fallback: bool | None = None


class PrivateKeyProvider(Model, frozen=True, kw_only=True):
    cryptomb: CryptoMb | None = None
    qat: QAT | None = None


class RemoteService(Model, frozen=True, kw_only=True):
    address: str = ""
    tls_settings: ClientTLSSettings | None = None
    tcp_keepalive: TcpKeepalive | None = None


class ProxyStatsMatcher(Model, frozen=True, kw_only=True):
    inclusion_prefixes: tuple[str, ...] = ()
    inclusion_suffixes: tuple[str, ...] = ()
    inclusion_regexps: tuple[str, ...] = ()


class SetCurrentClientCertDetails(Model, frozen=True, kw_only=True):
    subject: bool | None = None
    cert: bool | None = None
    chain: bool | None = None
    dns: bool | None = None
    uri: bool | None = None


class RequestIdHeader(Model, frozen=True, kw_only=True):
    disabled: bool | None = None


class ServerHeader(Model, frozen=True, kw_only=True):
    disabled: bool | None = None
    value: str = ""


class AttemptCount(Model, frozen=True, kw_only=True):
    disabled: bool | None = None


class EnvoyDebugHeaders(Model, frozen=True, kw_only=True):
    disabled: bool | None = None


class MetadataExchangeHeaders(Model, frozen=True, kw_only=True):
    mode: MetadataExchangeMode | None = None


class XForwardedHost(Model, frozen=True, kw_only=True):
    enabled: bool | None = None


class XForwardedPort(Model, frozen=True, kw_only=True):
    enabled: bool | None = None


class ProxyHeaders(Model, frozen=True, kw_only=True):
    forwarded_client_cert: ForwardClientCertDetails | None = None
    set_current_client_cert_details: SetCurrentClientCertDetails | None = None
    request_id: RequestIdHeader | None = None
    server: ServerHeader | None = None
    attempt_count: AttemptCount | None = None
    envoy_debug_headers: EnvoyDebugHeaders | None = None
    metadata_exchange_headers: MetadataExchangeHeaders | None = None
    preserve_http1_header_case: bool | None = None
    x_forwarded_host: XForwardedHost | None = None
    x_forwarded_port: XForwardedPort | None = None


class ConnectionSettings(Model, frozen=True, kw_only=True):
    profile: ConnectionProfile | None = None
    listener_per_connection_buffer_limit_bytes: int | None = None
    cluster_per_connection_buffer_limit_bytes: int | None = None
    http_idle_timeout: Duration | None = None
    http_max_connection_duration: Duration | None = None
    http_drain_timeout: Duration | None = None
    http_request_timeout: Duration | None = None
    http_request_headers_timeout: Duration | None = None
    http_stream_idle_timeout: Duration | None = None
    http_max_stream_duration: Duration | None = None
    http_max_concurrent_streams: int | None = None
    http2_initial_stream_window_size: int | None = None
    http2_initial_connection_window_size: int | None = None
    http_headers_with_underscores_action: HeadersWithUnderscoresAction | None = None
    http_merge_slashes: bool | None = None
    http_path_with_escaped_slashes_action: PathWithEscapedSlashesAction | None = None
    listener_connection_limit: int | None = None
    global_downstream_connection_limit: int | None = None


class MeshProxyConfig(Model, frozen=True, kw_only=True):
    config_path: str = ""
    binary_path: str = ""
    service_cluster: str = ""
    tracing_service_name: TracingServiceName | None = None
    drain_duration: Duration | None = None
    discovery_address: str = ""
    discovery_refresh_delay: Duration | None = None
    zipkin_address: str = ""
    statsd_udp_address: str = ""
    envoy_metrics_service_address: str = ""
    proxy_admin_port: int = 0
    availability_zone: str = ""
    control_plane_auth_policy: AuthenticationPolicy | None = None
    custom_config_file: str = ""
    stat_name_length: int = 0
    concurrency: int | None = None
    proxy_bootstrap_template_path: str = ""
    interception_mode: InboundInterceptionMode | None = None
    tracing: ProxyTracing | None = None
    sds: SDS | None = None
    envoy_access_log_service: RemoteService | None = None
    envoy_metrics_service: RemoteService | None = None
    proxy_metadata: dict[str, str] = {}
    runtime_values: dict[str, str] = {}
    status_port: int = 0
    extra_stat_tags: tuple[str, ...] = ()
    gateway_topology: GatewayTopology | None = None
    termination_drain_duration: Duration | None = None
    mesh_id: str = ""
    readiness_probe: Probe | None = None
    proxy_stats_matcher: ProxyStatsMatcher | None = None
    hold_application_until_proxy_starts: bool | None = None
    ca_certificates_pem: tuple[str, ...] = ()
    image: ProxyImage | None = None
    private_key_provider: PrivateKeyProvider | None = None
    proxy_headers: ProxyHeaders | None = None
    file_flush_interval: Duration | None = None
    file_flush_min_size_kb: int = 0
    stats_compression: bool | None = None
    connection_settings: ConnectionSettings | None = None
