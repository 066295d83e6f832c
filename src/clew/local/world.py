"""The objects of the mesh as the controller last saw them, typed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from clew.config.parse import parse_manifest, parse_mesh_config
from clew.local import proxy_settings
from clew.local.workloads import Workload, workloads
from clew.model.base import Resource, ResourceKey
from clew.model.config_map import ConfigMap
from clew.model.core_service import CoreService
from clew.model.mesh_config import MeshConfig
from clew.model.pod import Pod

Manifest = Mapping[str, Any]

# The kinds that decide what runs on this machine.
KINDS = (
    *("Deployment", "StatefulSet", "Pod", "ConfigMap", "Secret", "Service", "Namespace"),
    *("GatewayClass", "Gateway", "ListenerSet", "ReferenceGrant"),
    *proxy_settings.KINDS,
)
MESH_CONFIG = ResourceKey("", "ConfigMap", "istio-system", "istio")


class World:
    """Typed objects by key. An object is typed again only when it has changed."""

    def __init__(self) -> None:
        self.manifests: Mapping[ResourceKey, Manifest] = {}
        self.resources: dict[ResourceKey, Resource] = {}

    def update(self, manifests: Mapping[ResourceKey, Manifest]) -> None:
        resources: dict[ResourceKey, Resource] = {}
        for key, manifest in manifests.items():
            known = self.resources.get(key)
            if known is None or self.manifests[key] is not manifest:
                known = parse_manifest(manifest).resource
            if known is not None:
                resources[key] = known
        self.manifests, self.resources = manifests, resources

    def workloads(self) -> tuple[Workload, ...]:
        return workloads((r, self.manifests[key]) for key, r in self.resources.items())

    def pods(self) -> Iterable[Pod]:
        return (r for r in self.resources.values() if isinstance(r, Pod))

    def pod(self, namespace: str, name: str) -> Pod | None:
        found = self.resources.get(ResourceKey("", "Pod", namespace, name))
        return found if isinstance(found, Pod) else None

    def services(self) -> Iterable[CoreService]:
        return (r for r in self.resources.values() if isinstance(r, CoreService))

    def mesh(self) -> MeshConfig:
        return mesh_of(self.resources.get(MESH_CONFIG))


def mesh_of(config_map: Resource | None) -> MeshConfig:
    """Return the MeshConfig that Istio's ConfigMap holds, or the default."""
    text = config_map.data.get("mesh", "") if isinstance(config_map, ConfigMap) else ""
    return parse_mesh_config(text)[0]


def is_ready(pod: Pod | None) -> bool:
    conditions = pod.status.conditions if pod is not None and pod.status else ()
    return any(c.type == "Ready" and c.status == "True" for c in conditions)


def restarts(pod: Pod | None) -> int:
    """Return how often the Pod's program was started again."""
    statuses = pod.status.container_statuses if pod is not None and pod.status else ()
    return sum(status.restart_count for status in statuses)


def needs_address(service: CoreService) -> bool:
    """Tell whether Kubernetes would give the service a cluster IP."""
    return not service.spec.cluster_ip and service.spec.type != "ExternalName"
