"""What a gRPC application needs that speaks xDS itself and has no proxy beside it.

Source: gRPC proposals A27 (xDS), A28 (routing), A33 (fault injection), A44 (retries), and Istio's
proxyless gRPC generator.
"""

from __future__ import annotations

from collections.abc import Iterator

from clew._pb.envoy.config.cluster.v3.cluster_pb2 import Cluster
from clew._pb.envoy.config.core.v3.config_source_pb2 import (
    AggregatedConfigSource,
    ApiVersion,
    ConfigSource,
)
from clew._pb.envoy.config.listener.v3.api_listener_pb2 import ApiListener
from clew._pb.envoy.config.listener.v3.listener_pb2 import Listener
from clew._pb.envoy.config.route.v3.route_pb2 import RouteConfiguration
from clew._pb.envoy.extensions.filters.http.fault.v3.fault_pb2 import HTTPFault
from clew._pb.envoy.extensions.filters.http.router.v3.router_pb2 import Router
from clew._pb.envoy.extensions.filters.network.http_connection_manager.v3 import (
    http_connection_manager_pb2 as http,
)
from clew.compile.clusters import UNCAPTURED, discovery
from clew.compile.endpoints import compile_assignment
from clew.compile.fault import FILTER as FAULT_FILTER
from clew.compile.locality import Client
from clew.compile.memo import Memo
from clew.compile.outbound_routes import service_route_configuration
from clew.compile.resources import resource, sources
from clew.compile.typed_config import typed_config
from clew.model import names
from clew.model.destination_rule import DestinationRule
from clew.model.mesh_config import MeshConfig
from clew.model.service import Resolution, Service, ServicePort
from clew.model.xds import CLUSTER, ENDPOINTS, LISTENER, ROUTE, EnvoyResource, Published
from clew.snapshot.scope import OutboundScope

_ROUTER_FILTER = "envoy.filters.http.router"


def compile_proxyless_grpc(scope: OutboundScope, memo: Memo) -> Published:
    """Return listeners named as clients dial (``xds:///host:port``), routes, clusters, endpoints.

    For each visible HTTP port of a service whose endpoints the control plane knows. Connections
    are plaintext, which a sidecar in PERMISSIVE mode takes.
    """
    listeners: list[EnvoyResource] = []
    routes: list[EnvoyResource] = []
    clusters: list[EnvoyResource] = []
    assignments: list[EnvoyResource] = []
    client = Client(scope.locality, scope.network, scope.labels)
    for service, port, rule in _ports(scope):
        listeners.append(memo.call(_listener, service, port))
        routes.append(_routes(service, port, scope, memo))
        endpoints = tuple(
            e for e in scope.endpoints.get(service.key, ()) if e.port_name == port.name
        )
        for subset in _subsets(rule):
            clusters.append(memo.call(_cluster, service, port, rule, subset, scope.mesh))
            assignments.append(
                compile_assignment(service, port, rule, subset, endpoints, client, scope.mesh)
            )
    return {
        LISTENER: {each.name: each for each in listeners},
        ROUTE: {each.name: each for each in routes},
        CLUSTER: {each.name: each for each in clusters},
        ENDPOINTS: {each.name: each for each in assignments},
    }


def _ports(
    scope: OutboundScope,
) -> Iterator[tuple[Service, ServicePort, DestinationRule | None]]:
    for service in scope.services:
        rule = scope.destination_rules.get(service.hostname)
        for port in service.ports:
            known = discovery(service, rule, port.number, UNCAPTURED) is Resolution.EDS
            if known and port.protocol.is_http:
                yield service, port, rule


def _subsets(rule: DestinationRule | None) -> tuple[str, ...]:
    return ("", *(subset.name for subset in rule.spec.subsets)) if rule is not None else ("",)


def _listener(service: Service, port: ServicePort) -> EnvoyResource:
    """The API listener that a channel asks for by the target that the application dials."""
    rds = http.Rds(
        config_source=_from_ads(),
        route_config_name=names.outbound_cluster(port.number, service.hostname),
    )
    manager = http.HttpConnectionManager(
        rds=rds,
        http_filters=[
            http.HttpFilter(name=FAULT_FILTER, typed_config=typed_config(HTTPFault())),
            http.HttpFilter(name=_ROUTER_FILTER, typed_config=typed_config(Router())),
        ],
    )
    name = f"{service.hostname}:{port.number}"
    listener = Listener(name=name, api_listener=ApiListener(api_listener=typed_config(manager)))
    return resource(name, listener, sources=sources(service))


def _routes(service: Service, port: ServicePort, scope: OutboundScope, memo: Memo) -> EnvoyResource:
    """The routes of one service, for whatever authority the channel sends."""
    name = names.outbound_cluster(port.number, service.hostname)
    configuration = service_route_configuration(name, port.number, service, scope, memo)
    for host in configuration.virtual_hosts:
        for route in host.routes:
            # A client refuses the settings of filters that it does not know.
            for unknown in [n for n in route.typed_per_filter_config if n != FAULT_FILTER]:
                del route.typed_per_filter_config[unknown]
    return resource(name, configuration, uses=_clusters_of(configuration))


def _clusters_of(configuration: RouteConfiguration) -> frozenset[str]:
    used = set()
    for host in configuration.virtual_hosts:
        for route in host.routes:
            used.add(route.route.cluster)
            used.update(each.name for each in route.route.weighted_clusters.clusters)
    return frozenset(used - {""})


def _cluster(
    service: Service,
    port: ServicePort,
    rule: DestinationRule | None,
    subset: str,
    mesh: MeshConfig,
) -> EnvoyResource:
    """A cluster as clients understand it: round robin over endpoints from the control plane."""
    name = names.outbound_cluster(port.number, service.hostname, subset)
    cluster = Cluster(name=name, type=Cluster.EDS, lb_policy=Cluster.ROUND_ROBIN)
    cluster.connect_timeout.FromTimedelta(mesh.connect_timeout.timedelta)
    cluster.eds_cluster_config.service_name = name
    cluster.eds_cluster_config.eds_config.CopyFrom(_from_ads())
    return resource(name, cluster, sources=sources(service, rule))


def _from_ads() -> ConfigSource:
    return ConfigSource(ads=AggregatedConfigSource(), resource_api_version=ApiVersion.V3)
