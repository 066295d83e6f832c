"""The kinds of objects that clew knows, under the names that people and YAML call them by."""

from __future__ import annotations

from dataclasses import dataclass

from clew.model.authorization_policy import AuthorizationPolicy
from clew.model.base import Resource
from clew.model.config_map import ConfigMap
from clew.model.core_service import CoreService
from clew.model.deployment import Deployment
from clew.model.destination_rule import DestinationRule
from clew.model.endpoint_slice import EndpointSlice
from clew.model.endpoints import Endpoints
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
from clew.model.ingress import Ingress, IngressClass
from clew.model.namespace import Namespace
from clew.model.node import Node
from clew.model.peer_authentication import PeerAuthentication
from clew.model.pod import Pod
from clew.model.proxy_config import ProxyConfig
from clew.model.replica_set import ReplicaSet
from clew.model.request_authentication import RequestAuthentication
from clew.model.secret import Secret
from clew.model.service_account import ServiceAccount
from clew.model.service_entry import ServiceEntry
from clew.model.sidecar import Sidecar
from clew.model.stateful_set import StatefulSet
from clew.model.telemetry import Telemetry
from clew.model.traffic_extension import TrafficExtension
from clew.model.virtual_service import VirtualService
from clew.model.wasm_plugin import WasmPlugin
from clew.model.workload_entry import WorkloadEntry
from clew.model.workload_group import WorkloadGroup

NETWORKING = "networking.istio.io"
SECURITY = "security.istio.io"
EXTENSIONS = "extensions.istio.io"
GATEWAY_API = "gateway.networking.k8s.io"
GATEWAY_API_EXPERIMENTAL = "gateway.networking.x-k8s.io"
THREE = ("v1", "v1beta1", "v1alpha3")
TLS_VERSIONS = ("v1", "v1alpha3", "v1alpha2")


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind. ``versions`` are those that Istio or Kubernetes serve, the stored one first.

    ``effective`` is False for kinds that are accepted and stored but change nothing yet.
    """

    group: str
    kind: str
    plural: str
    type: type[Resource]
    versions: tuple[str, ...] = ("v1",)
    short_names: tuple[str, ...] = ()
    namespaced: bool = True
    effective: bool = True

    @property
    def api_versions(self) -> tuple[str, ...]:
        prefix = f"{self.group}/" if self.group else ""
        return tuple(prefix + version for version in self.versions)


KINDS = (
    Kind(NETWORKING, "VirtualService", "virtualservices", VirtualService, THREE, ("vs",)),
    Kind(NETWORKING, "DestinationRule", "destinationrules", DestinationRule, THREE, ("dr",)),
    Kind(NETWORKING, "Gateway", "gateways", Gateway, THREE, ("gw",)),
    Kind(NETWORKING, "ServiceEntry", "serviceentries", ServiceEntry, THREE, ("se",)),
    Kind(NETWORKING, "Sidecar", "sidecars", Sidecar, THREE),
    Kind(NETWORKING, "WorkloadEntry", "workloadentries", WorkloadEntry, THREE, ("we",)),
    Kind(NETWORKING, "WorkloadGroup", "workloadgroups", WorkloadGroup, THREE, ("wg",)),
    Kind(NETWORKING, "ProxyConfig", "proxyconfigs", ProxyConfig, ("v1beta1",)),
    Kind(NETWORKING, "EnvoyFilter", "envoyfilters", EnvoyFilter, ("v1alpha3",)),
    Kind(
        SECURITY,
        "PeerAuthentication",
        "peerauthentications",
        PeerAuthentication,
        THREE[:2],
        ("pa",),
    ),
    Kind(
        SECURITY,
        "RequestAuthentication",
        "requestauthentications",
        RequestAuthentication,
        THREE[:2],
        ("ra",),
    ),
    Kind(
        SECURITY,
        "AuthorizationPolicy",
        "authorizationpolicies",
        AuthorizationPolicy,
        THREE[:2],
        ("ap",),
    ),
    Kind(
        "telemetry.istio.io",
        "Telemetry",
        "telemetries",
        Telemetry,
        ("v1", "v1alpha1"),
        ("telemetry",),
    ),
    Kind("", "Namespace", "namespaces", Namespace, short_names=("ns",), namespaced=False),
    Kind("", "Service", "services", CoreService, short_names=("svc",)),
    Kind("", "Endpoints", "endpoints", Endpoints, short_names=("ep",)),
    Kind("discovery.k8s.io", "EndpointSlice", "endpointslices", EndpointSlice),
    Kind("", "Pod", "pods", Pod, short_names=("po",)),
    Kind("", "Node", "nodes", Node, short_names=("no",), namespaced=False),
    Kind("", "ServiceAccount", "serviceaccounts", ServiceAccount, short_names=("sa",)),
    Kind("", "Secret", "secrets", Secret),
    Kind("", "ConfigMap", "configmaps", ConfigMap, short_names=("cm",)),
    Kind("apps", "Deployment", "deployments", Deployment, short_names=("deploy",)),
    Kind("apps", "ReplicaSet", "replicasets", ReplicaSet, short_names=("rs",)),
    Kind("apps", "StatefulSet", "statefulsets", StatefulSet, short_names=("sts",)),
    Kind("networking.k8s.io", "Ingress", "ingresses", Ingress, short_names=("ing",)),
    Kind("networking.k8s.io", "IngressClass", "ingressclasses", IngressClass, namespaced=False),
    Kind(EXTENSIONS, "WasmPlugin", "wasmplugins", WasmPlugin, ("v1alpha1",), effective=False),
    Kind(
        EXTENSIONS,
        "TrafficExtension",
        "trafficextensions",
        TrafficExtension,
        ("v1alpha1",),
        effective=False,
    ),
    *(
        Kind(GATEWAY_API, name, plural, kind, versions, short_names, namespaced)
        for name, plural, kind, versions, short_names, namespaced in (
            ("GatewayClass", "gatewayclasses", GatewayClass, ("v1", "v1beta1"), ("gc",), False),
            ("Gateway", "gateways", KubernetesGateway, ("v1", "v1beta1"), ("gtw",), True),
            ("HTTPRoute", "httproutes", KubernetesHTTPRoute, ("v1", "v1beta1"), (), True),
            ("GRPCRoute", "grpcroutes", GRPCRoute, ("v1",), (), True),
            ("TLSRoute", "tlsroutes", KubernetesTLSRoute, TLS_VERSIONS, (), True),
            ("TCPRoute", "tcproutes", KubernetesTCPRoute, ("v1", "v1alpha2"), (), True),
            ("UDPRoute", "udproutes", UDPRoute, ("v1", "v1alpha2"), (), True),
            ("ListenerSet", "listenersets", ListenerSet, ("v1",), ("lset",), True),
            (
                "ReferenceGrant",
                "referencegrants",
                ReferenceGrant,
                ("v1", "v1beta1"),
                ("refgrant",),
                True,
            ),
            (
                "BackendTLSPolicy",
                "backendtlspolicies",
                BackendTLSPolicy,
                ("v1", "v1alpha3"),
                ("btlspolicy",),
                True,
            ),
        )
    ),
    Kind(
        GATEWAY_API_EXPERIMENTAL,
        "XBackendTrafficPolicy",
        "xbackendtrafficpolicies",
        XBackendTrafficPolicy,
        ("v1alpha1",),
        ("xbtrafficpolicy",),
    ),
    Kind(
        GATEWAY_API_EXPERIMENTAL,
        "XBackend",
        "xbackends",
        XBackend,
        ("v1alpha1",),
        ("xbackend",),
        effective=False,
    ),
)

_BY_API = {(v, kind.kind): kind for kind in KINDS for v in kind.api_versions}
_BY_GROUP = {(kind.group, kind.kind): kind for kind in KINDS}


def kind_for(api_version: str, kind: str) -> Kind | None:
    """Find a kind by what a manifest says, or None."""
    return _BY_API.get((api_version, kind))


def kind_of(group: str, kind: str) -> Kind | None:
    return _BY_GROUP.get((group, kind))


def find_kind(text: str) -> Kind | None:
    """Find a kind by what people type: ``vs``, ``virtualservices``, ``VirtualService``,
    ``virtualservices.networking.istio.io``. Istio's come before others of the same name.
    """
    wanted, _, group = text.lower().partition(".")
    for kind in KINDS:
        names = {kind.kind.lower(), kind.plural, *kind.short_names}
        if wanted in names and group in ("", kind.group):
            return kind
    return None
