"""Sidecar: what a proxy accepts, and which services it sees."""

from __future__ import annotations

from enum import StrEnum

from clew.model.base import Model, Resource
from clew.model.destination_rule import ConnectionPoolSettings
from clew.model.gateway import ServerTLSSettings
from clew.model.selectors import WorkloadSelector
from clew.model.virtual_service import Destination


class CaptureMode(StrEnum):
    DEFAULT = "DEFAULT"
    IPTABLES = "IPTABLES"
    NONE = "NONE"


class SidecarPort(Model, frozen=True, kw_only=True):
    number: int | None = None
    protocol: str = ""
    name: str = ""
    target_port: int | None = None


class IstioIngressListener(Model, frozen=True, kw_only=True):
    port: SidecarPort
    bind: str = ""
    capture_mode: CaptureMode | None = None
    default_endpoint: str = ""
    tls: ServerTLSSettings | None = None
    connection_pool: ConnectionPoolSettings | None = None


class IstioEgressListener(Model, frozen=True, kw_only=True):
    port: SidecarPort | None = None
    bind: str = ""
    capture_mode: CaptureMode | None = None
    hosts: tuple[str, ...]


class OutboundTrafficPolicyMode(StrEnum):
    REGISTRY_ONLY = "REGISTRY_ONLY"
    ALLOW_ANY = "ALLOW_ANY"


class OutboundTrafficPolicy(Model, frozen=True, kw_only=True):
    mode: OutboundTrafficPolicyMode | None = None
    egress_proxy: Destination | None = None


class SidecarSpec(Model, frozen=True, kw_only=True):
    workload_selector: WorkloadSelector | None = None
    ingress: tuple[IstioIngressListener, ...] = ()
    egress: tuple[IstioEgressListener, ...] = ()
    inbound_connection_pool: ConnectionPoolSettings | None = None
    outbound_traffic_policy: OutboundTrafficPolicy | None = None


class Sidecar(Resource, frozen=True, kw_only=True):
    spec: SidecarSpec = SidecarSpec()
