"""One table: which admission rules hold for which kind."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from clew.config.finding import Finding
from clew.config.validate.authorization_policy import validate_authorization_policy
from clew.config.validate.destination_rule import validate_destination_rule
from clew.config.validate.envoy_filter import validate_envoy_filter
from clew.config.validate.gateway import validate_gateway
from clew.config.validate.gateway_api.gateway import (
    validate_gateway_class,
    validate_kubernetes_gateway,
    validate_listener_set,
)
from clew.config.validate.gateway_api.grpc_route import validate_grpc_route
from clew.config.validate.gateway_api.http_route import validate_kubernetes_http_route
from clew.config.validate.gateway_api.policies import (
    validate_backend,
    validate_backend_tls_policy,
    validate_backend_traffic_policy,
    validate_reference_grant,
)
from clew.config.validate.gateway_api.stream_routes import (
    validate_kubernetes_tcp_route,
    validate_kubernetes_tls_route,
    validate_udp_route,
)
from clew.config.validate.peer_authentication import validate_peer_authentication
from clew.config.validate.proxy_config import validate_proxy_config
from clew.config.validate.request_authentication import validate_request_authentication
from clew.config.validate.service_entry import validate_service_entry
from clew.config.validate.sidecar import validate_sidecar
from clew.config.validate.telemetry import validate_telemetry
from clew.config.validate.traffic_extension import validate_traffic_extension
from clew.config.validate.unsupported import check_support
from clew.config.validate.virtual_service import validate_virtual_service
from clew.config.validate.wasm_plugin import validate_wasm_plugin
from clew.config.validate.workload_entry import validate_workload_entry
from clew.config.validate.workload_group import validate_workload_group
from clew.model.authorization_policy import AuthorizationPolicy
from clew.model.base import Resource
from clew.model.destination_rule import DestinationRule
from clew.model.envoy_filter import EnvoyFilter
from clew.model.gateway import Gateway
from clew.model.gateway_api.backend import XBackend
from clew.model.gateway_api.backend_tls_policy import BackendTLSPolicy
from clew.model.gateway_api.backend_traffic_policy import XBackendTrafficPolicy
from clew.model.gateway_api.gateway import KubernetesGateway
from clew.model.gateway_api.gateway_class import GatewayClass
from clew.model.gateway_api.grpc_route import GRPCRoute
from clew.model.gateway_api.http_route import KubernetesHTTPRoute
from clew.model.gateway_api.listener_set import ListenerSet
from clew.model.gateway_api.reference_grant import ReferenceGrant
from clew.model.gateway_api.tcp_route import KubernetesTCPRoute
from clew.model.gateway_api.tls_route import KubernetesTLSRoute
from clew.model.gateway_api.udp_route import UDPRoute
from clew.model.kinds import kind_of
from clew.model.peer_authentication import PeerAuthentication
from clew.model.proxy_config import ProxyConfig
from clew.model.request_authentication import RequestAuthentication
from clew.model.service_entry import ServiceEntry
from clew.model.sidecar import Sidecar
from clew.model.telemetry import Telemetry
from clew.model.traffic_extension import TrafficExtension
from clew.model.virtual_service import VirtualService
from clew.model.wasm_plugin import WasmPlugin
from clew.model.workload_entry import WorkloadEntry
from clew.model.workload_group import WorkloadGroup

_RULES: Mapping[type[Resource], Callable[[Any], Iterator[Finding]]] = {
    AuthorizationPolicy: validate_authorization_policy,
    DestinationRule: validate_destination_rule,
    EnvoyFilter: validate_envoy_filter,
    Gateway: validate_gateway,
    PeerAuthentication: validate_peer_authentication,
    ProxyConfig: validate_proxy_config,
    RequestAuthentication: validate_request_authentication,
    ServiceEntry: validate_service_entry,
    Sidecar: validate_sidecar,
    Telemetry: validate_telemetry,
    TrafficExtension: validate_traffic_extension,
    WasmPlugin: validate_wasm_plugin,
    VirtualService: validate_virtual_service,
    WorkloadEntry: validate_workload_entry,
    WorkloadGroup: validate_workload_group,
}
_GATEWAY_API_RULES: Mapping[type[Resource], Callable[[Any], Iterator[Finding]]] = {
    BackendTLSPolicy: validate_backend_tls_policy,
    GRPCRoute: validate_grpc_route,
    GatewayClass: validate_gateway_class,
    KubernetesGateway: validate_kubernetes_gateway,
    KubernetesHTTPRoute: validate_kubernetes_http_route,
    KubernetesTCPRoute: validate_kubernetes_tcp_route,
    KubernetesTLSRoute: validate_kubernetes_tls_route,
    ListenerSet: validate_listener_set,
    ReferenceGrant: validate_reference_grant,
    UDPRoute: validate_udp_route,
    XBackend: validate_backend,
    XBackendTrafficPolicy: validate_backend_traffic_policy,
}
# Annotations by which Istio's own parts talk to each other.
_INTERNAL = ("always-reject", "parents", "parent-namespace")


def validate_resource(resource: Resource) -> Iterator[Finding]:
    """Yield what Istio's admission would say, and warnings of kinds and fields without effect."""
    kind = kind_of(resource.key.group, resource.kind)
    if kind is not None and not kind.effective:
        yield Finding((), f"{kind.kind} is stored, but not yet effective in clew", "", True)
    else:
        yield from check_support(resource)
    if rules := _RULES.get(type(resource)):
        yield from _check_annotations(resource)
        yield from rules(resource)
    elif rules := _GATEWAY_API_RULES.get(type(resource)):
        yield from rules(resource)


def _check_annotations(resource: Resource) -> Iterator[Finding]:
    annotations = resource.metadata.annotations
    for name in _INTERNAL:
        if (key := f"internal.istio.io/{name}") in annotations:
            yield Finding(("metadata", "annotations", key), "this annotation is internal to Istio")
    if "istio.io/dry-run" in annotations and not isinstance(resource, AuthorizationPolicy):
        at = ("metadata", "annotations", "istio.io/dry-run")
        yield Finding(at, "only an AuthorizationPolicy has a dry run")
