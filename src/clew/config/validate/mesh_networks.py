"""Istio's rules for MeshNetworks.

Source: istio ``ValidateMeshNetworks``.
"""

from __future__ import annotations

from collections.abc import Iterator

from clew.config.finding import FieldPath, Finding
from clew.config.validate.hosts import check_port, host_problem, is_host_label
from clew.config.validate.scalars import is_address_or_range
from clew.model.addresses import is_ip
from clew.model.mesh_networks import IstioNetworkGateway, MeshNetworks, NetworkEndpoints


def validate_mesh_networks(mesh: MeshNetworks) -> Iterator[Finding]:
    for name, network in mesh.networks.items():
        path: FieldPath = ("networks", name)
        for index, endpoints in enumerate(network.endpoints):
            yield from _check_endpoints(endpoints, (*path, "endpoints", index))
        for index, gateway in enumerate(network.gateways):
            yield from _check_gateway(gateway, (*path, "gateways", index))


def _check_endpoints(endpoints: NetworkEndpoints, path: FieldPath) -> Iterator[Finding]:
    cidr, registry = endpoints.from_cidr, endpoints.from_registry
    if cidr and registry:
        yield Finding(path, "fromCidr and fromRegistry exclude each other")
    if cidr and not is_address_or_range(cidr):
        yield Finding((*path, "fromCidr"), f'"{cidr}" is not an IP address or CIDR')
    if registry and not is_host_label(registry):
        yield Finding((*path, "fromRegistry"), f'"{registry}" is not the name of a registry')


def _check_gateway(gateway: IstioNetworkGateway, path: FieldPath) -> Iterator[Finding]:
    service, address = gateway.registry_service_name, gateway.address
    if service and address:
        yield Finding(path, "registryServiceName and address exclude each other")
    if service and (problem := host_problem(service, wildcard=False)):
        yield Finding((*path, "registryServiceName"), problem)
    by_name = address and not is_ip(address)
    if by_name and (problem := host_problem(address, wildcard=False)):
        yield Finding((*path, "address"), problem)
    yield from check_port(gateway.port, (*path, "port"))
