"""Istio's own routing tables."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

from clew._pb.envoy.config.route.v3.route_pb2 import RouteConfiguration
from clew.compile.check import route_clusters
from clew.compile.domains import service_domains
from clew.compile.memo import Memo
from clew.compile.outbound_plan import compile_outbound
from clew.compile.outbound_routes import compile_port_routes, view_of
from clew.config.parse import parse_documents, parse_manifest
from clew.model.base import Resource, ResourceKey
from clew.model.mesh_config import (
    MeshConfig,
    MeshOutboundTrafficPolicy,
    OutboundTrafficPolicyMode,
)
from clew.model.proxy import Proxy, ProxyType
from clew.model.service import Resolution, Service, ServicePort
from clew.snapshot.protocols import parse_protocol
from clew.snapshot.registry import Registry
from clew.snapshot.scope import OutboundScope
from clew.snapshot.scope_builder import build_scope
from clew.snapshot.service_index import index_services
from clew.snapshot.snapshot import build_snapshot
from tests.corpora.conftest import Score
from tests.corpora.corpus import cases

# The share that comes out as in Istio; raise it, never lower it.
REACHED = 1.0

RESOLUTIONS = {
    "Passthrough": Resolution.PASSTHROUGH,
    "DNSLB": Resolution.DNS,
    1: Resolution.DNS,
}


def service(declared: dict[str, Any]) -> Service:
    ports = (
        ServicePort(
            name=port["name"], number=port["port"], protocol=parse_protocol(port["protocol"])
        )
        for port in declared.get("ports") or ()
    )
    address = declared.get("address") or ""
    namespace = declared.get("namespace") or ""
    return Service(
        hostname=declared["hostname"],
        namespace=namespace,
        name=declared["hostname"],
        ports=tuple(ports),
        addresses=(address,) if address not in ("", "0.0.0.0") else (),
        resolution=RESOLUTIONS.get(declared.get("resolution"), Resolution.EDS),
        kubernetes=True,
        export_to=frozenset(
            namespace if each == "." else each for each in declared.get("exportTo") or ["*"]
        ),
        source=ResourceKey("", "Service", namespace, declared["hostname"]),
    )


def outbound_scope(
    namespace: str,
    dns_domain: str,
    resources: Iterable[Resource],
    services: tuple[Service, ...] | None = None,
    *,
    registry_only: bool = False,
) -> OutboundScope:
    mode = OutboundTrafficPolicyMode.REGISTRY_ONLY if registry_only else None
    mesh = MeshConfig(outbound_traffic_policy=MeshOutboundTrafficPolicy(mode=mode))
    snapshot = build_snapshot(resources, mesh)
    if services is not None:
        snapshot = replace(snapshot, registry=Registry(services=index_services(services)))
    proxy = Proxy(
        type=ProxyType.SIDECAR,
        name="app",
        namespace=namespace,
        ip="1.1.1.1",
        dns_domain=dns_domain,
    )
    return build_scope(snapshot, proxy).outbound


def routes_named(name: str, scope: OutboundScope) -> RouteConfiguration:
    """What the proxy would get; for a port without listeners, what it would get if it had one."""
    memo = Memo()
    for resource in compile_outbound(scope, memo)[1]:
        if resource.name == name:
            return RouteConfiguration.FromString(resource.body)
    fallback = compile_port_routes(name, int(name), view_of(scope.egress[-1], scope, memo))
    return RouteConfiguration.FromString(fallback.body)


def domains_by_host(routes: RouteConfiguration) -> dict[str, list[str]]:
    return {host.name: sorted(host.domains) for host in routes.virtual_hosts}


def rds_domains(case: dict[str, Any]) -> bool:
    scope = outbound_scope(
        case["proxy"]["namespace"],
        case["proxy"]["dns_domain"],
        [r for each in case["config"] if (r := parse_manifest(each).resource)],
        tuple(service(each) for each in case["services"]),
        registry_only=case["registry_only"],
    )
    routes = routes_named(case["route_name"], scope)
    wanted = {name: sorted(found) for name, found in case["expected_vhosts"].items()}
    count = sum(len(host.routes) for host in routes.virtual_hosts)
    return domains_by_host(routes) == wanted and count == case["expected_route_count"]


def sidecar_virtual_hosts(case: dict[str, Any]) -> bool:
    namespace = case["proxy"]["ConfigNamespace"]
    resources = [d.resource for d in parse_documents(case["config"]) if d.resource]
    scope = outbound_scope(namespace, f"{namespace}.svc.cluster.local", resources)
    routes = routes_named(case["route_config"], scope)
    found = {
        domain: sorted(route_clusters(RouteConfiguration(virtual_hosts=[host])))
        for host in routes.virtual_hosts
        for domain in host.domains
    }
    wanted = case["expected_virtual_hosts"] or {}
    return all(found.get(domain) == clusters for domain, clusters in wanted.items())


def domain_rules(case: dict[str, Any]) -> bool:
    rule = case["case"]
    if "expectedHosts" in rule:
        return duplicate_domains(rule)
    aliases = ["alias.local.campus.net"] if rule["name"] == "alias" else []
    domains, _ = service_domains(service(rule["service"]), rule["node"]["DNSDomain"], aliases)
    return sorted(domains) == sorted(rule["want"])


def duplicate_domains(rule: dict[str, Any]) -> bool:
    services = tuple(
        service(
            {
                "hostname": each["Hostname"],
                "namespace": each["Attributes"]["Namespace"],
                "resolution": each["Resolution"],
                "ports": [
                    {"name": p["Name"], "port": p["Port"], "protocol": p["Protocol"]}
                    for p in each["Ports"]
                ],
            }
        )
        for each in rule["services"]
    )
    manifests = [
        {
            "apiVersion": "networking.istio.io/v1",
            "kind": "VirtualService",
            "metadata": {"name": each["Meta"]["Name"], "namespace": "default"},
            "spec": each["Spec"],
        }
        for each in rule["config"] or ()
    ]
    resources = [r for each in manifests if (r := parse_manifest(each).resource)]
    scope = outbound_scope("default", "default.svc.cluster.local", resources, services)
    wanted = {name: sorted(found) for name, found in rule["expectedHosts"].items()}
    return domains_by_host(routes_named("80", scope)) == wanted


def wrong(found: list[dict[str, Any]], verdict: Callable[[dict[str, Any]], bool]) -> list[str]:
    return [f"{case['id']} {case.get('name')}" for case in found if not verdict(case)]


def test_routes_and_domains_of_a_port(score: Score) -> None:
    found = cases("routing-rds-domains")
    score("routing-rds-domains", len(found), wrong(found, rds_domains), REACHED)


def test_the_most_specific_route_decides(score: Score) -> None:
    found = cases("routing-sidecar-vhosts")
    score("routing-sidecar-vhosts", len(found), wrong(found, sidecar_virtual_hosts), REACHED)


def test_names_by_which_a_service_may_be_called(score: Score) -> None:
    found = cases("routing-vhost-domain-rules")
    score("routing-vhost-domain-rules", len(found), wrong(found, domain_rules), REACHED)
