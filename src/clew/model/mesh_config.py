"""MeshConfig: the settings of the mesh as a whole (ConfigMap ``istio``, key ``mesh``)."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

import msgspec

from clew.model.base import Model
from clew.model.destination_rule import (
    ClientTLSSettings,
    ConnectionPoolSettings,
    LocalityLoadBalancerSetting,
    OutlierDetection,
    TcpKeepalive,
    ZoneAwareLoadBalancerSetting,
)
from clew.model.duration import Duration
from clew.model.mesh_proxy_config import MeshProxyConfig, TraceContext
from clew.model.selectors import LabelSelector
from clew.model.virtual_service import HTTPRetry


class OutboundTrafficPolicyMode(StrEnum):
    REGISTRY_ONLY = "REGISTRY_ONLY"
    ALLOW_ANY = "ALLOW_ANY"
    ALLOW_ANY_DYNAMIC_DNS = "ALLOW_ANY_DYNAMIC_DNS"


class InboundTrafficPolicyMode(StrEnum):
    PASSTHROUGH = "PASSTHROUGH"
    LOCALHOST = "LOCALHOST"


class SubscribedResource(StrEnum):
    SERVICE_REGISTRY = "SERVICE_REGISTRY"


class ServiceScope(StrEnum):
    LOCAL = "LOCAL"
    GLOBAL = "GLOBAL"


class TraceContextOption(StrEnum):
    USE_B3 = "USE_B3"
    USE_B3_WITH_W3C_PROPAGATION = "USE_B3_WITH_W3C_PROPAGATION"


class ServiceAttributeEnrichment(StrEnum):
    ISTIO_CANONICAL = "ISTIO_CANONICAL"
    OTEL_SEMANTIC_CONVENTIONS = "OTEL_SEMANTIC_CONVENTIONS"


class NormalizationType(StrEnum):
    DEFAULT = "DEFAULT"
    NONE = "NONE"
    BASE = "BASE"
    MERGE_SLASHES = "MERGE_SLASHES"
    DECODE_AND_MERGE_SLASHES = "DECODE_AND_MERGE_SLASHES"


class TLSProtocol(StrEnum):
    TLS_AUTO = "TLS_AUTO"
    TLSV1_2 = "TLSV1_2"
    TLSV1_3 = "TLSV1_3"


class Visibility(StrEnum):
    VISIBILITY_UNSPECIFIED = "VISIBILITY_UNSPECIFIED"
    NONE = "NONE"
    NAMESPACE = "NAMESPACE"
    PUBLIC = "PUBLIC"


class IngressControllerMode(StrEnum):
    UNSPECIFIED = "UNSPECIFIED"
    OFF = "OFF"
    DEFAULT = "DEFAULT"
    STRICT = "STRICT"


class AccessLogEncoding(StrEnum):
    TEXT = "TEXT"
    JSON = "JSON"


class MeshOutboundTrafficPolicy(Model, frozen=True, kw_only=True):
    mode: OutboundTrafficPolicyMode | None = None
    tls: ClientTLSSettings | None = None


class InboundTrafficPolicy(Model, frozen=True, kw_only=True):
    mode: InboundTrafficPolicyMode | None = None


class ConfigSource(Model, frozen=True, kw_only=True):
    address: str = ""
    tls_settings: ClientTLSSettings | None = None
    subscribed_resources: tuple[SubscribedResource, ...] = ()


class CertificateData(Model, frozen=True, kw_only=True):
    pem: str = ""
    spiffe_bundle_url: str = ""
    cert_signers: tuple[str, ...] = ()
    trust_domains: tuple[str, ...] = ()


class Certificate(Model, frozen=True, kw_only=True):
    secret_name: str = ""
    dns_names: tuple[str, ...] = ()


class ServiceSettingsSettings(Model, frozen=True, kw_only=True):
    cluster_local: bool = False


class ServiceSettings(Model, frozen=True, kw_only=True):
    settings: ServiceSettingsSettings | None = None
    hosts: tuple[str, ...] = ()


class ServiceScopeConfigs(Model, frozen=True, kw_only=True):
    namespace_selector: LabelSelector | None = None
    services_selector: LabelSelector | None = None
    scope: ServiceScope | None = None


class CA(Model, frozen=True, kw_only=True):
    address: str = ""
    tls_settings: ClientTLSSettings | None = None
    request_timeout: Duration | None = None
    istiod_side: bool = False


class EnvoyExternalAuthorizationRequestBody(Model, frozen=True, kw_only=True):
    max_request_bytes: int = 0
    allow_partial_message: bool = False
    pack_as_bytes: bool = False


class EnvoyExternalAuthorizationHttpProvider(Model, frozen=True, kw_only=True):
    service: str = ""
    port: int = 0
    timeout: Duration | None = None
    path_prefix: str = ""
    fail_open: bool = False
    clear_route_cache: bool = False
    status_on_error: str = ""
    include_headers_in_check: tuple[str, ...] = ()
    include_request_headers_in_check: tuple[str, ...] = ()
    include_additional_headers_in_check: dict[str, str] = {}
    include_request_body_in_check: EnvoyExternalAuthorizationRequestBody | None = None
    headers_to_upstream_on_allow: tuple[str, ...] = ()
    headers_to_downstream_on_deny: tuple[str, ...] = ()
    headers_to_downstream_on_allow: tuple[str, ...] = ()


class EnvoyExternalAuthorizationGrpcProvider(Model, frozen=True, kw_only=True):
    service: str = ""
    port: int = 0
    timeout: Duration | None = None
    fail_open: bool = False
    clear_route_cache: bool = False
    status_on_error: str = ""
    include_request_body_in_check: EnvoyExternalAuthorizationRequestBody | None = None


class HttpHeader(Model, frozen=True, kw_only=True):
    name: str = ""
    value: str = ""
    env_name: str = ""


class ZipkinTracingProvider(Model, frozen=True, kw_only=True):
    service: str = ""
    port: int = 0
    max_tag_length: int = 0
    enable64bit_trace_id: bool = False
    path: str = ""
    trace_context_option: TraceContextOption | None = None
    timeout: Duration | None = None
    headers: tuple[HttpHeader, ...] = ()


class LightstepTracingProvider(Model, frozen=True, kw_only=True):
    service: str = ""
    port: int = 0
    access_token: str = ""
    max_tag_length: int = 0


class DatadogTracingProvider(Model, frozen=True, kw_only=True):
    service: str = ""
    port: int = 0
    max_tag_length: int = 0


class StackdriverLogging(Model, frozen=True, kw_only=True):
    labels: dict[str, str] = {}


class StackdriverProvider(Model, frozen=True, kw_only=True):
    debug: bool = False
    max_number_of_attributes: int | None = None
    max_number_of_annotations: int | None = None
    max_number_of_message_events: int | None = None
    max_tag_length: int = 0
    logging: StackdriverLogging | None = None


class OpenCensusAgentTracingProvider(Model, frozen=True, kw_only=True):
    service: str = ""
    port: int = 0
    context: tuple[TraceContext, ...] = ()
    max_tag_length: int = 0


class SkyWalkingTracingProvider(Model, frozen=True, kw_only=True):
    service: str = ""
    port: int = 0
    access_token: str = ""


class HttpService(Model, frozen=True, kw_only=True):
    path: str = ""
    timeout: Duration | None = None
    headers: tuple[HttpHeader, ...] = ()


class GrpcService(Model, frozen=True, kw_only=True):
    timeout: Duration | None = None
    initial_metadata: tuple[HttpHeader, ...] = ()


class EnvironmentResourceDetector(Model, frozen=True, kw_only=True):
    """No fields."""


class DynatraceResourceDetector(Model, frozen=True, kw_only=True):
    """No fields."""


class ResourceDetectors(Model, frozen=True, kw_only=True):
    environment: EnvironmentResourceDetector | None = None
    dynatrace: DynatraceResourceDetector | None = None


class DynatraceApi(Model, frozen=True, kw_only=True):
    service: str = ""
    port: int = 0
    http: HttpService | None = None


class DynatraceSampler(Model, frozen=True, kw_only=True):
    tenant: str = ""
    cluster_id: int = 0
    root_spans_per_minute: int = 0
    http_service: DynatraceApi | None = None


class OpenTelemetryTracingProvider(Model, frozen=True, kw_only=True):
    service: str = ""
    port: int = 0
    max_tag_length: int = 0
    http: HttpService | None = None
    grpc: GrpcService | None = None
    resource_detectors: ResourceDetectors | None = None
    service_attribute_enrichment: ServiceAttributeEnrichment | None = None
    dynatrace_sampler: DynatraceSampler | None = None


class PrometheusMetricsProvider(Model, frozen=True, kw_only=True):
    """Metrics are always there to be scraped."""


class FileLogFormat(Model, frozen=True, kw_only=True):
    text: str = ""
    labels: dict[str, Any] | None = None


class EnvoyFileAccessLogProvider(Model, frozen=True, kw_only=True):
    path: str = ""
    log_format: FileLogFormat | None = None
    omit_empty_values: bool = False


class EnvoyHttpGrpcV3LogProvider(Model, frozen=True, kw_only=True):
    service: str = ""
    port: int = 0
    log_name: str = ""
    filter_state_objects_to_log: tuple[str, ...] = ()
    additional_request_headers_to_log: tuple[str, ...] = ()
    additional_response_headers_to_log: tuple[str, ...] = ()
    additional_response_trailers_to_log: tuple[str, ...] = ()


class EnvoyTcpGrpcV3LogProvider(Model, frozen=True, kw_only=True):
    service: str = ""
    port: int = 0
    log_name: str = ""
    filter_state_objects_to_log: tuple[str, ...] = ()


class OpenTelemetryLogFormat(Model, frozen=True, kw_only=True):
    text: str = ""
    labels: dict[str, Any] | None = None


class EnvoyOpenTelemetryLogProvider(Model, frozen=True, kw_only=True):
    service: str = ""
    port: int = 0
    log_name: str = ""
    log_format: OpenTelemetryLogFormat | None = None


class SDSProvider(Model, frozen=True, kw_only=True):
    name: str = ""
    service: str = ""
    port: int = 0


class ExtensionProvider(Model, frozen=True, kw_only=True):
    name: str = ""
    envoy_ext_authz_http: EnvoyExternalAuthorizationHttpProvider | None = None
    envoy_ext_authz_grpc: EnvoyExternalAuthorizationGrpcProvider | None = None
    zipkin: ZipkinTracingProvider | None = None
    lightstep: LightstepTracingProvider | None = None
    datadog: DatadogTracingProvider | None = None
    stackdriver: StackdriverProvider | None = None
    opencensus: OpenCensusAgentTracingProvider | None = None
    skywalking: SkyWalkingTracingProvider | None = None
    opentelemetry: OpenTelemetryTracingProvider | None = None
    prometheus: PrometheusMetricsProvider | None = None
    envoy_file_access_log: EnvoyFileAccessLogProvider | None = None
    envoy_http_als: EnvoyHttpGrpcV3LogProvider | None = None
    envoy_tcp_als: EnvoyTcpGrpcV3LogProvider | None = None
    envoy_otel_als: EnvoyOpenTelemetryLogProvider | None = None
    sds: SDSProvider | None = None


class DefaultProviders(Model, frozen=True, kw_only=True):
    tracing: tuple[str, ...] = ()
    metrics: tuple[str, ...] = ()
    access_logging: tuple[str, ...] = ()


class ProxyPathNormalization(Model, frozen=True, kw_only=True):
    normalization: NormalizationType | None = None


class MeshTLSConfig(Model, frozen=True, kw_only=True):
    min_protocol_version: TLSProtocol | None = None
    ecdh_curves: tuple[str, ...] = ()
    cipher_suites: tuple[str, ...] = ()


class DefaultTrafficPolicy(Model, frozen=True, kw_only=True):
    connection_pool: ConnectionPoolSettings | None = None
    outlier_detection: OutlierDetection | None = None


class ServiceEntryVisibilityMatchRule(Model, frozen=True, kw_only=True):
    namespace_selector: LabelSelector | None = None


class ServiceEntryVisibilityPolicy(Model, frozen=True, kw_only=True):
    visibility: Visibility | None = None
    matching_rules: tuple[ServiceEntryVisibilityMatchRule, ...] = ()


class ServiceEntryVisibility(Model, frozen=True, kw_only=True):
    default_visibility: Visibility | None = None
    apply_to_sidecars: bool = False
    policies: tuple[ServiceEntryVisibilityPolicy, ...] = ()


class MeshH2UpgradePolicy(StrEnum):
    DO_NOT_UPGRADE = "DO_NOT_UPGRADE"
    UPGRADE = "UPGRADE"


class MeshConfig(Model, frozen=True, kw_only=True):
    """Defaults are Istio's. ``extension_providers`` lists only those that were declared."""

    proxy_listen_port: int = 15001
    proxy_inbound_listen_port: int = 15006
    proxy_http_port: int = 0
    connect_timeout: Duration = Duration(10_000_000_000)
    hbone_idle_timeout: Duration | None = None
    protocol_detection_timeout: Duration | None = None
    tcp_keepalive: TcpKeepalive | None = None
    ingress_class: str = "istio"
    ingress_service: str = "istio-ingressgateway"
    ingress_controller_mode: IngressControllerMode = IngressControllerMode.STRICT
    ingress_selector: str = "ingressgateway"
    enable_tracing: bool = True
    access_log_file: str = ""
    access_log_format: str = ""
    access_log_encoding: AccessLogEncoding = AccessLogEncoding.TEXT
    enable_envoy_access_log_service: bool = False
    disable_envoy_listener_log: bool = False
    default_config: MeshProxyConfig | None = None
    outbound_traffic_policy: MeshOutboundTrafficPolicy | None = None
    inbound_traffic_policy: InboundTrafficPolicy | None = None
    config_sources: tuple[ConfigSource, ...] = ()
    enable_auto_mtls: bool = True
    trust_domain: str = "cluster.local"
    trust_domain_aliases: tuple[str, ...] = ()
    ca_certificates: tuple[CertificateData, ...] = ()
    default_service_export_to: tuple[str, ...] = ("*",)
    default_virtual_service_export_to: tuple[str, ...] = ("*",)
    default_destination_rule_export_to: tuple[str, ...] = ("*",)
    root_namespace: str = "istio-system"
    locality_lb_setting: LocalityLoadBalancerSetting | None = LocalityLoadBalancerSetting(
        enabled=True
    )
    zone_aware_lb_setting: ZoneAwareLoadBalancerSetting | None = None
    dns_refresh_rate: Duration = Duration(60_000_000_000)
    h2_upgrade_policy: MeshH2UpgradePolicy | None = None
    inbound_cluster_stat_name: str = ""
    outbound_cluster_stat_name: str = ""
    certificates: tuple[Certificate, ...] = ()
    service_settings: tuple[ServiceSettings, ...] = ()
    service_scope_configs: tuple[ServiceScopeConfigs, ...] = ()
    enable_prometheus_merge: bool = True
    verify_certificate_at_client: bool | None = None
    ca: CA | None = None
    extension_providers: tuple[ExtensionProvider, ...] = ()
    default_providers: DefaultProviders | None = None
    discovery_selectors: tuple[LabelSelector, ...] = ()
    path_normalization: ProxyPathNormalization | None = None
    default_http_retry_policy: HTTPRetry | None = None
    mesh_mtls: MeshTLSConfig | None = msgspec.field(name="meshMTLS", default=None)
    tls_defaults: MeshTLSConfig | None = None
    default_traffic_policy: DefaultTrafficPolicy | None = None
    service_entry_visibility: ServiceEntryVisibility | None = None
    default_inbound_http_retry_policy: HTTPRetry | None = None
