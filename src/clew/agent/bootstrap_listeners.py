"""The listeners of a proxy's bootstrap: the agent's way to the control plane, and single pages."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from clew.agent.bootstrap_parts import TYPE, pipe
from clew.agent.directory import CONTROL_PLANE_SOCKET
from clew.agent.spec import AgentSpec, Capture
from clew.model import names

# Pages of the agent's metrics: the proxy's own, and all of the workload's.
PROXY_METRICS, ALL_METRICS = "/proxy", "/all"

_READINESS = {
    "match": {"path": "/healthz/ready"},
    "route": {"cluster": "agent", "prefix_rewrite": "/ready"},
}


def listeners(spec: AgentSpec) -> Iterator[dict[str, Any]]:
    yield _control_plane_listener()
    if spec.readiness_port:
        yield _readiness_listener(spec)
    if spec.prometheus_port:
        yield _prometheus_listener(spec)
    if spec.status_port:
        yield _status_listener(spec)


def _control_plane_listener() -> dict[str, Any]:
    """A plain way to the control plane for the agent: Envoy adds the TLS and checks the peer."""
    proxy = {
        "@type": TYPE + "envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy",
        "stat_prefix": "agent_xds",
        "cluster": names.CONTROL_PLANE_CLUSTER,
    }
    return _listener("agent_xds", pipe(CONTROL_PLANE_SOCKET), "tcp_proxy", proxy)


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
    gzip = {"@type": TYPE + "envoy.extensions.compression.gzip.compressor.v3.Gzip"}
    return {
        "name": "envoy.filters.http.compressor",
        "typed_config": {
            "@type": TYPE + "envoy.extensions.filters.http.compressor.v3.Compressor",
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
        "@type": TYPE
        + "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": name,
        "normalize_path": True,
        "route_config": {"virtual_hosts": [{"name": name, "domains": ["*"], "routes": [*routes]}]},
        "http_filters": [
            *filters,
            {
                "name": "envoy.filters.http.router",
                "typed_config": {"@type": TYPE + "envoy.extensions.filters.http.router.v3.Router"},
            },
        ],
    }
    everywhere = "::" if ":" in spec.ip else "0.0.0.0"
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
