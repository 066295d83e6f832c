"""What proxies tell of their traffic, as the Telemetry API and MeshConfig's providers say."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.message import Message

from clew._pb.envoy.config.accesslog.v3.accesslog_pb2 import AccessLog
from clew._pb.envoy.config.trace.v3.opentelemetry_pb2 import OpenTelemetryConfig
from clew._pb.envoy.config.trace.v3.zipkin_pb2 import ZipkinConfig
from clew._pb.envoy.extensions.access_loggers.file.v3.file_pb2 import FileAccessLog
from clew._pb.envoy.extensions.access_loggers.filters.cel.v3.cel_pb2 import ExpressionFilter
from clew._pb.envoy.extensions.access_loggers.grpc.v3.als_pb2 import (
    HttpGrpcAccessLogConfig,
    TcpGrpcAccessLogConfig,
)
from clew._pb.envoy.extensions.access_loggers.open_telemetry.v3.logs_service_pb2 import (
    OpenTelemetryAccessLogConfig,
)
from clew._pb.envoy.extensions.filters.network.http_connection_manager.v3 import (
    http_connection_manager_pb2 as hcm_pb2,
)
from clew._pb.envoy.extensions.filters.network.tcp_proxy.v3.tcp_proxy_pb2 import (
    TcpProxy,
    UpstreamConnectMode,
)
from clew._pb.envoy.extensions.request_id.uuid.v3.uuid_pb2 import UuidRequestIdConfig
from clew.compile.check import check_published
from clew.compile.config_dump import config_dump
from clew.compile.memo import Memo
from clew.compile.proxy import compile_proxy
from clew.compile.telemetry import with_telemetry
from clew.model.proxy import Proxy, ProxyType
from clew.model.xds import CLUSTER, LISTENER, Published
from clew.snapshot.scope import ProxyScope
from clew.snapshot.scope_builder import build_scope
from clew.snapshot.snapshot import build_snapshot
from clew.snapshot.telemetries import NO_TELEMETRY
from tests.compile.meshes import SERVICE, listener_in, mesh_config, published
from tests.envoy.validate import validate
from tests.manifests import resources_of

Manager = hcm_pb2.HttpConnectionManager
COLLECTOR = """
apiVersion: v1
kind: Service
metadata: {name: collector, namespace: tools}
spec:
  clusterIP: 10.1.0.9
  ports: [{name: grpc, port: 4317}, {name: http, port: 4318}, {name: http-zipkin, port: 9411}]
"""
HOST = "collector.tools.svc.cluster.local"
PROVIDERS = f"""
extensionProviders:
- {{name: otel, opentelemetry: {{service: {HOST}, port: 4317, maxTagLength: 77,
    grpc: {{timeout: 3s, initialMetadata: [{{name: who, value: me}}]}}}}}}
- {{name: otel-http, opentelemetry: {{service: tools/{HOST}, port: 4318,
    http: {{path: /spans, timeout: 2s, headers: [{{name: who, envName: TOKEN}}]}}}}}}
- {{name: zipkin, zipkin: {{service: {HOST}, port: 9411, path: /api,
    enable64bitTraceId: true, traceContextOption: USE_B3_WITH_W3C_PROPAGATION, maxTagLength: 9,
    timeout: 4s, headers: [{{name: who, value: me}}]}}}}
- {{name: nowhere, opentelemetry: {{service: gone.tools.svc.cluster.local, port: 1}}}}
- {{name: text, envoyFileAccessLog: {{path: /tmp/a, logFormat: {{text: "%PROTOCOL%"}}}}}}
- {{name: json, envoyFileAccessLog: {{path: /tmp/b, omitEmptyValues: true,
    logFormat: {{labels: {{code: "%RESPONSE_CODE%"}}}}}}}}
- {{name: http-als, envoyHttpAls: {{service: {HOST}, port: 4317, logName: mine,
    filterStateObjectsToLog: [a], additionalRequestHeadersToLog: [b],
    additionalResponseHeadersToLog: [c], additionalResponseTrailersToLog: [d]}}}}
- {{name: tcp-als, envoyTcpAls: {{service: {HOST}, port: 4317, logName: of-connections,
    filterStateObjectsToLog: [a]}}}}
- {{name: otel-als, envoyOtelAls: {{service: {HOST}, port: 4317, logName: other,
    logFormat: {{text: "%PROTOCOL%", labels: {{code: "%RESPONSE_CODE%"}}}}}}}}
"""


def telemetry(spec: str, name: str = "told") -> str:
    return f"""
apiVersion: telemetry.istio.io/v1
kind: Telemetry
metadata: {{name: {name}, namespace: default}}
spec: {{{spec}}}
"""


def mesh(*texts: str, more: str = "", **about: Any) -> Published:
    about = {"labels": {"app": "reviews"}, "ip": "10.0.0.1", **about}
    return published(SERVICE, COLLECTOR, mesh_config(PROVIDERS + more), *texts, **about)


def manager_in(found: Published, *, inbound: bool = False) -> Manager:
    """The connection manager of port 80, of the client's side or the server's."""
    listener = listener_in(found, "virtualInbound" if inbound else "0.0.0.0_80")
    return next(
        manager
        for chain in listener.filter_chains
        for each in chain.filters
        if each.typed_config.Unpack(manager := Manager())
        and (not inbound or chain.filter_chain_match.destination_port.value == 80)
    )


def tcp_proxies(found: Published, name: str) -> dict[bool, TcpProxy]:
    """Those of port 82, by whether their chain ends mTLS."""
    return {
        chain.HasField("transport_socket"): proxy
        for chain in listener_in(found, name).filter_chains
        for each in chain.filters
        if each.typed_config.Unpack(proxy := TcpProxy())
        and chain.filter_chain_match.destination_port.value == 82
    }


def names(logs: Any) -> list[str]:
    return [each.name.rpartition(".")[2] for each in logs]


def unpacked(log: AccessLog, kind: type[Message]) -> Any:
    found = kind()
    assert log.typed_config.Unpack(found), log.name
    return found


@pytest.mark.proves("DefaultProviders.metrics", "ExtensionProvider.prometheus")
def test_every_listener_counts_unless_metrics_are_off(tmp_path: Path) -> None:
    found = mesh()
    assert names(manager_in(found).access_log) == ["stats"] * 2
    assert names(manager_in(found, inbound=True).access_log) == ["stats"] * 2
    assert check_published(found) == ()
    off = mesh(telemetry("metrics: [{overrides: [{disabled: true}]}]"))
    assert not any(b"access_loggers.stats" in each.body for each in off[LISTENER].values())
    named = mesh(telemetry("metrics: []"), more="defaultProviders: {metrics: [prometheus]}")
    assert names(manager_in(named).access_log) == ["stats"] * 2
    assert validate(config_dump(found), tmp_path) == ""


def test_servers_know_clients_by_their_certificates_alone() -> None:
    found = mesh()
    requests = manager_in(found, inbound=True).access_log
    connections = tcp_proxies(found, "virtualInbound")[True].access_log
    for log in (*requests, *connections):
        assert b"destination~%DOWNSTREAM_PEER_OTHERNAME_SAN%~" in log.typed_config.value
    assert not any(b"x-clew-" in each.body for kind in found.values() for each in kind.values())


def test_connections_of_mesh_clients_are_counted_once_it_is_known_whose_they_are() -> None:
    proxies = tcp_proxies(mesh(), "virtualInbound")
    late = UpstreamConnectMode.ON_DOWNSTREAM_TLS_HANDSHAKE
    assert proxies[True].upstream_connect_mode == late
    assert proxies[False].upstream_connect_mode != late
    assert proxies[True].access_log_options.flush_access_log_on_connected


def test_lines_of_connections_are_still_written_once() -> None:
    [line, *stats] = tcp_proxies(mesh(more="accessLogFile: /dev/stdout"), "virtualInbound")[
        True
    ].access_log
    assert line.name == "envoy.access_loggers.stdout"
    assert line.filter.log_type_filter.exclude
    assert names(stats) == ["stats", "stats"]


@pytest.mark.proves(
    "TelemetrySpec.metrics",
    "TelemetrySpec.selector",
    "Metrics.overrides",
    "Metrics.providers",
    "MetricsOverrides.match",
    "MetricsOverrides.disabled",
    "MetricsOverrides.tagOverrides",
    "MetricSelector.metric",
    "MetricSelector.mode",
    "TagOverride.operation=UPSERT",
    "TagOverride.operation=REMOVE",
    "TagOverride.value",
)
def test_metrics_have_the_tags_that_they_are_to_have(tmp_path: Path) -> None:
    overrides = (
        "{match: {metric: REQUEST_COUNT, mode: CLIENT}, tagOverrides: "
        "{request_host: {value: request.host}, big: {value: 'request.size > 10'},"
        " destination_port: {value: string(destination.port)},"
        " response_flags: {operation: REMOVE}}}"
    )
    chosen = "selector: {matchLabels: {app: reviews}}, "
    spec = f"metrics: [{{providers: [{{name: prometheus}}], overrides: [{overrides}]}}]"
    found = mesh(telemetry(chosen + spec))
    body = manager_in(found).access_log[0].typed_config.value
    assert b"request_host" in body
    assert b"%REQ(:AUTHORITY)%" in body
    assert b"%CEL(request.size > 10)%" in body
    assert b"%CEL(destination.port)%" in body
    assert b"request_host" not in manager_in(found, inbound=True).access_log[0].typed_config.value
    other = mesh(telemetry(chosen + spec), labels={"app": "other"}, ip="10.0.0.8")
    assert b"request_host" not in manager_in(other).access_log[0].typed_config.value
    assert validate(config_dump(found), tmp_path) == ""


@pytest.mark.proves(
    "TelemetrySpec.accessLogging",
    "AccessLogging.providers",
    "AccessLogging.filter",
    "AccessLogFilter.expression",
    "ExtensionProvider.envoyFileAccessLog",
    "ExtensionProvider.envoyHttpAls",
    "ExtensionProvider.envoyTcpAls",
    "ExtensionProvider.envoyOtelAls",
    "EnvoyFileAccessLogProvider.path",
    "EnvoyFileAccessLogProvider.logFormat",
    "EnvoyFileAccessLogProvider.omitEmptyValues",
    "FileLogFormat.text",
    "FileLogFormat.labels",
    "EnvoyHttpGrpcV3LogProvider.service",
    "EnvoyHttpGrpcV3LogProvider.port",
    "EnvoyHttpGrpcV3LogProvider.logName",
    "EnvoyHttpGrpcV3LogProvider.filterStateObjectsToLog",
    "EnvoyHttpGrpcV3LogProvider.additionalRequestHeadersToLog",
    "EnvoyHttpGrpcV3LogProvider.additionalResponseHeadersToLog",
    "EnvoyHttpGrpcV3LogProvider.additionalResponseTrailersToLog",
    "EnvoyTcpGrpcV3LogProvider.service",
    "EnvoyTcpGrpcV3LogProvider.port",
    "EnvoyTcpGrpcV3LogProvider.logName",
    "EnvoyTcpGrpcV3LogProvider.filterStateObjectsToLog",
    "EnvoyOpenTelemetryLogProvider.service",
    "EnvoyOpenTelemetryLogProvider.port",
    "EnvoyOpenTelemetryLogProvider.logName",
    "EnvoyOpenTelemetryLogProvider.logFormat",
    "OpenTelemetryLogFormat.text",
    "OpenTelemetryLogFormat.labels",
)
def test_access_logs_go_where_providers_say(tmp_path: Path) -> None:
    wanted = ", ".join(
        f"{{name: {name}}}" for name in ("text", "json", "http-als", "tcp-als", "otel-als")
    )
    filtered = f"providers: [{wanted}], filter: {{expression: 'response.code >= 500'}}"
    found = mesh(telemetry(f"accessLogging: [{{{filtered}}}]"))
    text, json, als, otel, stats, _ = manager_in(found).access_log
    assert stats.name == "envoy.access_loggers.stats"
    assert not stats.HasField("filter"), "requests are counted whether they are logged or not"
    for log in (text, json, als, otel):
        expression = ExpressionFilter()
        assert log.filter.extension_filter.typed_config.Unpack(expression)
        assert expression.expression == "response.code >= 500"
    in_text = unpacked(text, FileAccessLog)
    assert in_text.path == "/tmp/a"
    assert in_text.log_format.text_format_source.inline_string == "%PROTOCOL%\n"
    in_json = unpacked(json, FileAccessLog).log_format
    assert in_json.json_format["code"] == "%RESPONSE_CODE%"
    assert in_json.omit_empty_values
    service = unpacked(als, HttpGrpcAccessLogConfig)
    assert service.common_config.log_name == "mine"
    assert service.common_config.grpc_service.envoy_grpc.cluster_name == f"outbound|4317||{HOST}"
    assert list(service.common_config.filter_state_objects_to_log) == ["a"]
    assert list(service.additional_request_headers_to_log) == ["b"]
    assert list(service.additional_response_headers_to_log) == ["c"]
    assert list(service.additional_response_trailers_to_log) == ["d"]
    logs = unpacked(otel, OpenTelemetryAccessLogConfig)
    assert logs.common_config.log_name == "other"
    assert logs.body.string_value == "%PROTOCOL%"
    assert logs.attributes.values[0].key == "code"
    connections = tcp_proxies(found, "virtualInbound")[True].access_log
    kinds = ["file", "file", "tcp_grpc", "open_telemetry", "stats", "stats"]
    assert names(connections) == kinds
    plain = unpacked(connections[2], TcpGrpcAccessLogConfig).common_config
    assert plain.log_name == "of-connections"
    assert list(plain.filter_state_objects_to_log) == ["a"]
    assert f"outbound|4317||{HOST}" in found[LISTENER]["0.0.0.0_80"].uses
    assert validate(config_dump(found), tmp_path) == ""


@pytest.mark.proves(
    "AccessLogging.disabled",
    "AccessLogging.match",
    "TelemetryMatch.mode=CLIENT",
    "TelemetryMatch.mode=SERVER",
    "DefaultProviders.accessLogging",
)
def test_access_logs_are_for_the_side_that_is_named() -> None:
    found = mesh(
        telemetry("accessLogging: [{disabled: true, match: {mode: CLIENT}}]"),
        more="defaultProviders: {accessLogging: [text]}\naccessLogFile: /dev/stdout",
    )
    assert names(manager_in(found).access_log) == ["stats"] * 2
    assert names(manager_in(found, inbound=True).access_log) == ["file", "stats", "stats"]
    assert not listener_in(found, "0.0.0.0_80").access_log
    assert names(listener_in(found, "virtualInbound").access_log) == ["file", "file"]


@pytest.mark.proves(
    "TelemetrySpec.tracing",
    "Tracing.providers",
    "Tracing.match",
    "Tracing.randomSamplingPercentage",
    "Tracing.disableContextPropagation",
    "Tracing.customTags",
    "Tracing.enableIstioTags",
    "Tracing.useRequestIdForTraceSampling",
    "CustomTag.literal",
    "CustomTag.environment",
    "CustomTag.header",
    "CustomTag.formatter",
    "TagLiteral.value",
    "TagEnvironment.name",
    "TagEnvironment.defaultValue",
    "TagHeader.name",
    "TagHeader.defaultValue",
    "TagFormatter.value",
    "ExtensionProvider.opentelemetry",
    "OpenTelemetryTracingProvider.service",
    "OpenTelemetryTracingProvider.port",
    "OpenTelemetryTracingProvider.maxTagLength",
    "OpenTelemetryTracingProvider.http",
    "OpenTelemetryTracingProvider.grpc",
    "ProviderRef.name",
    "TelemetryMatch.mode=CLIENT_AND_SERVER",
    "GrpcService.timeout",
    "GrpcService.initialMetadata",
    "HttpService.path",
    "HttpService.timeout",
    "HttpService.headers",
    "HttpHeader.name",
    "HttpHeader.value",
    "HttpHeader.envName",
)
def test_spans_go_to_opentelemetry_as_telemetry_says(tmp_path: Path) -> None:
    tags = (
        "customTags: {a: {literal: {value: x}}, b: {environment: {name: Y, defaultValue: y}},"
        " c: {header: {name: z, defaultValue: q}}, d: {formatter: {value: '%PROTOCOL%'}}, e: {}}"
    )
    spec = (
        f"tracing: [{{providers: [{{name: otel}}], randomSamplingPercentage: 12.5, {tags}}},"
        "{match: {mode: SERVER}, providers: [{name: otel-http}], enableIstioTags: false,"
        " disableContextPropagation: true, useRequestIdForTraceSampling: false}]"
    )
    found = mesh(telemetry(spec))
    client = manager_in(found).tracing
    assert client.random_sampling.value == 12.5
    assert client.client_sampling.value == client.overall_sampling.value == 100
    assert client.max_path_tag_length.value == 77
    config = unpacked_provider(client, OpenTelemetryConfig)
    assert config.grpc_service.envoy_grpc.cluster_name == f"outbound|4317||{HOST}"
    assert config.grpc_service.timeout.seconds == 3
    assert config.grpc_service.initial_metadata[0].value == "me"
    by_name = {tag.tag: tag for tag in client.custom_tags}
    assert by_name["a"].literal.value == "x"
    assert (by_name["b"].environment.name, by_name["b"].environment.default_value) == ("Y", "y")
    header = by_name["c"].request_header
    assert (header.name, header.default_value) == ("z", "q")
    assert by_name["d"].value == "%PROTOCOL%"
    assert "istio.canonical_service" in by_name
    manager = manager_in(found, inbound=True)
    server = manager.tracing
    assert server.no_context_propagation
    assert {tag.tag for tag in server.custom_tags} == {"a", "b", "c", "d"}
    http = unpacked_provider(server, OpenTelemetryConfig).http_service
    assert http.http_uri.uri == f"http://{HOST}/spans"
    assert http.http_uri.cluster == f"outbound|4318||{HOST}"
    assert http.http_uri.timeout.seconds == 2
    assert http.request_headers_to_add[0].header.value == "%ENVIRONMENT(TOKEN)%"
    request_id = UuidRequestIdConfig()
    assert manager.request_id_extension.typed_config.Unpack(request_id)
    assert not request_id.use_request_id_for_trace_sampling.value
    assert validate(config_dump(found), tmp_path) == ""


def unpacked_provider(tracing: Manager.Tracing, kind: type[Message]) -> Any:
    found = kind()
    assert tracing.provider.typed_config.Unpack(found)
    return found


@pytest.mark.proves(
    "DefaultProviders.tracing",
    "ExtensionProvider.zipkin",
    "ZipkinTracingProvider.service",
    "ZipkinTracingProvider.port",
    "ZipkinTracingProvider.path",
    "ZipkinTracingProvider.enable64bitTraceId",
    "ZipkinTracingProvider.traceContextOption=USE_B3_WITH_W3C_PROPAGATION",
    "ZipkinTracingProvider.maxTagLength",
    "ZipkinTracingProvider.timeout",
    "ZipkinTracingProvider.headers",
    "TracingCustomTag.literal",
    "TracingCustomTag.environment",
    "TracingCustomTag.header",
    "LiteralTag.value",
    "EnvironmentTag.name",
    "EnvironmentTag.defaultValue",
    "RequestHeaderTag.name",
    "RequestHeaderTag.defaultValue",
    "MeshProxyConfig.tracing",
    "ProxyTracing.sampling",
    "ProxyTracing.customTags",
    "ProxyTracing.enableIstioTags",
)
def test_spans_go_to_zipkin_with_both_kinds_of_headers(tmp_path: Path) -> None:
    settings = (
        "defaultProviders: {tracing: [zipkin]}\n"
        "defaultConfig: {tracing: {sampling: 42, enableIstioTags: false,"
        " customTags: {a: {literal: {value: x}}, b: {environment: {name: Y, defaultValue: y}},"
        " c: {header: {name: z, defaultValue: q}}}}}"
    )
    found = mesh(more=settings)
    tracing = manager_in(found).tracing
    config = unpacked_provider(tracing, ZipkinConfig)
    service = config.collector_service
    assert service.http_uri.cluster == f"outbound|9411||{HOST}"
    assert service.http_uri.uri == f"http://{HOST}/api"
    assert service.http_uri.timeout.seconds == 4
    assert service.request_headers_to_add[0].header.value == "me"
    assert not config.trace_id_128bit
    assert config.trace_context_option == ZipkinConfig.USE_B3_WITH_W3C_PROPAGATION
    assert tracing.max_path_tag_length.value == 9
    assert tracing.random_sampling.value == 42
    a, b, c = tracing.custom_tags
    assert (a.tag, a.literal.value) == ("a", "x")
    assert (b.environment.name, b.environment.default_value) == ("Y", "y")
    assert (c.request_header.name, c.request_header.default_value) == ("z", "q")
    assert validate(config_dump(found), tmp_path) == ""


@pytest.mark.proves(
    "MeshConfig.enableTracing",
    "ProxyTracing.zipkin",
    "ProxyTracing.maxPathTagLength",
    "ZipkinTracer.address",
    "ZipkinTracingProvider.traceContextOption=USE_B3",
)
def test_a_proxys_own_settings_may_name_zipkins_address() -> None:
    at = "zipkin: {address: 'collector.tools:9411'}, maxPathTagLength: 33"
    own = f"defaultConfig: {{tracing: {{{at}}}}}"
    tracing = manager_in(mesh(more=own)).tracing
    config = unpacked_provider(tracing, ZipkinConfig)
    assert config.collector_cluster == f"outbound|9411||{HOST}"
    assert config.collector_endpoint == "/api/v2/spans"
    assert config.trace_id_128bit
    assert config.trace_context_option == ZipkinConfig.USE_B3
    assert tracing.random_sampling.value == 1
    assert tracing.max_path_tag_length.value == 33
    off = manager_in(mesh(more=f"{own}\nenableTracing: false"))
    assert not off.HasField("tracing")


@pytest.mark.proves("Tracing.disableSpanReporting")
@pytest.mark.parametrize(
    "tracing", ["{disableSpanReporting: true}", "{providers: [{name: nowhere}]}"]
)
def test_there_are_no_spans_where_they_are_off_or_have_nowhere_to_go(tracing: str) -> None:
    found = mesh(telemetry(f"tracing: [{tracing}]"), more="defaultProviders: {tracing: [otel]}")
    assert not manager_in(found).HasField("tracing")
    assert check_published(found) == ()


def test_gateways_count_as_clients() -> None:
    found = published(
        SERVICE,
        """
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: shop, namespace: default}
spec:
  selector: {istio: ingressgateway}
  servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: ["*"]}]
""",
        telemetry("accessLogging: [{providers: [{name: envoy}], match: {mode: CLIENT}}]"),
        type=ProxyType.ROUTER,
        labels={"istio": "ingressgateway"},
    )
    [manager] = [
        manager
        for each in listener_in(found, "0.0.0.0_80").filter_chains[0].filters
        if each.typed_config.Unpack(manager := Manager())
    ]
    assert names(manager.access_log) == ["stdout", "stats", "stats"]
    assert b"source~" in manager.access_log[1].typed_config.value


def test_a_collector_without_a_cluster_keeps_no_listener_from_being_there() -> None:
    scope = build_scope(
        build_snapshot(
            resources_of(
                "\n---\n".join(
                    (SERVICE, COLLECTOR, mesh_config(PROVIDERS), telemetry(ALL_SPANS_AND_LOGS))
                )
            )
        ),
        Proxy(type=ProxyType.SIDECAR, name="a", namespace="default", ip="10.0.0.9"),
    )
    memo = Memo()
    whole = compile_proxy(scope, memo)
    assert manager_in(whole).HasField("tracing")
    without = {n: c for n, c in whole[CLUSTER].items() if n != f"outbound|4317||{HOST}"}
    listener = {"0.0.0.0_80": compile_bare(scope)[LISTENER]["0.0.0.0_80"]}
    told = with_telemetry({**whole, CLUSTER: without, LISTENER: listener}, scope, memo)
    manager = manager_in(told)
    assert not manager.HasField("tracing")
    assert names(manager.access_log) == ["stats", "stats"]


ALL_SPANS_AND_LOGS = (
    "tracing: [{providers: [{name: otel}]}], accessLogging: [{providers: [{name: otel-als}]}]"
)


def compile_bare(scope: ProxyScope) -> Published:
    return compile_proxy(replace(scope, telemetry=NO_TELEMETRY), Memo())
