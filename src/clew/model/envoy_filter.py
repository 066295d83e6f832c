"""EnvoyFilter: patches to the configuration that Envoy gets."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from clew.model.base import Model, Resource
from clew.model.selectors import PolicyTargetReference, WorkloadSelector


class ApplyTo(StrEnum):
    INVALID = "INVALID"
    LISTENER = "LISTENER"
    FILTER_CHAIN = "FILTER_CHAIN"
    NETWORK_FILTER = "NETWORK_FILTER"
    HTTP_FILTER = "HTTP_FILTER"
    ROUTE_CONFIGURATION = "ROUTE_CONFIGURATION"
    VIRTUAL_HOST = "VIRTUAL_HOST"
    HTTP_ROUTE = "HTTP_ROUTE"
    CLUSTER = "CLUSTER"
    EXTENSION_CONFIG = "EXTENSION_CONFIG"
    BOOTSTRAP = "BOOTSTRAP"
    LISTENER_FILTER = "LISTENER_FILTER"


class PatchContext(StrEnum):
    ANY = "ANY"
    SIDECAR_INBOUND = "SIDECAR_INBOUND"
    SIDECAR_OUTBOUND = "SIDECAR_OUTBOUND"
    GATEWAY = "GATEWAY"
    WAYPOINT = "WAYPOINT"


class PatchOperation(StrEnum):
    INVALID = "INVALID"
    MERGE = "MERGE"
    ADD = "ADD"
    REMOVE = "REMOVE"
    INSERT_BEFORE = "INSERT_BEFORE"
    INSERT_AFTER = "INSERT_AFTER"
    INSERT_FIRST = "INSERT_FIRST"
    REPLACE = "REPLACE"
    MERGE_AND_REPLACE_LIST = "MERGE_AND_REPLACE_LIST"


class FilterClass(StrEnum):
    UNSPECIFIED = "UNSPECIFIED"
    AUTHN = "AUTHN"
    AUTHZ = "AUTHZ"
    STATS = "STATS"


class RouteAction(StrEnum):
    ANY = "ANY"
    ROUTE = "ROUTE"
    REDIRECT = "REDIRECT"
    DIRECT_RESPONSE = "DIRECT_RESPONSE"


class SubFilterMatch(Model, frozen=True, kw_only=True):
    name: str = ""


class FilterMatch(Model, frozen=True, kw_only=True):
    name: str = ""
    sub_filter: SubFilterMatch | None = None


class FilterChainMatch(Model, frozen=True, kw_only=True):
    name: str = ""
    sni: str = ""
    transport_protocol: str = ""
    application_protocols: str = ""
    filter: FilterMatch | None = None
    destination_port: int | None = None
    transport_socket: str = ""


class ListenerMatch(Model, frozen=True, kw_only=True):
    port_number: int | None = None
    port_name: str = ""
    filter_chain: FilterChainMatch | None = None
    listener_filter: str = ""
    name: str = ""


class RouteMatch(Model, frozen=True, kw_only=True):
    name: str = ""
    action: RouteAction | None = None


class VirtualHostMatch(Model, frozen=True, kw_only=True):
    name: str = ""
    domain_name: str = ""
    route: RouteMatch | None = None


class RouteConfigurationMatch(Model, frozen=True, kw_only=True):
    port_number: int | None = None
    port_name: str = ""
    gateway: str = ""
    vhost: VirtualHostMatch | None = None
    name: str = ""


class ClusterMatch(Model, frozen=True, kw_only=True):
    port_number: int | None = None
    service: str = ""
    subset: str = ""
    name: str = ""


class WaypointRouteMatch(Model, frozen=True, kw_only=True):
    name: str = ""


class WaypointMatch(Model, frozen=True, kw_only=True):
    filter: FilterMatch | None = None
    port_number: int | None = None
    route: WaypointRouteMatch | None = None


class ProxyMatch(Model, frozen=True, kw_only=True):
    proxy_version: str = ""
    metadata: dict[str, str] = {}


class EnvoyConfigObjectMatch(Model, frozen=True, kw_only=True):
    context: PatchContext | None = None
    proxy: ProxyMatch | None = None
    listener: ListenerMatch | None = None
    route_configuration: RouteConfigurationMatch | None = None
    cluster: ClusterMatch | None = None
    waypoint: WaypointMatch | None = None


class Patch(Model, frozen=True, kw_only=True):
    operation: PatchOperation | None = None
    value: dict[str, Any] | None = None
    filter_class: FilterClass | None = None


class EnvoyConfigObjectPatch(Model, frozen=True, kw_only=True):
    apply_to: ApplyTo | None = None
    match: EnvoyConfigObjectMatch | None = None
    patch: Patch | None = None


class EnvoyFilterSpec(Model, frozen=True, kw_only=True):
    workload_selector: WorkloadSelector | None = None
    target_refs: tuple[PolicyTargetReference, ...] = ()
    config_patches: tuple[EnvoyConfigObjectPatch, ...] = ()
    priority: int | None = None


class EnvoyFilter(Resource, frozen=True, kw_only=True):
    spec: EnvoyFilterSpec = EnvoyFilterSpec()
