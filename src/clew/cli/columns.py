"""What ``clew get`` shows of each kind: Istio's printer columns, and kubectl's."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

Manifest = Mapping[str, Any]
NONE = "<none>"


@dataclass(frozen=True, slots=True)
class Column:
    """``wide`` columns are shown by ``-o wide`` only."""

    header: str
    cell: Callable[[Manifest], str]
    wide: bool = False


def at(*path: str) -> Callable[[Manifest], str]:
    """A cell that shows one field; lists as JSON, as kubectl does."""

    def cell(manifest: Manifest) -> str:
        value = field(manifest, *path)
        if value is None or value == "":
            return ""
        return value if isinstance(value, str) else msgspec.json.encode(value).decode()

    return cell


def field(manifest: Manifest, *path: str) -> Any:
    value: Any = manifest
    for name in path:
        value = value.get(name) if isinstance(value, Mapping) else None
    return value


def in_force(manifest: Manifest) -> str:
    """``in force 4/4``, ``held at generation 3``: what the status says of being in force."""
    conditions = field(manifest, "status", "conditions") or ()
    reason = next((c.get("reason") for c in conditions if c.get("type") == "Reconciled"), "")
    has, of = (
        field(manifest, "status", "proxies", name) or 0 for name in ("acknowledged", "concerned")
    )
    held = field(manifest, "status", "heldAtGeneration")
    return {
        "InForce": f"in force {has}/{of}",
        "Pending": f"pending {has}/{of}",
        "Held": f"held at generation {held}" if held else "held back",
        "Rejected": "rejected",
        "NoProxy": "no proxy",
        "NotSupported": "not supported",
    }.get(str(reason), "")


def columns_of(kind: tuple[str, str], manifests: Sequence[Manifest]) -> tuple[Column, ...]:
    """The columns of a kind; one more where objects say whether they are in force."""
    tells = any(field(manifest, "status", "proxies") for manifest in manifests)
    return (*COLUMNS.get(kind, ()), *((IN_FORCE,) if tells else ()))


def _or_none(cell: Callable[[Manifest], str]) -> Callable[[Manifest], str]:
    return lambda manifest: cell(manifest) or NONE


def _containers(manifest: Manifest, name: str) -> str:
    containers = field(manifest, "spec", "template", "spec", "containers") or []
    return ",".join(str(container.get(name, "")) for container in containers)


def _pairs(labels: Any) -> str:
    return ",".join(f"{k}={v}" for k, v in (labels or {}).items()) or NONE


def _pod_ready(manifest: Manifest) -> str:
    statuses = field(manifest, "status", "containerStatuses") or []
    wanted = len(field(manifest, "spec", "containers") or [])
    ready = sum(bool(status.get("ready")) for status in statuses)
    if not statuses and _is_ready(manifest):
        ready = wanted
    return f"{ready}/{wanted}"


def _is_ready(manifest: Manifest) -> bool:
    conditions = field(manifest, "status", "conditions") or []
    return any(c.get("type") == "Ready" and c.get("status") == "True" for c in conditions)


def _pod_status(manifest: Manifest) -> str:
    if field(manifest, "metadata", "deletionTimestamp"):
        return "Terminating"
    status = field(manifest, "status") or {}
    for container in status.get("containerStatuses") or []:
        waiting = field(container, "state", "waiting", "reason")
        if waiting:
            return str(waiting)
    return str(status.get("reason") or status.get("phase") or "Pending")


def _restarts(manifest: Manifest) -> str:
    statuses = field(manifest, "status", "containerStatuses") or []
    return str(sum(int(status.get("restartCount", 0)) for status in statuses))


def _service_ports(manifest: Manifest) -> str:
    def port(p: Manifest) -> str:
        node = f":{p['nodePort']}" if p.get("nodePort") else ""
        return f"{p.get('port')}{node}/{p.get('protocol', 'TCP')}"

    return ",".join(port(p) for p in field(manifest, "spec", "ports") or []) or NONE


def _replicas(manifest: Manifest) -> int:
    wanted = field(manifest, "spec", "replicas")
    return 1 if wanted is None else int(wanted)


def _count(*path: str) -> Callable[[Manifest], str]:
    return lambda manifest: str(field(manifest, *path) or 0)


def _endpoints(manifest: Manifest) -> str:
    found = [
        f"{address.get('ip')}:{port.get('port')}"
        for subset in manifest.get("subsets") or []
        for address in subset.get("addresses") or []
        for port in subset.get("ports") or [{"port": ""}]
    ]
    return _shortened(found)


def _slice_addresses(manifest: Manifest) -> str:
    endpoints = manifest.get("endpoints") or []
    return _shortened([a for endpoint in endpoints for a in endpoint.get("addresses") or []])


def _shortened(texts: list[str]) -> str:
    more = f" + {len(texts) - 3} more..." if len(texts) > 3 else ""
    return ",".join(texts[:3]) + more or NONE


def _ingress_hosts(manifest: Manifest) -> str:
    return ",".join(r.get("host", "*") for r in field(manifest, "spec", "rules") or []) or "*"


def _ingress_addresses(manifest: Manifest) -> str:
    published = field(manifest, "status", "loadBalancer", "ingress") or []
    return ",".join(each.get("ip") or each.get("hostname") or "" for each in published)


IN_FORCE = Column("STATUS", in_force)
_ISTIO = "networking.istio.io"
_HOSTS = Column("HOSTS", at("spec", "hosts"))
_SELECTOR = Column("SELECTOR", lambda m: _pairs(field(m, "spec", "selector", "matchLabels")), True)
_READY_OF_WANTED = Column(
    "READY", lambda m: f"{field(m, 'status', 'readyReplicas') or 0}/{_replicas(m)}"
)

COLUMNS: Mapping[tuple[str, str], tuple[Column, ...]] = {
    (_ISTIO, "VirtualService"): (Column("GATEWAYS", at("spec", "gateways")), _HOSTS),
    (_ISTIO, "DestinationRule"): (Column("HOST", at("spec", "host")),),
    (_ISTIO, "ServiceEntry"): (
        _HOSTS,
        Column("LOCATION", at("spec", "location")),
        Column("RESOLUTION", at("spec", "resolution")),
    ),
    (_ISTIO, "WorkloadEntry"): (Column("ADDRESS", at("spec", "address")),),
    ("security.istio.io", "PeerAuthentication"): (Column("MODE", at("spec", "mtls", "mode")),),
    ("security.istio.io", "AuthorizationPolicy"): (Column("ACTION", at("spec", "action")),),
    ("", "Pod"): (
        Column("READY", _pod_ready),
        Column("STATUS", _pod_status),
        Column("RESTARTS", _restarts),
        Column("IP", _or_none(at("status", "podIP")), True),
        Column("NODE", _or_none(at("spec", "nodeName")), True),
    ),
    ("", "Service"): (
        Column("TYPE", lambda m: field(m, "spec", "type") or "ClusterIP"),
        Column("CLUSTER-IP", _or_none(at("spec", "clusterIP"))),
        Column("EXTERNAL-IP", _or_none(at("spec", "externalName"))),
        Column("PORT(S)", _service_ports),
        Column("SELECTOR", lambda m: _pairs(field(m, "spec", "selector")), True),
    ),
    ("apps", "Deployment"): (
        _READY_OF_WANTED,
        Column("UP-TO-DATE", _count("status", "updatedReplicas")),
        Column("AVAILABLE", _count("status", "availableReplicas")),
        Column("CONTAINERS", lambda m: _containers(m, "name"), True),
        Column("IMAGES", lambda m: _containers(m, "image"), True),
        _SELECTOR,
    ),
    ("apps", "StatefulSet"): (_READY_OF_WANTED,),
    ("apps", "ReplicaSet"): (
        Column("DESIRED", lambda m: str(_replicas(m))),
        Column("CURRENT", _count("status", "replicas")),
        Column("READY", _count("status", "readyReplicas")),
    ),
    ("", "Endpoints"): (Column("ENDPOINTS", _endpoints),),
    ("discovery.k8s.io", "EndpointSlice"): (
        Column("ADDRESSTYPE", at("addressType")),
        Column("ENDPOINTS", _slice_addresses),
    ),
    ("", "ConfigMap"): (Column("DATA", lambda m: str(len(m.get("data") or {}))),),
    ("", "Secret"): (
        Column("TYPE", lambda m: str(m.get("type") or "Opaque")),
        Column(
            "DATA", lambda m: str(len({**(m.get("data") or {}), **(m.get("stringData") or {})}))
        ),
    ),
    ("", "Namespace"): (Column("STATUS", lambda m: field(m, "status", "phase") or "Active"),),
    ("networking.k8s.io", "Ingress"): (
        Column("CLASS", _or_none(at("spec", "ingressClassName"))),
        Column("HOSTS", _ingress_hosts),
        Column("ADDRESS", _ingress_addresses),
    ),
    ("networking.k8s.io", "IngressClass"): (Column("CONTROLLER", at("spec", "controller")),),
}
