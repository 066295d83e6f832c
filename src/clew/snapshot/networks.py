"""Networks whose endpoints others reach only through gateways, and those gateways.

Source: istio ``NetworkManager`` of the model and of the Kubernetes registry.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Any

from clew.config.parse import parse_mesh_networks
from clew.model.addresses import is_ip
from clew.model.base import Resource
from clew.model.config_map import ConfigMap
from clew.model.core_service import CoreService
from clew.model.mesh_config import MeshConfig
from clew.model.mesh_networks import MeshNetworks
from clew.model.namespace import Namespace
from clew.snapshot.labels import NETWORK
from clew.snapshot.objects import Objects, objects_of
from clew.snapshot.services import kubernetes_key

MESH_CONFIG_MAP, KEY = "istio", "meshNetworks"
# The registry that all services of Kubernetes kinds are in, by Istio's default name for it.
REGISTRY = "Kubernetes"
GATEWAY_PORT = "networking.istio.io/gatewayPort"
_DEFAULT_PORT = 15443


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class NetworkGateway:
    """A gateway that passes mesh mTLS on by server name."""

    address: str
    port: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Networks:
    """``default``: the network of what says nothing itself; ``ranges``: by address.

    ``scale``: by it weights are multiplied, so that every network's gateways share them evenly.
    """

    default: str = ""
    ranges: tuple[tuple[IPv4Network | IPv6Network, str], ...] = ()
    gateways: Mapping[str, tuple[NetworkGateway, ...]] = field(default_factory=dict)
    scale: int = 1

    def of(self, address: str, labels: Mapping[str, str]) -> str:
        """Return the network of a workload: as it says itself, else the mesh's, else by address."""
        if own := labels.get(NETWORK) or self.default:
            return own
        if not self.ranges:
            return ""
        try:
            place = ip_address(address)
        except ValueError:
            return ""
        return next((name for within, name in self.ranges if place in within), "")

    @property
    def places(self) -> bool:
        """Whether it may give a network to what says nothing itself."""
        return bool(self.default or self.ranges)


ONE_NETWORK = Networks()


def index_networks(objects: Objects, mesh: MeshConfig) -> Networks:
    declared = _declared(objects, mesh)
    of_registry = next(
        (
            name
            for name, network in declared.networks.items()
            if any(each.from_registry == REGISTRY for each in network.endpoints)
        ),
        "",
    )
    gateways: dict[str, set[NetworkGateway]] = {}
    for name, gateway in _gateways(declared, of_registry, objects):
        gateways.setdefault(name, set()).add(gateway)
    return Networks(
        default=_of_root_namespace(objects, mesh) or of_registry,
        ranges=tuple(_ranges(declared)),
        gateways={name: tuple(sorted(found)) for name, found in sorted(gateways.items())},
        scale=math.lcm(*(len(found) for found in gateways.values())),
    )


def shapes_networks(sides: Iterable[Resource], mesh: MeshConfig, before: Networks) -> bool:
    """Whether an object that changed may be one of those that networks are known by."""
    for side in sides:
        match side:
            case Namespace():
                if side.metadata.name == mesh.root_namespace:
                    return True
            case CoreService():
                # One that MeshNetworks names has no label, and it may be any.
                if NETWORK in side.metadata.labels or before.gateways or before.places:
                    return True
    return False


def _declared(objects: Objects, mesh: MeshConfig) -> MeshNetworks:
    config_maps = objects.get(ConfigMap, {}).get(mesh.root_namespace, {})
    found = config_maps.get(MESH_CONFIG_MAP)
    text = found.data.get(KEY, "") if isinstance(found, ConfigMap) else ""
    return parse_mesh_networks(text)[0] if text else MeshNetworks()


def _of_root_namespace(objects: Objects, mesh: MeshConfig) -> str:
    for spaces in objects.get(Namespace, {}).values():
        if (found := spaces.get(mesh.root_namespace)) is not None:
            return found.metadata.labels.get(NETWORK, "")
    return ""


def _ranges(declared: MeshNetworks) -> Iterator[tuple[IPv4Network | IPv6Network, str]]:
    for name, network in declared.networks.items():
        for each in network.endpoints:
            if each.from_cidr:
                try:
                    yield ip_network(each.from_cidr, strict=False), name
                except ValueError:
                    continue


def _gateways(
    declared: MeshNetworks, of_registry: str, objects: Objects
) -> Iterator[tuple[str, NetworkGateway]]:
    """Yield gateways by network: declared by address, by service, and services that say it."""
    named: dict[str, list[int]] = {}
    for name, network in declared.networks.items():
        for gateway in network.gateways:
            if is_ip(gateway.address):
                yield name, NetworkGateway(address=gateway.address, port=gateway.port)
            elif gateway.registry_service_name and name == of_registry:
                named.setdefault(gateway.registry_service_name, []).append(gateway.port)
    for service in objects_of(CoreService, objects):
        meta = service.metadata
        own = meta.labels.get(NETWORK, "")
        ports = [_port(meta.labels.get(GATEWAY_PORT, ""))] if own else []
        if not own and named:
            ports = named.get(kubernetes_key(meta.name, meta.namespace).hostname, [])
        for port in ports:
            for address in _external_addresses(service):
                yield own or of_registry, NetworkGateway(address=address, port=port)


def _port(text: str) -> int:
    return int(text) if text.isdecimal() else _DEFAULT_PORT


def _external_addresses(service: CoreService) -> Iterator[str]:
    """Yield where a service can be reached from outside of its network."""
    yield from (each for each in service.spec.external_ips if is_ip(each))
    status: Any = service.status if isinstance(service.status, dict) else {}
    balancer = status.get("loadBalancer")
    for each in (balancer or {}).get("ingress") or ():
        if is_ip(address := str(each.get("ip", ""))):
            yield address
