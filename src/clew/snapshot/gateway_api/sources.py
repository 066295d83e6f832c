"""What the conversion of the Gateway API depends on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from clew.model.config_map import ConfigMap
from clew.model.core_service import CoreService
from clew.model.mesh_config import MeshConfig
from clew.model.namespace import Namespace
from clew.model.secret import Secret
from clew.model.service import Service
from clew.snapshot.gateway_api.grants import Grants
from clew.snapshot.objects import Objects
from clew.snapshot.service_index import Services


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    objects: Objects
    services: Services
    grants: Grants
    mesh: MeshConfig

    def service(self, host: str, namespace: str) -> Service | None:
        """Return what routes of a namespace reach at a hostname."""
        return self.services.at(host, namespace)

    def core_service(self, name: str, namespace: str) -> CoreService | None:
        found = self.objects.get(CoreService, {}).get(namespace, {}).get(name)
        return found if isinstance(found, CoreService) else None

    def secret(self, name: str, namespace: str) -> Secret | None:
        found = self.objects.get(Secret, {}).get(namespace, {}).get(name)
        return found if isinstance(found, Secret) else None

    def config_map(self, name: str, namespace: str) -> ConfigMap | None:
        found = self.objects.get(ConfigMap, {}).get(namespace, {}).get(name)
        return found if isinstance(found, ConfigMap) else None

    def namespaces(self) -> Mapping[str, Mapping[str, str]]:
        """Return the labels of each namespace, with the name that Kubernetes adds.

        A namespace in which objects are exists, whether or not anybody has declared it.
        """
        declared = self.objects.get(Namespace, {}).get("", {})
        used = {name for spaces in self.objects.values() for name in spaces if name}
        labels = {name: namespace.metadata.labels for name, namespace in declared.items()}
        return {
            name: {"kubernetes.io/metadata.name": name, **labels.get(name, {})}
            for name in sorted(used | labels.keys())
        }
