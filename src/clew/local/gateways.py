"""A gateway process for each Gateway of the Gateway API that wants one, as in Kubernetes."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from clew.api.answers import ApiError
from clew.api.async_client import AsyncClient
from clew.local import registrar
from clew.local.agents import INGRESS, INGRESS_NAMESPACE
from clew.local.programs import CannotRun
from clew.local.world import World, is_ready
from clew.model.base import ResourceKey
from clew.model.core_service import CoreService
from clew.model.deployment import Deployment
from clew.model.pod import Pod
from clew.snapshot.gateway_api.deployment import (
    MANAGED,
    DeployedGateway,
    deployed_gateways,
    gateway_manifests,
)
from clew.snapshot.labels import selects
from clew.snapshot.objects import index_objects

_FIRST_UNPRIVILEGED_PORT = 1024
# 80 is served at 8080 or the next free port, 443 at 8443.
_SHIFT = 8000
Report = Callable[[str], None]


@dataclass(slots=True)
class Gateways:
    """``take_near`` hands out ports of this machine; None: each gateway has a network of its own.

    A Gateway keeps the ports that it has, as long as it lives.
    """

    client: AsyncClient
    take_near: Callable[[int], int] | None
    report: Report
    _ports: dict[tuple[ResourceKey, int], int] = field(default_factory=dict)
    _told: dict[ResourceKey, str] = field(default_factory=dict)

    async def deploy(self, world: World) -> None:
        """Write the Deployments and Services of Gateways, and remove those of deleted ones."""
        wanted: set[ResourceKey] = set()
        for deployed in deployed_gateways(index_objects(world.resources.values())):
            wanted |= {deployed.deployment, deployed.service}
            await self._keep(deployed, world)
        for key in _managed(world):
            if key not in wanted:
                self._told.pop(key, None)
                with contextlib.suppress(ApiError):  # somebody was faster
                    await self.client.delete(key, author=registrar.AUTHOR)

    async def _keep(self, deployed: DeployedGateway, world: World) -> None:
        manifests = gateway_manifests(deployed, lambda port: self._serves(deployed, port))
        for key, manifest in zip((deployed.deployment, deployed.service), manifests, strict=True):
            current = world.manifests.get(key)
            if current is not None and not _is_managed(current):
                self._tell(key, f"{key} is not ours: {deployed.gateway.key} gets no proxy")
                return
            if current is None or not _has(current, manifest):
                with contextlib.suppress(CannotRun):  # changed meanwhile: its next state comes
                    await registrar.apply(self.client, manifest)

    def _serves(self, deployed: DeployedGateway, port: int) -> int:
        """Return where the proxy of a Gateway serves one of its ports."""
        key = (deployed.gateway.key, port)
        if key not in self._ports:
            wanted = port if port >= _FIRST_UNPRIVILEGED_PORT else port + _SHIFT
            self._ports[key] = self.take_near(wanted) if self.take_near else wanted
        return self._ports[key]

    async def publish(self, world: World) -> None:
        """Say of gateways that serve where that is, in the status of their services.

        Source: Kubernetes' ``LoadBalancerStatus``, which clients and Gateways read.
        """
        pods = [pod for pod in world.pods() if _is_ours(pod)]
        for service in list(world.services()):
            ready = [pod for pod in pods if is_ready(pod) and _leads_to(service, pod)]
            if service.spec.type != "LoadBalancer" or not ready:
                continue
            status = self._status(service, ready[0])
            manifest = world.manifests[service.key]
            if (manifest.get("status") or {}).get("loadBalancer") != status["loadBalancer"]:
                await self.client.put_status(service.key, status)
                self._tell(service.key, _where(service, status))

    def _status(self, service: CoreService, pod: Pod) -> dict[str, Any]:
        outside = self.take_near is not None
        address = "127.0.0.1" if outside or pod.status is None else pod.status.pod_ip
        ports = [
            {"port": port.target_port, "protocol": port.protocol}
            for port in service.spec.ports
            if isinstance(port.target_port, int)
        ]
        return {"loadBalancer": {"ingress": [{"ip": address, "ports": ports}]}}

    def _tell(self, key: ResourceKey, text: str) -> None:
        if self._told.get(key) != text:
            self._told[key] = text
            self.report(text)


def _managed(world: World) -> Iterator[ResourceKey]:
    for key, resource in list(world.resources.items()):
        if isinstance(resource, Deployment | CoreService) and MANAGED in resource.metadata.labels:
            yield key


def _is_managed(manifest: Mapping[str, Any]) -> bool:
    return MANAGED in (manifest["metadata"].get("labels") or {})


def _has(current: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    """Tell whether an object has all that we want of it; the store adds to that."""
    return all(
        _has(current[name], value)
        if isinstance(value, dict) and isinstance(current.get(name), dict)
        else current.get(name) == value
        for name, value in wanted.items()
        if name != "uid"
    )


def _is_ours(pod: Pod) -> bool:
    """Tell whether this is a gateway that clew makes, for clients outside the mesh."""
    meta = pod.metadata
    ingress = (meta.namespace, meta.labels.get("app")) == (INGRESS_NAMESPACE, INGRESS)
    return ingress or MANAGED in meta.labels


def _leads_to(service: CoreService, pod: Pod) -> bool:
    same = service.metadata.namespace == pod.metadata.namespace
    selector = service.spec.selector
    return same and bool(selector) and selects(selector, pod.metadata.labels)


def _where(service: CoreService, status: dict[str, Any]) -> str:
    [entry] = status["loadBalancer"]["ingress"]
    ports = ", ".join(
        f"{entry['ip']}:{port.target_port} (port {port.port})" for port in service.spec.ports
    )
    return f"{service.metadata.namespace}/{service.metadata.name} answers at {ports}"
