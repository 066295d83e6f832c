"""Outbound clusters: one per service port and subset, and those for what nobody declared."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from clew._pb.envoy.config.cluster.v3.cluster_pb2 import Cluster
from clew._pb.envoy.config.core.v3.config_source_pb2 import (
    AggregatedConfigSource,
    ApiVersion,
    ConfigSource,
)
from clew._pb.envoy.config.endpoint.v3.endpoint_pb2 import ClusterLoadAssignment
from clew.compile.connection_pool import Version, apply_connection_pool, apply_version
from clew.compile.dynamic_forward_proxy import forward_to_named_host
from clew.compile.endpoint_facts import Coverage
from clew.compile.load_balancing import apply_load_balancer
from clew.compile.outlier_detection import apply_outlier_detection
from clew.compile.preference import apply_locality
from clew.compile.proxy_headers import keeps_case
from clew.compile.resources import resource, sources
from clew.compile.secrets import OWN_TLS
from clew.compile.stat_names import stat_name
from clew.compile.traffic_policy import Policy, declared_policy, policy_for
from clew.compile.transport_sockets import client_tls_socket
from clew.compile.unknown_traffic import RESOLVING_CLUSTER, unknown_tls
from clew.compile.upstream_tls import apply_upstream_tls, mesh_tls_of, tls_in_force
from clew.model import names
from clew.model.destination_rule import (
    ClientTLSMode,
    ClientTLSSettings,
    DestinationRule,
    H2UpgradePolicy,
    SimpleLB,
)
from clew.model.mesh_config import MeshConfig, MeshH2UpgradePolicy
from clew.model.service import Protocol, Resolution, Service, ServicePort
from clew.model.spiffe import in_trust_domains
from clew.model.xds import EnvoyResource
from clew.snapshot.scope import MutualTls

_BY_DNS = {
    Resolution.DNS: Cluster.STRICT_DNS,
    Resolution.DNS_ROUND_ROBIN: Cluster.LOGICAL_DNS,
}


@dataclass(frozen=True, slots=True)
class Site:
    """Where a cluster is used. ``original_destination``: the proxy sees where clients wanted to go.

    Without traffic capture, and on a router, every connection is made to the proxy itself.
    ``passes_mesh_tls``: it also hands on mTLS that it does not end.
    """

    router: bool
    original_destination: bool
    passes_mesh_tls: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Upstream:
    """One service port, and what is known of its endpoints as a whole."""

    service: Service
    port: ServicePort
    mode: MutualTls | None  # what auto-mTLS may assume; None: unknown
    coverage: Coverage
    identities: frozenset[str]


CAPTURED = Site(router=False, original_destination=True)
UNCAPTURED = Site(router=False, original_destination=False)
ROUTER = Site(router=True, original_destination=False)
EAST_WEST = Site(router=True, original_destination=False, passes_mesh_tls=True)


def discovery(
    service: Service, rule: DestinationRule | None, port: int, site: Site, subset: str = ""
) -> Resolution:
    """How a proxy at ``site`` finds the endpoints of a service port, or of a subset of it.

    Source: istio ``convertResolution``, ``applyLoadBalancer``.
    """
    if rule is not None and any(_passes(rule, port, each) for each in {"", subset}):
        return Resolution.PASSTHROUGH
    if service.resolution is Resolution.PASSTHROUGH and service.kubernetes:
        return Resolution.PASSTHROUGH if site.original_destination else Resolution.EDS
    return service.resolution


def _passes(rule: DestinationRule, port: int, subset: str) -> bool:
    balancer = declared_policy(rule, port, subset).load_balancer
    return balancer is not None and balancer.simple is SimpleLB.PASSTHROUGH


def compile_clusters(
    upstream: Upstream,
    rule: DestinationRule | None,
    assignments: tuple[ClusterLoadAssignment, ...],
    site: Site,
    mesh: MeshConfig,
) -> tuple[EnvoyResource, ...]:
    """The clusters of one service port: its own, then those of the rule's subsets.

    ``assignments``: in the same order, for clusters that find their endpoints by DNS, which have
    them built in. One without endpoints is left out, as Envoy would refuse it.
    Source: istio ``buildOutboundClusters``.
    """
    subsets = ("", *(subset.name for subset in rule.spec.subsets)) if rule else ("",)
    compiled = []
    for index, subset in enumerate(dict.fromkeys(subsets)):
        cluster = _cluster(upstream, rule, subset, site, mesh)
        if cluster.type in (Cluster.STRICT_DNS, Cluster.LOGICAL_DNS):
            if index >= len(assignments) or not assignments[index].endpoints:
                continue
            cluster.load_assignment.CopyFrom(assignments[index])
        compiled.append(resource(cluster.name, cluster, sources=sources(upstream.service, rule)))
    return tuple(compiled)


def passthrough_cluster(mesh: MeshConfig, *, original_destination: bool) -> EnvoyResource:
    """Where traffic to unknown hosts goes: to the address that the client chose.

    Where that is not known, it goes to the host that the request names.
    """
    cluster = Cluster(name=names.PASSTHROUGH_CLUSTER)
    if original_destination:
        cluster.type = Cluster.ORIGINAL_DST
        cluster.lb_policy = Cluster.CLUSTER_PROVIDED
    else:
        forward_to_named_host(cluster)
    apply_connection_pool(cluster, None, None, mesh)
    apply_version(cluster, Version.AS_CLIENT, None)
    return resource(cluster.name, cluster)


def resolving_cluster(mesh: MeshConfig) -> EnvoyResource:
    """Where requests go that are for the host they name, whoever that is."""
    cluster = Cluster(name=RESOLVING_CLUSTER)
    forward_to_named_host(cluster)
    apply_connection_pool(cluster, None, None, mesh)
    tls = unknown_tls(mesh)
    named, verified = _server_name_from_host(tls)
    apply_version(
        cluster,
        Version.AS_CLIENT,
        None,
        server_name_from_host=named,
        verify_server_name=verified,
    )
    if tls is not None and tls.mode is not ClientTLSMode.DISABLE:
        socket = client_tls_socket(tls, sans=(), sni="", alpn=(), mesh=mesh)
        cluster.transport_socket.CopyFrom(socket)
    return resource(cluster.name, cluster)


def black_hole_cluster(mesh: MeshConfig) -> EnvoyResource:
    """Where traffic goes that must go nowhere: a cluster without endpoints."""
    cluster = Cluster(name=names.BLACK_HOLE_CLUSTER, type=Cluster.STATIC)
    cluster.connect_timeout.FromTimedelta(mesh.connect_timeout.timedelta)
    return resource(cluster.name, cluster)


def _cluster(
    upstream: Upstream,
    rule: DestinationRule | None,
    subset: str,
    site: Site,
    mesh: MeshConfig,
) -> Cluster:
    service, port = upstream.service, upstream.port
    policy = policy_for(rule, port.number, subset, mesh)
    tls = tls_in_force(policy.tls, rule, router=site.router)
    policy = replace(policy, tls=tls)
    name = names.outbound_cluster(port.number, service.hostname, subset)
    # The semicolon ends the name for the rule that takes metrics' tags out of it.
    stat = name
    if pattern := mesh.outbound_cluster_stat_name:
        target = port.target_port if isinstance(port.target_port, int) else 0
        stat = stat_name(pattern, service, port, target or port.number, subset)
    cluster = Cluster(name=name, alt_stat_name=f"{stat};")
    _find_endpoints(cluster, discovery(service, rule, port.number, site, subset), mesh)
    apply_connection_pool(cluster, policy.connection_pool, policy.retry_budget, mesh)
    apply_outlier_detection(cluster, policy.outlier_detection)
    if cluster.lb_policy != Cluster.CLUSTER_PROVIDED:
        apply_load_balancer(cluster, policy.load_balancer)
        apply_locality(cluster, policy.load_balancer, service.traffic_distribution, mesh)
    original = cluster.type == Cluster.ORIGINAL_DST
    coverage = mesh_tls_of(upstream.service, tls, upstream.mode, upstream.coverage, mesh)
    if original and tls is None and not _all_are_known_to_accept(upstream):
        coverage = Coverage.NONE
    version = _version(port.protocol, policy, coverage, site, mesh)
    named, verified = _server_name_from_host(tls)
    apply_version(
        cluster,
        version,
        policy.connection_pool,
        policy.outlier_detection,
        server_name_from_host=named and version is not Version.TCP,
        verify_server_name=verified,
    )
    apply_upstream_tls(
        cluster,
        policy,
        coverage,
        version,
        sans=in_trust_domains(_names_of(upstream, tls), mesh.trust_domain_aliases),
        server_name=names.server_name(port.number, service.hostname, subset),
        mesh=mesh,
    )
    _describe(cluster, upstream, rule, subset)
    return cluster


def _server_name_from_host(tls: ClientTLSSettings | None) -> tuple[bool, bool]:
    """Whether a server is asked for by the name of the request's host, and verified by it."""
    if tls is None or tls.mode not in OWN_TLS or tls.sni:
        return False, False
    return True, not tls.subject_alt_names and not tls.insecure_skip_verify


def _all_are_known_to_accept(upstream: Upstream) -> bool:
    """Whether mesh mTLS is right for whichever endpoint the client itself has chosen.

    Source: istio ``BestEffortInferServiceMTLSMode``: a headless service has it if all its
    instances do.
    """
    known = upstream.coverage is Coverage.ALL and bool(upstream.identities)
    return known or upstream.mode is MutualTls.STRICT


def _names_of(upstream: Upstream, tls: ClientTLSSettings | None) -> tuple[str, ...]:
    """The names that certificates of the endpoints may have.

    Kubernetes knows of none that are not the mesh's own.
    """
    if tls is not None and tls.mode in OWN_TLS and upstream.service.kubernetes:
        return ()
    return tuple(sorted(upstream.identities | frozenset(upstream.service.subject_alt_names)))


def _find_endpoints(cluster: Cluster, how: Resolution, mesh: MeshConfig) -> None:
    match how:
        case Resolution.DNS | Resolution.DNS_ROUND_ROBIN:
            cluster.type = _BY_DNS[how]
            cluster.dns_lookup_family = Cluster.V4_PREFERRED
            cluster.dns_refresh_rate.FromTimedelta(mesh.dns_refresh_rate.timedelta)
            cluster.dns_jitter.FromMilliseconds(100)
            cluster.respect_dns_ttl = True
        case Resolution.PASSTHROUGH:
            cluster.type = Cluster.ORIGINAL_DST
            cluster.lb_policy = Cluster.CLUSTER_PROVIDED
        case Resolution.DYNAMIC_DNS:
            forward_to_named_host(cluster)
        case _:
            cluster.type = Cluster.EDS
            source = ConfigSource(ads=AggregatedConfigSource(), resource_api_version=ApiVersion.V3)
            # Envoy's limit of 15 s stays: without one, an update whose endpoints are late would
            # hold back all clusters for ever.
            cluster.eds_cluster_config.eds_config.CopyFrom(source)
            cluster.eds_cluster_config.service_name = cluster.name
            # Unhealthy endpoints are named too: when they are the majority, Envoy's panic mode
            # would send to them. Source: istio's PILOT_SEND_UNHEALTHY_ENDPOINTS.
            cluster.common_lb_config.healthy_panic_threshold.value = 0


def _version(
    protocol: Protocol, policy: Policy, coverage: Coverage, site: Site, mesh: MeshConfig
) -> Version:
    """What to speak: as the port declares, but HTTP/2 between sidecars.

    One mTLS connection then carries many requests, at half of HTTP/1.1's cost. The server's
    sidecar speaks to the application what the port declares. Only HTTP/1.1 has the case of
    headers, for proxies that are to keep it.
    """
    http = policy.connection_pool.http if policy.connection_pool else None
    if http is not None and http.use_client_protocol:
        return Version.AS_CLIENT
    wanted = (http.h2_upgrade_policy if http else None) or H2UpgradePolicy.DEFAULT
    # Who asks for an upgrade knows that it is HTTP, whatever the port says.
    if protocol.is_http2 or wanted is H2UpgradePolicy.UPGRADE:
        return Version.HTTP2
    if protocol.is_http:
        if wanted is H2UpgradePolicy.DO_NOT_UPGRADE:
            return Version.HTTP1
        upgrade = mesh.h2_upgrade_policy is MeshH2UpgradePolicy.UPGRADE
        between_sidecars = coverage is Coverage.ALL and not keeps_case(mesh)
        return Version.HTTP2 if upgrade or between_sidecars else Version.HTTP1
    if protocol is Protocol.AUTO:
        return Version.HTTP1 if site.router else Version.AS_CLIENT
    return Version.TCP


def _describe(
    cluster: Cluster, upstream: Upstream, rule: DestinationRule | None, subset: str
) -> None:
    """Say what the cluster came from, where explain, metrics and the access log look for it."""
    service = upstream.service
    facts = cluster.metadata.filter_metadata["istio"].fields
    named = facts["services"].list_value.values.add().struct_value.fields
    named["host"].string_value = service.hostname
    named["name"].string_value = service.name
    named["namespace"].string_value = service.namespace
    facts["default_original_port"].number_value = upstream.port.number
    if rule is not None:
        meta = rule.metadata
        facts["config"].string_value = names.config_path(
            "networking.istio.io", "v1", meta.namespace, "destination-rule", meta.name
        )
    if subset:
        facts["subset"].string_value = subset
    if service.mesh_external:
        facts["external"].bool_value = True
    if not service.kubernetes:
        facts["namespace"].string_value = service.namespace  # as the host does not say it


def cluster_names(
    service: Service, port: ServicePort, rule: DestinationRule | None
) -> Iterator[tuple[str, str]]:
    """The name and subset of each cluster of a service port, in the order they are compiled."""
    subsets = ("", *(subset.name for subset in rule.spec.subsets)) if rule else ("",)
    for subset in dict.fromkeys(subsets):
        yield names.outbound_cluster(port.number, service.hostname, subset), subset
