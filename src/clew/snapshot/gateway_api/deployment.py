"""The proxy that a Gateway gets of its own: its Deployment and its Service, as Istio has them.

Source: istio ``deploymentcontroller.go`` and its template ``kube-gateway``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from clew.model.base import ResourceKey
from clew.model.gateway_api.gateway import KubernetesGateway
from clew.model.mesh_config import MeshConfig
from clew.snapshot.gateway_api.addresses import is_managed, managed_name
from clew.snapshot.gateway_api.gateways import bind_gateways, service_account
from clew.snapshot.gateway_api.grants import index_grants
from clew.snapshot.gateway_api.listeners import PROTOCOLS
from clew.snapshot.gateway_api.sources import Sources
from clew.snapshot.objects import Objects
from clew.snapshot.service_index import Services

GATEWAY_NAME = "gateway.networking.k8s.io/gateway-name"
GATEWAY_CLASS_NAME = "gateway.networking.k8s.io/gateway-class-name"
MANAGED = "gateway.istio.io/managed"
_SERVICE_TYPE = "networking.istio.io/service-type"


@dataclass(frozen=True, slots=True, kw_only=True)
class DeployedGateway:
    """A Gateway that wants a proxy. ``ports``: number, TCP or UDP, and name, of all listeners."""

    gateway: KubernetesGateway
    ports: tuple[tuple[int, str, str], ...]

    @property
    def name(self) -> str:
        return managed_name(self.gateway)

    @property
    def namespace(self) -> str:
        return self.gateway.metadata.namespace

    @property
    def deployment(self) -> ResourceKey:
        return ResourceKey("apps", "Deployment", self.namespace, self.name)

    @property
    def service(self) -> ResourceKey:
        return ResourceKey("", "Service", self.namespace, self.name)


def deployed_gateways(objects: Objects) -> tuple[DeployedGateway, ...]:
    """Return the Gateways that route and bring no proxy with them."""
    sources = Sources(
        objects=objects, services=Services(), grants=index_grants(objects), mesh=MeshConfig()
    )
    found = []
    for bound in bind_gateways(sources):
        if not bound.kind.routed or not is_managed(bound.gateway):
            continue
        ports: dict[tuple[int, str], str] = {}
        for each in bound.every_listener:
            if each.listener.protocol in PROTOCOLS and not each.conflict:
                transport = "UDP" if each.listener.protocol == "UDP" else "TCP"
                ports.setdefault((each.listener.port, transport), each.listener.name)
        listed = tuple(sorted((*port, name) for port, name in ports.items()))
        found.append(DeployedGateway(gateway=bound.gateway, ports=listed))
    return tuple(found)


def gateway_manifests(
    deployed: DeployedGateway, target_port: Callable[[int], int] = lambda port: port
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the Deployment and the Service. ``target_port``: where the proxy serves a port."""
    ports = [
        {
            "name": _port_name(name, number),
            "port": number,
            "targetPort": target_port(number),
            "protocol": transport,
        }
        for number, transport, name in deployed.ports
    ]
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": _metadata(deployed),
        "spec": {
            "type": deployed.gateway.metadata.annotations.get(_SERVICE_TYPE, "LoadBalancer"),
            "selector": {GATEWAY_NAME: deployed.gateway.metadata.name},
            "ports": ports,
        },
    }
    return _deployment(deployed, ports), service


def _port_name(listener: str, number: int) -> str:
    """A name of a Service's port has no dots and at most 63 characters."""
    name = listener.replace(".", "-")
    return name if len(name) <= 63 else f"port-{number}"


def _deployment(deployed: DeployedGateway, ports: list[dict[str, Any]]) -> dict[str, Any]:
    selector = {GATEWAY_NAME: deployed.gateway.metadata.name}
    container = {
        "name": "istio-proxy",
        "image": "auto",
        "ports": [{"containerPort": p["targetPort"], "protocol": p["protocol"]} for p in ports],
    }
    template = {
        "metadata": {
            "labels": _labels(deployed),
            "annotations": {"inject.istio.io/templates": "gateway"},
        },
        "spec": {
            "serviceAccountName": service_account(deployed.gateway),
            "containers": [container],
        },
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": _metadata(deployed),
        "spec": {"replicas": 1, "selector": {"matchLabels": selector}, "template": template},
    }


def _labels(deployed: DeployedGateway) -> dict[str, str]:
    own = deployed.gateway.spec.infrastructure
    return {
        **deployed.gateway.metadata.labels,
        **(own.labels if own else {}),
        GATEWAY_NAME: deployed.gateway.metadata.name,
        GATEWAY_CLASS_NAME: deployed.gateway.spec.gateway_class_name,
        "istio.io/gateway-name": deployed.gateway.metadata.name,
        MANAGED: "istio.io-gateway-controller",
    }


def _metadata(deployed: DeployedGateway) -> dict[str, Any]:
    meta, own = deployed.gateway.metadata, deployed.gateway.spec.infrastructure
    annotations: Mapping[str, str] = own.annotations if own else {}
    owner = {
        "apiVersion": deployed.gateway.api_version,
        "kind": "Gateway",
        "name": meta.name,
        "uid": meta.uid,
    }
    return {
        "name": deployed.name,
        "namespace": deployed.namespace,
        "labels": _labels(deployed),
        "annotations": dict(annotations),
        "ownerReferences": [owner],
    }
