"""Traces: which requests have spans, what is in them, and where they go.

Source: istio ``pilot/pkg/networking/core/tracing.go``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import timedelta

from google.protobuf.message import Message

from clew._pb.envoy.config.core.v3.base_pb2 import HeaderValueOption
from clew._pb.envoy.config.core.v3.extension_pb2 import TypedExtensionConfig
from clew._pb.envoy.config.core.v3.http_service_pb2 import HttpService
from clew._pb.envoy.config.trace.v3.http_tracer_pb2 import Tracing as Tracer
from clew._pb.envoy.config.trace.v3.opentelemetry_pb2 import OpenTelemetryConfig
from clew._pb.envoy.config.trace.v3.zipkin_pb2 import ZipkinConfig
from clew._pb.envoy.extensions.filters.network.http_connection_manager.v3 import (
    http_connection_manager_pb2 as hcm_pb2,
)
from clew._pb.envoy.extensions.request_id.uuid.v3.uuid_pb2 import UuidRequestIdConfig
from clew._pb.envoy.extensions.tracers.opentelemetry.resource_detectors.v3 import (
    environment_resource_detector_pb2 as environment_pb2,
)
from clew._pb.envoy.type.tracing.v3.custom_tag_pb2 import CustomTag as EnvoyTag
from clew.compile.collectors import Collector, Hosts, collector_of, header_values
from clew.compile.typed_config import typed_config
from clew.model.duration import Duration
from clew.model.extension_providers import (
    ExtensionProvider,
    HttpHeader,
    OpenTelemetryTracingProvider,
    TraceContextOption,
    ZipkinTracingProvider,
)
from clew.model.mesh_config import MeshConfig
from clew.model.mesh_proxy_config import ProxyTracing, TracingCustomTag
from clew.model.metrics import CANONICAL_VARIABLES
from clew.model.telemetry import CustomTag
from clew.snapshot.telemetries import TracingInForce

Manager = hcm_pb2.HttpConnectionManager

# Source: Istio's PILOT_TRACE_SAMPLING.
_SAMPLING = 1.0
_PATH_LENGTH = 256
_SEND_TIMEOUT = timedelta(seconds=5)
_NO_SETTINGS = ProxyTracing()

# OTEL_RESOURCE_ATTRIBUTES of Envoy's environment, in which the agent names the workload.
ENVIRONMENT_DETECTOR = TypedExtensionConfig(
    name="envoy.tracers.opentelemetry.resource_detectors.environment",
    typed_config=typed_config(environment_pb2.EnvironmentResourceDetectorConfig()),
)


def apply_tracing(manager: Manager, found: TracingInForce, mesh: MeshConfig, hosts: Hosts) -> None:
    """Let a connection manager make spans, if there is somewhere to send them."""
    if found.disabled or found.provider is None:
        return
    tracer = _tracer(found.provider, hosts)
    if tracer is None:
        return
    settings = (mesh.default_config.tracing if mesh.default_config else None) or _NO_SETTINGS
    tracing = manager.tracing
    tracing.provider.CopyFrom(tracer)
    tracing.client_sampling.value = tracing.overall_sampling.value = 100.0
    asked = settings.sampling if found.sampling is None else found.sampling
    tracing.random_sampling.value = _SAMPLING if asked is None else asked
    length = _tag_length(found.provider) or settings.max_path_tag_length
    tracing.max_path_tag_length.value = length or _PATH_LENGTH
    tracing.no_context_propagation = not found.propagates_context
    tracing.custom_tags.extend(_tags(found, settings))
    _sample_by_request_id(manager, wanted=found.sample_by_request_id)


def _tracer(provider: ExtensionProvider, hosts: Hosts) -> Tracer.Http | None:
    if provider.opentelemetry is not None:
        collector = collector_of(provider.name, provider.opentelemetry, hosts)
        return _opentelemetry(provider.opentelemetry, collector) if collector else None
    if provider.zipkin is not None:
        collector = collector_of(provider.name, provider.zipkin, hosts)
        return _zipkin(provider.zipkin, collector) if collector else None
    return None


def _opentelemetry(provider: OpenTelemetryTracingProvider, collector: Collector) -> Tracer.Http:
    config = OpenTelemetryConfig(resource_detectors=[ENVIRONMENT_DETECTOR])
    if provider.http is not None:
        given = provider.http
        path = given.path or "/v1/traces"
        config.http_service.CopyFrom(_http(path, given.timeout, given.headers, collector))
    else:
        config.grpc_service.CopyFrom(collector.grpc())
        if provider.grpc is not None:
            if provider.grpc.timeout is not None:
                config.grpc_service.timeout.FromTimedelta(provider.grpc.timeout.timedelta)
            config.grpc_service.initial_metadata.extend(
                header_values(provider.grpc.initial_metadata)
            )
    return _named("envoy.tracers.opentelemetry", config)


def _http(
    path: str, timeout: Duration | None, headers: Iterable[HttpHeader], collector: Collector
) -> HttpService:
    service = HttpService()
    service.http_uri.uri = f"http://{collector.host}/{path.lstrip('/')}"
    service.http_uri.cluster = collector.cluster
    service.http_uri.timeout.FromTimedelta(timeout.timedelta if timeout else _SEND_TIMEOUT)
    service.request_headers_to_add.extend(
        HeaderValueOption(header=header) for header in header_values(headers)
    )
    return service


_CONTEXTS = {
    TraceContextOption.USE_B3: ZipkinConfig.USE_B3,
    TraceContextOption.USE_B3_WITH_W3C_PROPAGATION: ZipkinConfig.USE_B3_WITH_W3C_PROPAGATION,
}


def _zipkin(provider: ZipkinTracingProvider, collector: Collector) -> Tracer.Http:
    path = provider.path or "/api/v2/spans"
    config = ZipkinConfig(
        collector_cluster=collector.cluster,
        collector_endpoint=path,
        collector_hostname=collector.host,
        collector_endpoint_version=ZipkinConfig.HTTP_JSON,
        trace_id_128bit=not provider.enable64bit_trace_id,
        trace_context_option=_CONTEXTS[provider.trace_context_option or TraceContextOption.USE_B3],
    )
    config.shared_span_context.value = False
    if provider.timeout is not None or provider.headers:
        service = _http(path, provider.timeout, provider.headers, collector)
        config.collector_service.CopyFrom(service)
    return _named("envoy.tracers.zipkin", config)


def _named(name: str, config: Message) -> Tracer.Http:
    return Tracer.Http(name=name, typed_config=typed_config(config))


def _tag_length(provider: ExtensionProvider) -> int:
    kind = provider.opentelemetry or provider.zipkin
    return kind.max_tag_length if kind is not None else 0


def _tags(found: TracingInForce, settings: ProxyTracing) -> Iterator[EnvoyTag]:
    """Istio's tags and the user's, by name."""
    given: Mapping[str, CustomTag | TracingCustomTag] = found.custom_tags or settings.custom_tags
    made = {name: _tag(name, tag) for name, tag in given.items()}
    tags = {name: tag for name, tag in made.items() if tag.WhichOneof("type")}
    wanted = settings.enable_istio_tags if found.istio_tags is None else found.istio_tags
    if wanted is not False:
        for name, variable in CANONICAL_VARIABLES.items():
            environment = EnvoyTag.Environment(name=variable, default_value="unknown")
            tags.setdefault(name, EnvoyTag(tag=name, environment=environment))
    yield from (tags[name] for name in sorted(tags))


def _tag(name: str, given: CustomTag | TracingCustomTag) -> EnvoyTag:
    tag = EnvoyTag(tag=name)
    if given.literal is not None:
        tag.literal.value = given.literal.value
    elif given.environment is not None:
        tag.environment.name = given.environment.name
        tag.environment.default_value = given.environment.default_value
    elif given.header is not None:
        tag.request_header.name = given.header.name
        tag.request_header.default_value = given.header.default_value
    elif isinstance(given, CustomTag) and given.formatter is not None:
        tag.value = given.formatter.value
    return tag


def _sample_by_request_id(manager: Manager, *, wanted: bool) -> None:
    config = UuidRequestIdConfig()
    manager.request_id_extension.typed_config.Unpack(config)
    config.use_request_id_for_trace_sampling.value = wanted
    manager.request_id_extension.typed_config.CopyFrom(typed_config(config))
