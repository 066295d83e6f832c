"""An Envoy's bootstrap: who it is, where its configuration comes from, how it is watched.

Source: Istio's ``envoy_bootstrap.json`` for names, ports and stats; everything else is clew's.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from clew.agent.bootstrap_patches import patched
from clew.agent.capture import PROXY_MARK
from clew.agent.spec import AgentSpec, Capture
from clew.model import names
from clew.model.mesh_proxy_config import (
    ConnectionSettings,
    ProxyStatsMatcher,
    TracingServiceName,
)
from clew.model.proxy import SELF_DISCOVERY, STATUS_ADDRESS, Interception

_TYPE = "type.googleapis.com/"
# The certificate that the control plane serves with; the agent trusts no other.
CONTROL_PLANE_NAMESPACE = "istio-system"
CONTROL_PLANE_SERVICE_ACCOUNT = "istiod"
CONTROL_PLANE_SERVER_NAME = "istiod.istio-system.svc"

# Whose API clew has, for EnvoyFilters that are for some versions only.
_ISTIO_VERSION = "1.31.0"

# Variables of the proxy's environment with this prefix are part of its node.
_METADATA = "ISTIO_META_"

# All below the directory that is private to the workload and Envoy's working directory.
ADMIN_SOCKET = "admin.sock"
CONTROL_PLANE_SOCKET = "control-plane.sock"
METRICS_SOCKET = "metrics.sock"
SDS_DIRECTORY = "sds"
_OWNER_ONLY = 0o600

# Pages of the agent's metrics: the proxy's own, and all of the workload's.
PROXY_METRICS, ALL_METRICS = "/proxy", "/all"
# Series that nothing was counted in for so long are forgotten.
_SERIES_SECONDS = 3600

# Source: Istio's default stats inclusion list; without one, memory doubles.
_STATS_PREFIXES = (
    "reporter=",
    "cluster_manager",
    "listener_manager",
    "server",
    "cluster.xds-grpc",
    "wasm",
    "component",
    "istio",
)
_STATS_SUFFIXES = (
    "rbac.allowed",
    "rbac.denied",
    "shadow_allowed",
    "shadow_denied",
    "downstream_cx_active",
)
_STATS_REGEX = r"vhost\..*\.route\..*"


def encode_bootstrap(spec: AgentSpec) -> bytes:
    """Return the bootstrap as JSON. Its paths are relative to ``spec.directory``."""
    document = patched(bootstrap(spec), spec.bootstrap_patches)
    return msgspec.json.format(msgspec.json.encode(document))


def bootstrap(spec: AgentSpec) -> dict[str, Any]:
    listeners = [_control_plane_listener()]
    if spec.readiness_port:
        listeners.append(_readiness_listener(spec))
    if spec.prometheus_port:
        listeners.append(_prometheus_listener(spec))
    if spec.status_port:
        listeners.append(_status_listener(spec))
    document: dict[str, Any] = {
        "node": node(spec),
        "admin": {"address": _pipe(ADMIN_SOCKET)},
        "dynamic_resources": _dynamic_resources(),
        "static_resources": {
            "clusters": [
                _control_plane_cluster(spec),
                _local_pipe("agent", ADMIN_SOCKET),
                _local_pipe("agent_metrics", METRICS_SOCKET),
            ],
            "listeners": listeners,
        },
        "stats_config": _stats_config(spec.settings.proxy_stats_matcher),
        # Histograms are brought up to date this often.
        "stats_flush_interval": "1s",
        "stats_eviction_interval": f"{_SERIES_SECONDS}s",
        "layered_runtime": {"layers": _runtime_layers(spec.settings.runtime_values)},
        "overload_manager": _overload_manager(spec.settings.connection_settings),
    }
    manager: dict[str, Any] = {}
    if spec.capture is Capture.NETNS:
        manager["upstream_bind_config"] = _mark_upstream_sockets()
    if str(node_metadata(spec).get(SELF_DISCOVERY, "")).lower() == "true":
        manager["local_cluster_name"] = names.LOCAL_CLUSTER
        document["static_resources"]["clusters"].append(_local_cluster())
    if manager:
        document["cluster_manager"] = manager
    return document


def node(spec: AgentSpec) -> dict[str, Any]:
    """Return the node message, as ``clew.model.proxy.Proxy.from_node`` reads it back."""
    region, zone, subzone = [*spec.locality.split("/"), "", "", ""][:3]
    return {
        "id": node_id(spec),
        "cluster": service_cluster(spec),
        "locality": {"region": region, "zone": zone, "sub_zone": subzone},
        "metadata": node_metadata(spec),
    }


def service_cluster(spec: AgentSpec) -> str:
    """Source: Istio's ``serviceCluster`` and ``tracingServiceName``, by which tracers know it."""
    app = spec.labels.get("app") or spec.workload
    canonical = spec.labels.get("service.istio.io/canonical-name") or app
    match spec.settings.tracing_service_name:
        case TracingServiceName.CANONICAL_NAME_ONLY:
            return canonical
        case TracingServiceName.CANONICAL_NAME_AND_NAMESPACE:
            return f"{canonical}.{spec.namespace}"
        case TracingServiceName.APP_LABEL_AND_NAMESPACE:
            return f"{app}.{spec.namespace}"
        case None:
            return spec.settings.service_cluster or f"{app}.{spec.namespace}"


def node_id(spec: AgentSpec) -> str:
    domain = f"{spec.namespace}.svc.{spec.domain}"
    return f"{spec.type}~{spec.ip}~{spec.name}.{spec.namespace}~{domain}"


def node_metadata(spec: AgentSpec) -> dict[str, Any]:
    captured = spec.capture is Capture.NETNS
    metadata: dict[str, Any] = {
        "NAME": spec.name,
        "NAMESPACE": spec.namespace,
        "WORKLOAD_NAME": spec.workload,
        "SERVICE_ACCOUNT": spec.service_account,
        "LABELS": dict(spec.labels),
        "INSTANCE_IPS": spec.ip,
        "MESH_ID": spec.settings.mesh_id or spec.mesh,
        "ISTIO_VERSION": _ISTIO_VERSION,
        "CLUSTER_ID": "Kubernetes",
        "INTERCEPTION_MODE": (Interception.REDIRECT if captured else Interception.NONE).value,
    }
    optional: dict[str, Any] = {
        "NETWORK": spec.network,
        "HTTP_PROXY_PORT": str(spec.http_proxy_port) if spec.http_proxy_port else "",
        "CLEW_APP_PORTS": dict(spec.app_ports),
        "CLEW_LOCAL_PORTS": dict(spec.local_ports),
        "CLEW_BIND_ADDRESS": spec.bind_address,
        "CLEW_TAP": "true",
        "CLEW_TRACE_SAMPLING": f"{spec.trace_sampling:g}" if spec.trace_sampling else "",
        "CLEW_EXPLAIN": "true" if spec.explain else "",
        STATUS_ADDRESS: _status_address(spec),
        "AUTO_REGISTER_GROUP": spec.auto_register_group,
        "PROXY_CONFIG": spec.own_settings | _health_check(spec),
    }
    said = metadata_from_environment(spec.settings.proxy_metadata)
    return said | metadata | {key: value for key, value in optional.items() if value}


def _status_address(spec: AgentSpec) -> str:
    """Where Prometheus finds the workload's metrics; others ask at the usual port."""
    if not spec.status_port:
        return ""
    host = spec.bind_address or spec.ip
    return f"[{host}]:{spec.status_port}" if _is_ipv6(host) else f"{host}:{spec.status_port}"


def metadata_from_environment(variables: Mapping[str, str]) -> dict[str, Any]:
    """Return what variables of the proxy say of its node: ``ISTIO_META_X`` is X."""
    return {
        name.removeprefix(_METADATA): value
        for name, value in variables.items()
        if name.startswith(_METADATA)
    }


def _health_check(spec: AgentSpec) -> dict[str, Any]:
    """Tell the control plane that a member of a WorkloadGroup counts only when it is healthy.

    Source: Istio puts the group's probe into the ProxyConfig of its virtual machines.
    """
    if not spec.auto_register_group or spec.app is None or spec.app.readiness is None:
        return {}
    return {"readinessProbe": msgspec.to_builtins(spec.app.readiness)}


def _ads() -> dict[str, Any]:
    return {"ads": {}, "resource_api_version": "V3", "initial_fetch_timeout": "0s"}


def _dynamic_resources() -> dict[str, Any]:
    # Envoy reports itself live only after the first answer, however long that takes.
    source = _ads()
    return {
        "ads_config": {
            "api_type": "DELTA_GRPC",
            "transport_api_version": "V3",
            "set_node_on_first_message_only": True,
            "grpc_services": [{"envoy_grpc": {"cluster_name": "xds-grpc"}}],
        },
        "cds_config": source,
        "lds_config": source,
    }


def _control_plane_cluster(spec: AgentSpec) -> dict[str, Any]:
    address = _address(spec.xds)
    return {
        "name": "xds-grpc",
        "type": _discovery_type(spec.xds),
        "connect_timeout": "1s",
        "load_assignment": _one_endpoint("xds-grpc", address),
        "transport_socket": {
            "name": "envoy.transport_sockets.tls",
            "typed_config": _control_plane_tls(spec),
        },
        "typed_extension_protocol_options": {
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                "@type": _TYPE + "envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
                "explicit_http_config": {
                    "http2_protocol_options": {
                        "connection_keepalive": {"interval": "30s", "timeout": "10s"}
                    }
                },
            }
        },
    }


def _control_plane_tls(spec: AgentSpec) -> dict[str, Any]:
    identity = names.spiffe_id(
        spec.trust_domain, CONTROL_PLANE_NAMESPACE, CONTROL_PLANE_SERVICE_ACCOUNT
    )
    return {
        "@type": _TYPE + "envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext",
        "sni": CONTROL_PLANE_SERVER_NAME,
        "common_tls_context": {
            "alpn_protocols": ["h2"],
            # Envoy as a client would offer 1.2 at most.
            "tls_params": {
                "tls_minimum_protocol_version": "TLSv1_3",
                "tls_maximum_protocol_version": "TLSv1_3",
            },
            "tls_certificate_sds_secret_configs": [_secret_file(names.WORKLOAD_CERTIFICATE)],
            "combined_validation_context": {
                "default_validation_context": {
                    "match_typed_subject_alt_names": [
                        {"san_type": "URI", "matcher": {"exact": identity}}
                    ]
                },
                "validation_context_sds_secret_config": _secret_file(names.ROOT_CERTIFICATE),
            },
        },
    }


def _secret_file(name: str) -> dict[str, Any]:
    return {
        "name": name,
        "sds_config": {
            "path_config_source": {
                "path": f"./{SDS_DIRECTORY}/{name.lower()}.json",
                "watched_directory": {"path": f"./{SDS_DIRECTORY}"},
            },
            "resource_api_version": "V3",
        },
    }


def _local_pipe(name: str, path: str) -> dict[str, Any]:
    return {
        "name": name,
        "type": "STATIC",
        "connect_timeout": "1s",
        "load_assignment": _one_endpoint(name, _pipe(path)),
    }


def _local_cluster() -> dict[str, Any]:
    """Envoy must have this one before it hears from the control plane.

    Source: Envoy's ``local_cluster_name``, without which zone-aware balancing has no effect.
    """
    return {
        "name": names.LOCAL_CLUSTER,
        "type": "EDS",
        "connect_timeout": "1s",
        "eds_cluster_config": {"eds_config": _ads()},
    }


def _control_plane_listener() -> dict[str, Any]:
    """A plain way to the control plane for the agent: Envoy adds the TLS and checks the peer."""
    proxy = {
        "@type": _TYPE + "envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy",
        "stat_prefix": "agent_xds",
        "cluster": "xds-grpc",
    }
    return _listener("agent_xds", _pipe(CONTROL_PLANE_SOCKET), "tcp_proxy", proxy)


_READINESS = {
    "match": {"path": "/healthz/ready"},
    "route": {"cluster": "agent", "prefix_rewrite": "/ready"},
}


def _readiness_listener(spec: AgentSpec) -> dict[str, Any]:
    return _pages("agent_readiness", spec, spec.readiness_port, [_READINESS])


def _prometheus_listener(spec: AgentSpec) -> dict[str, Any]:
    route = _metrics_page(PROXY_METRICS)
    return _pages("agent_prometheus", spec, spec.prometheus_port, [route], _compressors(spec))


def _status_listener(spec: AgentSpec) -> dict[str, Any]:
    """Source: Istio's ``statusPort``."""
    routes = [_metrics_page(ALL_METRICS), _READINESS]
    return _pages("agent_status", spec, spec.status_port, routes, _compressors(spec))


def _metrics_page(path: str) -> dict[str, Any]:
    """What Prometheus asks for by the one path of both ports, from the agent."""
    route = {"cluster": "agent_metrics", "prefix_rewrite": path}
    return {"match": {"path": "/stats/prometheus"}, "route": route}


def _compressors(spec: AgentSpec) -> list[dict[str, Any]]:
    return [] if spec.settings.stats_compression is False else [_compressor()]


def _compressor() -> dict[str, Any]:
    """Compress for those who ask; statistics are long and repeat themselves."""
    gzip = {"@type": _TYPE + "envoy.extensions.compression.gzip.compressor.v3.Gzip"}
    return {
        "name": "envoy.filters.http.compressor",
        "typed_config": {
            "@type": _TYPE + "envoy.extensions.filters.http.compressor.v3.Compressor",
            "compressor_library": {"name": "gzip", "typed_config": gzip},
        },
    }


def _pages(
    name: str,
    spec: AgentSpec,
    port: int,
    routes: Sequence[dict[str, Any]],
    filters: Sequence[dict[str, Any]] = (),
) -> dict[str, Any]:
    """Offer single pages; the admin interface as a whole stays private."""
    manager = {
        "@type": _TYPE
        + "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": name,
        "normalize_path": True,
        "route_config": {"virtual_hosts": [{"name": name, "domains": ["*"], "routes": [*routes]}]},
        "http_filters": [
            *filters,
            {
                "name": "envoy.filters.http.router",
                "typed_config": {"@type": _TYPE + "envoy.extensions.filters.http.router.v3.Router"},
            },
        ],
    }
    everywhere = "::" if _is_ipv6(spec.ip) else "0.0.0.0"
    host = everywhere if spec.capture is Capture.NETNS else spec.bind_address or spec.ip
    address = {"socket_address": {"address": host, "port_value": port}}
    return _listener(name, address, "http_connection_manager", manager)


def _listener(
    name: str, address: dict[str, Any], filter_name: str, config: dict[str, Any]
) -> dict[str, Any]:
    return {
        "name": name,
        "stat_prefix": name,
        "address": address,
        # Still answered when other listeners are full.
        "ignore_global_conn_limit": True,
        "filter_chains": [
            {"filters": [{"name": f"envoy.filters.network.{filter_name}", "typed_config": config}]}
        ],
    }


def _mark_upstream_sockets() -> dict[str, Any]:
    """Mark what the proxy itself sends, so that capture lets it pass.

    Applies to each cluster that has no socket options of its own, also when it has its own
    source address.

    Source: Envoy, ``upstream_local_address_selector``: "cluster options trump the bootstrap's".
    """
    return {
        "socket_options": [
            {
                "description": "SO_MARK",
                "level": 1,  # SOL_SOCKET
                "name": 36,  # SO_MARK
                "int_value": PROXY_MARK,
                "state": "STATE_PREBIND",
            }
        ]
    }


# Spans are sent so soon that whoever watches a request sees it at once.
_RUNTIME = {"tracing.opentelemetry.flush_interval_ms": "1000"}


def _runtime_layers(values: Mapping[str, str]) -> list[dict[str, Any]]:
    settings = {"name": "settings", "static_layer": {**_RUNTIME, **values}}
    return [settings, {"name": "admin", "admin_layer": {}}]


def _overload_manager(settings: ConnectionSettings | None) -> dict[str, Any]:
    """No limit of connections, unless one is set, said explicitly: Envoy warns about an unsaid one.

    Source: Istio's ``overload.global_downstream_max_connections``.
    """
    limit = settings.global_downstream_connection_limit if settings else None
    name = "envoy.resource_monitors.global_downstream_max_connections"
    config = {
        "@type": _TYPE + "envoy.extensions.resource_monitors.downstream_connections.v3"
        ".DownstreamConnectionsConfig",
        "max_active_downstream_connections": limit or 2**31 - 1,
    }
    return {"resource_monitors": [{"name": name, "typed_config": config}]}


def _stats_config(more: ProxyStatsMatcher | None) -> dict[str, Any]:
    """The statistics that are kept; ``more`` adds to those that always are."""
    more = more or ProxyStatsMatcher()
    patterns: list[dict[str, Any]] = [
        *({"prefix": prefix} for prefix in (*_STATS_PREFIXES, *more.inclusion_prefixes)),
        *({"suffix": suffix} for suffix in (*_STATS_SUFFIXES, *more.inclusion_suffixes)),
        *({"safe_regex": {"regex": r}} for r in (_STATS_REGEX, *more.inclusion_regexps)),
    ]
    return {"stats_matcher": {"inclusion_list": {"patterns": patterns}}}


def _one_endpoint(cluster: str, address: dict[str, Any]) -> dict[str, Any]:
    endpoint = {"endpoint": {"address": address}}
    return {"cluster_name": cluster, "endpoints": [{"lb_endpoints": [endpoint]}]}


def _pipe(path: str) -> dict[str, Any]:
    if not path.startswith("/"):
        path = f"./{path}"
    return {"pipe": {"path": path, "mode": _OWNER_ONLY}}


def _address(target: str) -> dict[str, Any]:
    """Return ``unix:/path`` or ``host:port`` as Envoy's Address."""
    if target.startswith("unix:"):
        return {"pipe": {"path": target.removeprefix("unix:")}}
    host, _, port = target.rpartition(":")
    return {"socket_address": {"address": host.strip("[]"), "port_value": int(port)}}


def _discovery_type(target: str) -> str:
    if target.startswith("unix:"):
        return "STATIC"
    host = target.rpartition(":")[0].strip("[]")
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return "STRICT_DNS"
    return "STATIC"


def _is_ipv6(address: str) -> bool:
    return ":" in address
