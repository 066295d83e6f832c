"""The peers of the sidecar benchmark, written as an engineer would write them by hand."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

# Of a pair: its own port, the next one on the way, and where certificates are.
Half = Callable[[int, int, Path], dict[str, Any]]
TYPE = "type.googleapis.com/envoy."
HTTP_OPTIONS = "extensions.upstreams.http.v3.HttpProtocolOptions"


def nginx(port: int, upstreams: dict[int, int], folder: Path) -> str:
    """nginx as a hand-made sidecar: a weighted split with kept-alive connections."""
    servers = "".join(f"server 127.0.0.1:{p} weight={w};" for p, w in upstreams.items())
    return _nginx(
        folder,
        f"upstream versions {{ {servers} keepalive 64; }}"
        f"server {{ listen 127.0.0.1:{port}; location / {{ proxy_pass http://versions;"
        ' proxy_http_version 1.1; proxy_set_header Connection ""; } }',
    )


def backend(port: int, folder: Path, body: str = "x" * 130) -> str:
    """The application: ``body`` from memory, whatever is asked."""
    return _nginx(folder, f"server {{ listen 127.0.0.1:{port}; return 200 '{body}'; }}")


def _nginx(folder: Path, http: str) -> str:
    return (
        f"daemon off; worker_processes 1; pid {folder}/nginx.pid; error_log {folder}/error.log;"
        "events { worker_connections 1024; }"
        f"http {{ access_log off; keepalive_requests 1000000; client_body_temp_path {folder};"
        f" proxy_temp_path {folder}; fastcgi_temp_path {folder}; uwsgi_temp_path {folder};"
        f" scgi_temp_path {folder}; {http} }}"
    )


def minimal_client(port: int, server: int, certificates: Path) -> dict[str, Any]:
    """The sending half of the smallest Envoy pair with mutual TLS and HTTP/2 between them."""
    tls = _tls("UpstreamTlsContext", certificates, "client", ["h2"])
    cluster = _cluster(server, {"http2_protocol_options": {}}) | {"transport_socket": tls}
    return _bootstrap(_listener(port, _hcm("out")), cluster, {"reject_all": True})


def minimal_server(port: int, application: int, certificates: Path) -> dict[str, Any]:
    tls = _tls("DownstreamTlsContext", certificates, "server", ["h2", "http/1.1"])
    cluster = _cluster(application, {"http_protocol_options": {}})
    return _bootstrap(_listener(port, _hcm("in"), tls), cluster, {"reject_all": True})


def telling(half: Half, collector: int) -> Half:
    """A half of the minimal pair that tells the least that can be told in Envoy: one number of
    requests, a line with their code, 1 % of the traces.
    """

    def told(port: int, to: int, certificates: Path) -> dict[str, Any]:
        document = half(port, to, certificates)
        resources = document["static_resources"]
        (listener,) = resources["listeners"]
        resources["clusters"].append(_cluster(collector, {"http_protocol_options": {}}, "spans"))
        document["stats_config"]["stats_matcher"] = _ISTIO_STATS
        settings = listener["filter_chains"][0]["filters"][0]["typed_config"]
        settings["access_log"] = [_count(), _line(certificates / f"{port}.log")]
        settings["tracing"] = {"random_sampling": {"value": 1}, "provider": _tracer()}
        return document

    return told


def _count() -> dict[str, Any]:
    return _filter(
        "envoy.access_loggers.stats",
        "extensions.access_loggers.stats.v3.Config",
        stats_scope={"prefix": "istio"},
        counters=[{"stat": {"name": "istio_requests_total"}, "value_fixed": 1}],
    )


def _line(file: Path) -> dict[str, Any]:
    return _filter(
        "envoy.access_loggers.file",
        "extensions.access_loggers.file.v3.FileAccessLog",
        path=str(file),
        log_format={"text_format_source": {"inline_string": "%RESPONSE_CODE%\n"}},
    )


def _tracer() -> dict[str, Any]:
    uri = {"uri": "http://spans/v1/traces", "cluster": "spans", "timeout": "5s"}
    return _filter(
        "envoy.tracers.opentelemetry",
        "config.trace.v3.OpenTelemetryConfig",
        http_service={"http_uri": uri},
    )


def istio_client(port: int, server: int, certificates: Path) -> dict[str, Any]:
    """What Istio's translation comes to on stock Envoy: HTTP/1.1 between the sidecars, its HTTP
    filters, and four metrics with all of its labels.
    """
    tls = _tls("UpstreamTlsContext", certificates, "client", ["istio"])
    cluster = _cluster(server, {"http_protocol_options": {}}) | {"transport_socket": tls}
    hcm = _hcm("out", _istio_filters(), [_metrics("source")])
    return _bootstrap(_listener(port, hcm, inspect=True), cluster, _ISTIO_STATS)


def istio_server(port: int, application: int, certificates: Path) -> dict[str, Any]:
    tls = _tls("DownstreamTlsContext", certificates, "server", ["h2", "http/1.1"])
    cluster = _cluster(application, {"http_protocol_options": {}})
    hcm = _hcm("in", _istio_filters(), [_metrics("destination")])
    return _bootstrap(_listener(port, hcm, tls, inspect=True), cluster, _ISTIO_STATS)


_ISTIO_STATS = {
    "inclusion_list": {
        "patterns": [
            {"prefix": p} for p in ("cluster_manager", "listener_manager", "server", "istio")
        ]
    }
}


def _bootstrap(
    listener: dict[str, Any], cluster: dict[str, Any], stats: dict[str, Any]
) -> dict[str, Any]:
    return {
        "static_resources": {"listeners": [listener], "clusters": [cluster]},
        "stats_config": {"stats_matcher": stats},
    }


def _listener(
    port: int,
    hcm: dict[str, Any],
    tls: dict[str, Any] | None = None,
    *,
    inspect: bool = False,
) -> dict[str, Any]:
    chain: dict[str, Any] = {"filters": [hcm]}
    if tls:
        chain["transport_socket"] = tls
    inspectors = [
        _filter(f"envoy.filters.listener.{n}", f"extensions.filters.listener.{n}.v3.{t}")
        for n, t in (("tls_inspector", "TlsInspector"), ("http_inspector", "HttpInspector"))
    ]
    return {
        "name": "listener",
        "address": _address(port),
        "filter_chains": [chain],
        "listener_filters": inspectors if inspect else [],
    }


def _hcm(
    prefix: str,
    filters: list[dict[str, Any]] | None = None,
    access_log: list[dict[str, Any]] | None = None,
) -> dict[str, Any]:
    route = {"match": {"prefix": "/"}, "route": {"cluster": "next", "timeout": "0s"}}
    host = {"name": "all", "domains": ["*"], "routes": [route]}
    router = _filter("envoy.filters.http.router", "extensions.filters.http.router.v3.Router")
    return _filter(
        "envoy.filters.network.http_connection_manager",
        "extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        stat_prefix=prefix,
        route_config={"name": "route", "virtual_hosts": [host]},
        http_filters=[*(filters or []), router],
        access_log=access_log or [],
        stream_idle_timeout="0s",
        normalize_path=True,
    )


def _istio_filters() -> list[dict[str, Any]]:
    return [
        _filter(
            "envoy.filters.http.grpc_stats",
            "extensions.filters.http.grpc_stats.v3.FilterConfig",
            emit_filter_state=True,
            stats_for_all_methods=False,
        ),
        _filter("envoy.filters.http.fault", "extensions.filters.http.fault.v3.HTTPFault"),
        _filter("envoy.filters.http.cors", "extensions.filters.http.cors.v3.Cors"),
    ]


# Istio's labels, with the formatters that give them on stock Envoy.
_WORKLOAD = ("workload", "canonical_service", "canonical_revision", "app", "version", "cluster")
_LABELS = {
    **{f"source_{name}": "client" for name in _WORKLOAD},
    "source_workload_namespace": "default",
    "source_principal": "%UPSTREAM_LOCAL_URI_SAN%",
    **{f"destination_{name}": "%UPSTREAM_METADATA(mesh:workload)%" for name in _WORKLOAD},
    "destination_workload_namespace": "default",
    "destination_principal": "%UPSTREAM_PEER_URI_SAN%",
    "destination_service": "%CLUSTER_METADATA(mesh:host)%",
    "destination_service_name": "%CLUSTER_METADATA(mesh:name)%",
    "destination_service_namespace": "%CLUSTER_METADATA(mesh:namespace)%",
    "request_protocol": "http",
    "response_code": "%RESPONSE_CODE%",
    "grpc_response_status": "%GRPC_STATUS_NUMBER%",
    "response_flags": "%RESPONSE_FLAGS%",
    "connection_security_policy": "mutual_tls",
}


def _metrics(reporter: str) -> dict[str, Any]:
    labels = {"reporter": reporter, **_LABELS}
    tags = [{"name": name, "value_format": value} for name, value in labels.items()]

    def stat(name: str) -> dict[str, Any]:
        return {"name": name, "tags": tags}

    histograms = {
        "istio_request_duration_milliseconds": ("%DURATION%", "Milliseconds"),
        "istio_request_bytes": ("%BYTES_RECEIVED%", "Bytes"),
        "istio_response_bytes": ("%BYTES_SENT%", "Bytes"),
    }
    return _filter(
        "envoy.access_loggers.stats",
        "extensions.access_loggers.stats.v3.Config",
        stats_scope={"prefix": "istio"},
        counters=[{"stat": stat("istio_requests_total"), "value_fixed": 1}],
        histograms=[
            {"stat": stat(name), "value_format": value, "unit": unit}
            for name, (value, unit) in histograms.items()
        ],
    )


def _cluster(port: int, http: dict[str, Any], name: str = "next") -> dict[str, Any]:
    endpoint = {
        "endpoint": {"address": _address(port)},
        "metadata": {"filter_metadata": {"mesh": {"workload": "server-v1"}}},
    }
    service = {"host": "server.default.svc.cluster.local", "name": "server", "namespace": "default"}
    options = {"@type": TYPE + HTTP_OPTIONS, "explicit_http_config": http}
    limits = {"max_connections": 10000, "max_pending_requests": 10000, "max_requests": 10000}
    return {
        "name": name,
        "type": "STATIC",
        "load_assignment": {"cluster_name": name, "endpoints": [{"lb_endpoints": [endpoint]}]},
        "typed_extension_protocol_options": {f"envoy.{HTTP_OPTIONS}": options},
        "circuit_breakers": {"thresholds": [limits]},
        "metadata": {"filter_metadata": {"mesh": service}},
    }


def _tls(kind: str, certificates: Path, name: str, alpn: list[str]) -> dict[str, Any]:
    files = {
        "certificate_chain": {"filename": str(certificates / f"{name}.pem")},
        "private_key": {"filename": str(certificates / f"{name}.key")},
    }
    context: dict[str, Any] = {
        "common_tls_context": {
            "alpn_protocols": alpn,
            "tls_params": {
                "tls_minimum_protocol_version": "TLSv1_2",
                "tls_maximum_protocol_version": "TLSv1_3",
            },
            "tls_certificates": [files],
            "validation_context": {"trusted_ca": {"filename": str(certificates / "ca.pem")}},
        }
    }
    if kind == "DownstreamTlsContext":
        context["require_client_certificate"] = True
    return _filter(
        "envoy.transport_sockets.tls", f"extensions.transport_sockets.tls.v3.{kind}", **context
    )


def _filter(name: str, kind: str, **config: Any) -> dict[str, Any]:
    return {"name": name, "typed_config": {"@type": TYPE + kind, **config}}


def _address(port: int) -> dict[str, Any]:
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}
