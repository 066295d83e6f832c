"""MeshNetworks: which endpoints are on which network, and its gateways.

Text in ConfigMap ``istio`` of the root namespace, key ``meshNetworks``.
"""

from __future__ import annotations

from clew.model.base import Model


class NetworkEndpoints(Model, frozen=True, kw_only=True):
    """A range of addresses, or all endpoints of a registry (a cluster)."""

    from_cidr: str = ""
    from_registry: str = ""


class IstioNetworkGateway(Model, frozen=True, kw_only=True):
    """Where a network is entered: a service in it, or an address."""

    registry_service_name: str = ""
    address: str = ""
    port: int = 0
    locality: str = ""


class Network(Model, frozen=True, kw_only=True):
    endpoints: tuple[NetworkEndpoints, ...] = ()
    gateways: tuple[IstioNetworkGateway, ...] = ()


class MeshNetworks(Model, frozen=True, kw_only=True):
    networks: dict[str, Network] = {}
