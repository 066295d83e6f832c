"""Extension providers of MeshConfig: authorizers, and where traces and access logs go."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from clew.model.base import Model
from clew.model.duration import Duration
from clew.model.mesh_proxy_config import TraceContext


class TraceContextOption(StrEnum):
    USE_B3 = "USE_B3"
    USE_B3_WITH_W3C_PROPAGATION = "USE_B3_WITH_W3C_PROPAGATION"


class ServiceAttributeEnrichment(StrEnum):
    ISTIO_CANONICAL = "ISTIO_CANONICAL"
    OTEL_SEMANTIC_CONVENTIONS = "OTEL_SEMANTIC_CONVENTIONS"


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
