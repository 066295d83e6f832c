"""ServiceEntry: a service that no registry knows of."""

from __future__ import annotations

from enum import StrEnum

from clew.model.base import Model, Resource
from clew.model.selectors import WorkloadSelector
from clew.model.workload_entry import WorkloadEntrySpec


class Location(StrEnum):
    MESH_EXTERNAL = "MESH_EXTERNAL"
    MESH_INTERNAL = "MESH_INTERNAL"


class Resolution(StrEnum):
    NONE = "NONE"
    STATIC = "STATIC"
    DNS = "DNS"
    DNS_ROUND_ROBIN = "DNS_ROUND_ROBIN"
    DYNAMIC_DNS = "DYNAMIC_DNS"


class ServicePort(Model, frozen=True, kw_only=True):
    number: int
    protocol: str = ""
    name: str
    target_port: int | None = None


class ServiceEntrySpec(Model, frozen=True, kw_only=True):
    hosts: tuple[str, ...]
    addresses: tuple[str, ...] = ()
    ports: tuple[ServicePort, ...] = ()
    location: Location | None = None
    resolution: Resolution | None = None
    endpoints: tuple[WorkloadEntrySpec, ...] = ()
    workload_selector: WorkloadSelector | None = None
    export_to: tuple[str, ...] = ()
    subject_alt_names: tuple[str, ...] = ()


class ServiceEntry(Resource, frozen=True, kw_only=True):
    spec: ServiceEntrySpec
