"""Small scopes and resources for compiler tests."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message

from clew._pb.envoy.config.cluster.v3.cluster_pb2 import Cluster
from clew._pb.envoy.config.endpoint.v3.endpoint_pb2 import ClusterLoadAssignment
from clew._pb.envoy.config.listener.v3.listener_pb2 import Listener
from clew._pb.envoy.config.route.v3.route_pb2 import RouteConfiguration
from clew.compile.memo import Memo
from clew.compile.proxy import compile_proxy
from clew.config.parse import parse_documents
from clew.model.base import Resource, ResourceKey
from clew.model.mesh_config import MeshConfig
from clew.model.proxy import Proxy, ProxyType
from clew.model.service import Endpoint, Protocol, Service, ServicePort, Workload
from clew.model.xds import CLUSTER, ENDPOINTS, LISTENER, ROUTE, Published
from clew.snapshot.scope import EgressListener, MutualTls, OutboundScope, ProxyScope

MESSAGES: dict[Any, tuple[type[Message], str]] = {
    CLUSTER: (Cluster, "clusters"),
    ENDPOINTS: (ClusterLoadAssignment, "endpoints"),
    LISTENER: (Listener, "listeners"),
    ROUTE: (RouteConfiguration, "routes"),
}


def service(name: str, *protocols: Protocol, number: int = 8080, **changes: Any) -> Service:
    """A Kubernetes service with a virtual IP and ports from ``number`` on."""
    ports = tuple(
        ServicePort(name=f"port-{i}", number=number + i, protocol=protocol)
        for i, protocol in enumerate(protocols or (Protocol.HTTP,))
    )
    settings: dict[str, Any] = {
        "hostname": f"{name}.default.svc.cluster.local",
        "namespace": "default",
        "name": name,
        "ports": ports,
        "addresses": (f"10.0.0.{sum(map(ord, name)) % 250 + 1}",),
        "kubernetes": True,
        "source": ResourceKey("", "Service", "default", name),
    }
    return Service(**{**settings, **changes})


def endpoint(address: str = "172.16.0.1", *, port_name: str = "port-0", **changes: Any) -> Endpoint:
    """An endpoint with a sidecar, unless ``mutual_tls=False``."""
    labels = tuple(sorted(dict(changes.pop("labels", {})).items()))
    workload = Workload(
        name="app",
        namespace="default",
        labels=labels,
        service_account=changes.pop("service_account", "app"),
        locality=changes.pop("locality", Workload().locality),
    )
    settings: dict[str, Any] = {"port": 8080, "mutual_tls": True, "workload": workload}
    return Endpoint(address=address, port_name=port_name, **{**settings, **changes})


def resources(text: str) -> list[Resource]:
    """Resources of a YAML text, which must be valid."""
    documents = parse_documents(text)
    problems = [str(d) for each in documents for d in each.diagnostics if d.severity == "Error"]
    assert problems == []
    return [each.resource for each in documents if each.resource is not None]


def outbound(*services: Service, mesh: MeshConfig | None = None, **changes: Any) -> OutboundScope:
    """What a sidecar in ``default`` sees: these services, each accepting mTLS."""
    rules = changes.pop("virtual_services", ())
    settings: dict[str, Any] = {
        "mesh": mesh or MeshConfig(),
        "trust_domain": "cluster.local",
        "namespace": "default",
        "dns_domain": "default.svc.cluster.local",
        "egress": (EgressListener(services=services, virtual_services=tuple(rules)),),
        "services": services,
        "mutual_tls": {
            (each.hostname, port.number): MutualTls.PERMISSIVE
            for each in services
            for port in each.ports
        },
    }
    return OutboundScope(**{**settings, **changes})


def sidecar(scope: OutboundScope) -> ProxyScope:
    proxy = Proxy(type=ProxyType.SIDECAR, name="app-0", namespace="default", ip="172.16.0.9")
    return ProxyScope(proxy=proxy, outbound=scope)


def compiled(scope: OutboundScope) -> Published:
    return compile_proxy(sidecar(scope), Memo())


def cluster(scope: OutboundScope, name: str) -> Cluster:
    return Cluster.FromString(compiled(scope)[CLUSTER][name].body)


def listener(scope: OutboundScope, name: str) -> Listener:
    return Listener.FromString(compiled(scope)[LISTENER][name].body)


def routes(scope: OutboundScope, name: str) -> RouteConfiguration:
    return RouteConfiguration.FromString(compiled(scope)[ROUTE][name].body)


def assignment(scope: OutboundScope, name: str) -> ClusterLoadAssignment:
    return ClusterLoadAssignment.FromString(compiled(scope)[ENDPOINTS][name].body)


def as_json(published: Published) -> dict[str, list[dict[str, Any]]]:
    """The form of ``clew compile -o json``."""
    return {
        field: [
            MessageToDict(message.FromString(each.body), preserving_proto_field_name=True)
            for each in published[type_url].values()
        ]
        for type_url, (message, field) in MESSAGES.items()
    }


def with_endpoints(scope: OutboundScope, to: Service, *endpoints: Endpoint) -> OutboundScope:
    return replace(scope, endpoints={**scope.endpoints, to.key: endpoints})
