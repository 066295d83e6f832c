"""EndpointSlice: a part of the addresses behind a Kubernetes Service."""

from __future__ import annotations

from clew.model.base import OpenModel, PortNumber, Resource
from clew.model.endpoints import ObjectReference


class EndpointConditions(OpenModel, frozen=True, kw_only=True):
    """Unknown (``None``) counts as ready."""

    ready: bool | None = None
    serving: bool | None = None
    terminating: bool | None = None


class ZoneHint(OpenModel, frozen=True, kw_only=True):
    name: str = ""


class EndpointHints(OpenModel, frozen=True, kw_only=True):
    for_zones: tuple[ZoneHint, ...] = ()


class SliceEndpoint(OpenModel, frozen=True, kw_only=True):
    addresses: tuple[str, ...] = ()
    conditions: EndpointConditions = EndpointConditions()
    hostname: str = ""
    node_name: str = ""
    zone: str = ""
    target_ref: ObjectReference | None = None
    hints: EndpointHints | None = None


class SlicePort(OpenModel, frozen=True, kw_only=True):
    name: str = ""
    protocol: str = "TCP"
    port: PortNumber | None = None
    app_protocol: str = ""


class EndpointSlice(Resource, frozen=True, kw_only=True):
    address_type: str = "IPv4"
    endpoints: tuple[SliceEndpoint, ...] = ()
    ports: tuple[SlicePort, ...] = ()
