"""An Envoy's bootstrap: who it is, where its configuration comes from, how it is watched.

Source: Istio's ``envoy_bootstrap.json`` for names, ports and stats; everything else is clew's.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from clew.agent.bootstrap_clusters import control_plane_cluster, local_cluster, local_pipe
from clew.agent.bootstrap_listeners import listeners
from clew.agent.bootstrap_parts import TYPE, ads, pipe
from clew.agent.bootstrap_patches import patched
from clew.agent.bootstrap_stats import stats
from clew.agent.capture import PROXY_MARK
from clew.agent.directory import ADMIN_SOCKET, METRICS_SOCKET
from clew.agent.node import node, node_metadata
from clew.agent.spec import AgentSpec, Capture
from clew.model import names
from clew.model.mesh_proxy_config import ConnectionSettings
from clew.model.proxy import SELF_DISCOVERY

# Spans are sent so soon that whoever watches a request sees it at once.
_RUNTIME = {"tracing.opentelemetry.flush_interval_ms": "1000"}


def encode_bootstrap(spec: AgentSpec) -> bytes:
    """Return the bootstrap as JSON. Its paths are relative to ``spec.directory``."""
    document = patched(bootstrap(spec), spec.bootstrap_patches)
    return msgspec.json.format(msgspec.json.encode(document))


def bootstrap(spec: AgentSpec) -> dict[str, Any]:
    document: dict[str, Any] = {
        "node": node(spec),
        "admin": {"address": pipe(ADMIN_SOCKET)},
        "dynamic_resources": _dynamic_resources(),
        "static_resources": {
            "clusters": [
                control_plane_cluster(spec),
                local_pipe("agent", ADMIN_SOCKET),
                local_pipe("agent_metrics", METRICS_SOCKET),
            ],
            "listeners": [*listeners(spec)],
        },
        **stats(spec.settings.proxy_stats_matcher),
        "layered_runtime": {"layers": _runtime_layers(spec.settings.runtime_values)},
        "overload_manager": _overload_manager(spec.settings.connection_settings),
    }
    manager: dict[str, Any] = {}
    if spec.capture is Capture.NETNS:
        manager["upstream_bind_config"] = _mark_upstream_sockets()
    if str(node_metadata(spec).get(SELF_DISCOVERY, "")).lower() == "true":
        manager["local_cluster_name"] = names.LOCAL_CLUSTER
        document["static_resources"]["clusters"].append(local_cluster())
    if manager:
        document["cluster_manager"] = manager
    return document


def _dynamic_resources() -> dict[str, Any]:
    # Envoy reports itself live only after the first answer, however long that takes.
    source = ads()
    # Envoy would come to ask twice a minute only, so that a control plane could be back for long
    # before anybody hears of it.
    backoff = {"base_interval": "0.5s", "max_interval": "5s"}
    service = {
        "cluster_name": names.CONTROL_PLANE_CLUSTER,
        "retry_policy": {"retry_back_off": backoff},
    }
    return {
        "ads_config": {
            "api_type": "DELTA_GRPC",
            "transport_api_version": "V3",
            "set_node_on_first_message_only": True,
            "grpc_services": [{"envoy_grpc": service}],
        },
        "cds_config": source,
        "lds_config": source,
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
        "@type": TYPE + "envoy.extensions.resource_monitors.downstream_connections.v3"
        ".DownstreamConnectionsConfig",
        "max_active_downstream_connections": limit or 2**31 - 1,
    }
    return {"resource_monitors": [{"name": name, "typed_config": config}]}
