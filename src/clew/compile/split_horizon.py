"""Endpoints of other networks, seen from a proxy: only their gateways are in sight."""

from __future__ import annotations

from msgspec.structs import replace

from clew.model.service import Endpoint, Health, Locality, Workload
from clew.snapshot.networks import NetworkGateway, Networks


def seen_from(
    network: str, view: frozenset[str], endpoints: tuple[Endpoint, ...], networks: Networks
) -> tuple[Endpoint, ...]:
    """Return the endpoints as a proxy of ``network`` reaches them.

    Those of another network that has gateways are reached through these, by mTLS and its server
    name only; a gateway stands for as much weight as the healthy endpoints behind it. ``view``:
    the networks that the proxy asked to see, all if it did not.
    Source: istio ``EndpointsByNetworkFilter``.
    """
    if view:
        endpoints = tuple(e for e in endpoints if e.workload.network in view | {""})
    if not networks.gateways:
        return endpoints
    direct: list[Endpoint] = []
    remote: dict[tuple[Locality, str, NetworkGateway], int] = {}
    for endpoint in endpoints:
        weight = max(endpoint.weight, 1) * networks.scale
        of = endpoint.workload.network
        gateways = networks.gateways.get(of, ()) if of and network and of != network else ()
        if not gateways:
            if endpoint.address:
                direct.append(replace(endpoint, weight=weight))
        elif endpoint.mutual_tls and endpoint.health is Health.HEALTHY:
            for gateway in gateways:
                key = (endpoint.workload.locality, of, gateway)
                remote[key] = remote.get(key, 0) + weight // len(gateways)
    name = endpoints[0].port_name if endpoints else ""
    return (*direct, *(_gateway(*key, weight, name) for key, weight in sorted(remote.items())))


def _gateway(
    locality: Locality, network: str, gateway: NetworkGateway, weight: int, port_name: str
) -> Endpoint:
    return Endpoint(
        address=gateway.address,
        port=gateway.port,
        port_name=port_name,
        weight=weight,
        mutual_tls=True,
        workload=Workload(locality=locality, network=network),
    )
