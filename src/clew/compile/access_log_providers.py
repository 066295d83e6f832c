"""Access logs that the Telemetry API and MeshConfig's providers ask for."""

from __future__ import annotations

from collections.abc import Iterable

from google.protobuf.json_format import ParseDict
from google.protobuf.message import Message
from google.protobuf.struct_pb2 import Struct

from clew._pb.envoy.config.accesslog.v3.accesslog_pb2 import (
    AccessLog,
    AccessLogFilter,
    ExtensionFilter,
)
from clew._pb.envoy.config.core.v3.config_source_pb2 import ApiVersion
from clew._pb.envoy.config.core.v3.substitution_format_string_pb2 import SubstitutionFormatString
from clew._pb.envoy.extensions.access_loggers.filters.cel.v3.cel_pb2 import ExpressionFilter
from clew._pb.envoy.extensions.access_loggers.grpc.v3.als_pb2 import (
    CommonGrpcAccessLogConfig,
    HttpGrpcAccessLogConfig,
    TcpGrpcAccessLogConfig,
)
from clew._pb.envoy.extensions.access_loggers.open_telemetry.v3.logs_service_pb2 import (
    OpenTelemetryAccessLogConfig,
)
from clew._pb.opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from clew.compile.access_log import (
    NO_CHAIN,
    TEXT_FORMAT,
    file_log,
    handshake_log,
    line_format,
    text_line,
    with_condition,
)
from clew.compile.collectors import Collector, Hosts, collector_of
from clew.compile.tracing import ENVIRONMENT_DETECTOR
from clew.compile.typed_config import typed_config
from clew.model.extension_providers import (
    EnvoyFileAccessLogProvider,
    EnvoyHttpGrpcV3LogProvider,
    EnvoyOpenTelemetryLogProvider,
    EnvoyTcpGrpcV3LogProvider,
    ExtensionProvider,
)
from clew.model.mesh_config import MeshConfig
from clew.snapshot.telemetries import AccessLogInForce

_STDOUT = "/dev/stdout"


def compile_access_logs(
    found: Iterable[AccessLogInForce], mesh: MeshConfig, hosts: Hosts, *, http: bool
) -> list[AccessLog]:
    """The loggers that Telemetry and MeshConfig's providers ask for, of requests or connections.

    A provider whose service the proxy does not see is left out, and so is one for the other kind.

    Source: Istio's ``telemetry_logging.go``.
    """
    return [
        with_condition(log, _where(each.filter)) if each.filter else log
        for each in found
        if (log := _log_of(each.provider, mesh, hosts, http=http)) is not None
    ]


def compile_listener_access_logs(
    found: Iterable[AccessLogInForce], mesh: MeshConfig, hosts: Hosts
) -> list[AccessLog]:
    """The same of connections that no filter chain takes, and of failed TLS handshakes."""
    if mesh.disable_envoy_listener_log:
        return []
    found = tuple(found)
    logs = compile_access_logs(found, mesh, hosts, http=False)
    files = (each.provider.envoy_file_access_log for each in found)
    handshakes = (handshake_log(f.path or _STDOUT, mesh) for f in files if f is not None)
    return [*(with_condition(log, NO_CHAIN) for log in logs), *handshakes]


def _where(expression: str) -> AccessLogFilter:
    packed = typed_config(ExpressionFilter(expression=expression))
    name = "envoy.access_loggers.extension_filters.cel"
    return AccessLogFilter(extension_filter=ExtensionFilter(name=name, typed_config=packed))


def _log_of(
    provider: ExtensionProvider, mesh: MeshConfig, hosts: Hosts, *, http: bool
) -> AccessLog | None:
    if provider.envoy_file_access_log is not None:
        return _to_file(provider.envoy_file_access_log, mesh)
    if provider.envoy_http_als is not None and http:
        return _to_http_service(provider.name, provider.envoy_http_als, hosts)
    if provider.envoy_tcp_als is not None and not http:
        return _to_tcp_service(provider.name, provider.envoy_tcp_als, hosts)
    if provider.envoy_otel_als is not None:
        return _to_opentelemetry(provider.name, provider.envoy_otel_als, hosts)
    return None


def _to_file(provider: EnvoyFileAccessLogProvider, mesh: MeshConfig) -> AccessLog:
    given = provider.log_format
    if given is not None and given.labels is not None:
        line = SubstitutionFormatString(json_format=ParseDict(given.labels, Struct()))
    elif given is not None and given.text:
        line = text_line(given.text)
    else:
        line = line_format(mesh)
    line.omit_empty_values = provider.omit_empty_values
    return file_log(provider.path or _STDOUT, line)


def _to_http_service(
    name: str, provider: EnvoyHttpGrpcV3LogProvider, hosts: Hosts
) -> AccessLog | None:
    collector = collector_of(name, provider, hosts)
    if collector is None:
        return None
    config = HttpGrpcAccessLogConfig(
        common_config=_common(
            collector,
            provider.log_name or "http_envoy_accesslog",
            provider.filter_state_objects_to_log,
        ),
        additional_request_headers_to_log=provider.additional_request_headers_to_log,
        additional_response_headers_to_log=provider.additional_response_headers_to_log,
        additional_response_trailers_to_log=provider.additional_response_trailers_to_log,
    )
    return _named("http_grpc", config)


def _to_tcp_service(
    name: str, provider: EnvoyTcpGrpcV3LogProvider, hosts: Hosts
) -> AccessLog | None:
    collector = collector_of(name, provider, hosts)
    if collector is None:
        return None
    common = _common(
        collector, provider.log_name or "tcp_envoy_accesslog", provider.filter_state_objects_to_log
    )
    return _named("tcp_grpc", TcpGrpcAccessLogConfig(common_config=common))


def _common(
    collector: Collector, log_name: str, states: Iterable[str]
) -> CommonGrpcAccessLogConfig:
    return CommonGrpcAccessLogConfig(
        log_name=log_name,
        grpc_service=collector.grpc(),
        filter_state_objects_to_log=states,
        transport_api_version=ApiVersion.V3,
    )


def _to_opentelemetry(
    name: str, provider: EnvoyOpenTelemetryLogProvider, hosts: Hosts
) -> AccessLog | None:
    collector = collector_of(name, provider, hosts)
    if collector is None:
        return None
    given = provider.log_format
    config = OpenTelemetryAccessLogConfig(
        common_config=_common(collector, provider.log_name or "otel_envoy_accesslog", ()),
        body=AnyValue(string_value=(given.text if given and given.text else TEXT_FORMAT).rstrip()),
        # Its environment names the workload (see the agent).
        resource_detectors=[ENVIRONMENT_DETECTOR],
    )
    labels = given.labels if given is not None and given.labels is not None else {}
    config.attributes.values.extend(
        KeyValue(key=key, value=AnyValue(string_value=str(value)))
        for key, value in sorted(labels.items())
    )
    return _named("open_telemetry", config)


def _named(name: str, config: Message) -> AccessLog:
    return AccessLog(name=f"envoy.access_loggers.{name}", typed_config=typed_config(config))
