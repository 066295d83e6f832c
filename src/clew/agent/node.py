"""Who a proxy says that it is: its node id and what goes with it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from clew.agent.spec import AgentSpec, Capture
from clew.model.mesh_proxy_config import TracingServiceName
from clew.model.proxy import STATUS_ADDRESS, Interception

# Whose API clew has, for EnvoyFilters that are for some versions only.
_ISTIO_VERSION = "1.31.0"

# Variables of the proxy's environment with this prefix are part of its node.
_METADATA = "ISTIO_META_"


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


def metadata_from_environment(variables: Mapping[str, str]) -> dict[str, Any]:
    """Return what variables of the proxy say of its node: ``ISTIO_META_X`` is X."""
    return {
        name.removeprefix(_METADATA): value
        for name, value in variables.items()
        if name.startswith(_METADATA)
    }


def _status_address(spec: AgentSpec) -> str:
    """Where Prometheus finds the workload's metrics; others ask at the usual port."""
    if not spec.status_port:
        return ""
    host = spec.bind_address or spec.ip
    return f"[{host}]:{spec.status_port}" if ":" in host else f"{host}:{spec.status_port}"


def _health_check(spec: AgentSpec) -> dict[str, Any]:
    """Tell the control plane that a member of a WorkloadGroup counts only when it is healthy.

    Source: Istio puts the group's probe into the ProxyConfig of its virtual machines.
    """
    if not spec.auto_register_group or spec.app is None or spec.app.readiness is None:
        return {}
    return {"readinessProbe": msgspec.to_builtins(spec.app.readiness)}
