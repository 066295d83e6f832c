"""The clusters that a proxy has before it hears from the control plane, which is one of them."""

from __future__ import annotations

import ipaddress
from typing import Any

from clew.agent.bootstrap_parts import TYPE, ads, pipe
from clew.agent.directory import SDS_DIRECTORY
from clew.agent.spec import AgentSpec
from clew.model import names


def control_plane_cluster(spec: AgentSpec) -> dict[str, Any]:
    address = _address(spec.xds)
    return {
        "name": names.CONTROL_PLANE_CLUSTER,
        "type": _discovery_type(spec.xds),
        "connect_timeout": "1s",
        "load_assignment": _one_endpoint(names.CONTROL_PLANE_CLUSTER, address),
        "transport_socket": {
            "name": "envoy.transport_sockets.tls",
            "typed_config": _control_plane_tls(spec),
        },
        "typed_extension_protocol_options": {
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                "@type": TYPE + "envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
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
        spec.trust_domain, names.CONTROL_PLANE_NAMESPACE, names.CONTROL_PLANE_SERVICE_ACCOUNT
    )
    return {
        "@type": TYPE + "envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext",
        "sni": names.CONTROL_PLANE_SERVER_NAME,
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


def local_pipe(name: str, path: str) -> dict[str, Any]:
    return {
        "name": name,
        "type": "STATIC",
        "connect_timeout": "1s",
        "load_assignment": _one_endpoint(name, pipe(path)),
    }


def local_cluster() -> dict[str, Any]:
    """Envoy must have this one before it hears from the control plane.

    Source: Envoy's ``local_cluster_name``, without which zone-aware balancing has no effect.
    """
    return {
        "name": names.LOCAL_CLUSTER,
        "type": "EDS",
        "connect_timeout": "1s",
        "eds_cluster_config": {"eds_config": ads()},
    }


def _one_endpoint(cluster: str, address: dict[str, Any]) -> dict[str, Any]:
    endpoint = {"endpoint": {"address": address}}
    return {"cluster_name": cluster, "endpoints": [{"lb_endpoints": [endpoint]}]}


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
