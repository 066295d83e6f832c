"""Endpoints: the addresses behind a Kubernetes Service, the older form."""

from __future__ import annotations

from clew.model.base import OpenModel, PortNumber, Resource


class ObjectReference(OpenModel, frozen=True, kw_only=True):
    kind: str = ""
    name: str = ""
    namespace: str = ""


class EndpointAddress(OpenModel, frozen=True, kw_only=True):
    ip: str
    hostname: str = ""
    node_name: str = ""
    target_ref: ObjectReference | None = None


class EndpointPort(OpenModel, frozen=True, kw_only=True):
    port: PortNumber
    name: str = ""
    protocol: str = "TCP"
    app_protocol: str = ""


class EndpointSubset(OpenModel, frozen=True, kw_only=True):
    addresses: tuple[EndpointAddress, ...] = ()
    not_ready_addresses: tuple[EndpointAddress, ...] = ()
    ports: tuple[EndpointPort, ...] = ()


class Endpoints(Resource, frozen=True, kw_only=True):
    subsets: tuple[EndpointSubset, ...] = ()
