"""From the whole mesh to what one class of proxies depends on."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import replace
from functools import partial

from clew.model.mesh_config import MeshConfig
from clew.model.proxy import Interception, Proxy, ProxyType
from clew.model.request_authentication import RequestAuthentication
from clew.model.telemetry import IstioMetric, Telemetry
from clew.snapshot.authorization import authorization_at
from clew.snapshot.client_certificates import presenting
from clew.snapshot.envoy_filters import SelectedPatch, selected_patches
from clew.snapshot.gateways import build_gateway
from clew.snapshot.inbound import build_inbound, served_ports, serves_at_own_address
from clew.snapshot.labels import sorted_labels
from clew.snapshot.objects import objects_of
from clew.snapshot.outbound import build_outbound, headless_addresses, network_of
from clew.snapshot.proxy_configs import proxy_mesh
from clew.snapshot.request_authentication import TokenRule, token_rules, with_keys
from clew.snapshot.scope import OutboundScope, ProxyScope
from clew.snapshot.snapshot import MeshSnapshot
from clew.snapshot.telemetries import TelemetryInForce, applicable, telemetry_in_force


def scope_key(snapshot: MeshSnapshot, proxy: Proxy) -> Hashable:
    """Return a value that is equal for proxies which get equal configuration.

    Replicas of a workload differ only in name and address, and without capture in those too.
    """
    proxy = _present(snapshot, proxy)
    own_address = (
        proxy.interception is Interception.NONE
        or proxy.type is ProxyType.ROUTER
        or serves_at_own_address(snapshot, proxy)
    )
    return (
        proxy.type,
        proxy.namespace,
        proxy.labels,
        proxy.service_account,
        proxy.locality,
        network_of(snapshot, proxy),
        proxy.network_view,
        proxy.node_name if snapshot.services.by_node else "",
        proxy.dns_domain,
        proxy.interception,
        proxy.bind_address,
        proxy.families,
        proxy.unprivileged,
        proxy.trace_sampling,
        proxy.tapped,
        proxy.explains,
        proxy.ip if own_address else "",
        headless_addresses(snapshot, proxy),
        tuple((s.key, port.name, target) for s, port, target in served_ports(snapshot, proxy)),
        proxy.http_proxy_port,
        proxy.app_ports,
        proxy.local_ports,
        proxy.self_discovery,
        proxy.grpc,
        proxy.config,
        tuple((each.key, each.meant) for each in _patches(snapshot, proxy)),
    )


def build_scope(
    snapshot: MeshSnapshot, proxy: Proxy, previous: ProxyScope | None = None
) -> ProxyScope:
    """Return the complete input of the compiler; parts equal to ``previous`` are its own."""
    proxy = _present(snapshot, proxy)
    router = proxy.type is ProxyType.ROUTER
    mesh = _mesh(snapshot, proxy)
    outbound = replace(build_outbound(snapshot, proxy), mesh=mesh)
    guarded = partial(
        replace,
        mesh=mesh,
        token_rules=_token_rules(snapshot, proxy, outbound),
        authorization=authorization_at(snapshot, proxy),
    )
    inbound = None if router else guarded(build_inbound(snapshot, proxy))
    gateway = guarded(build_gateway(snapshot, proxy)) if router else None
    if gateway is not None:
        outbound = presenting(outbound, gateway)
    patches = _patches(snapshot, proxy)
    if previous is not None:
        outbound = previous.outbound if previous.outbound == outbound else outbound
        inbound = previous.inbound if previous.inbound == inbound else inbound
        gateway = previous.gateway if previous.gateway == gateway else gateway
        patches = previous.patches if previous.patches == patches else patches
    return ProxyScope(
        proxy=proxy,
        outbound=outbound,
        inbound=inbound,
        gateway=gateway,
        telemetry=_telemetry(snapshot, proxy, mesh),
        patches=patches,
    )


def counts_requests(snapshot: MeshSnapshot, proxy: Proxy) -> bool:
    """Tell whether a proxy counts the requests that arrive at its workload."""
    proxy = _present(snapshot, proxy)
    found = _telemetry(snapshot, proxy, _mesh(snapshot, proxy))
    return any(each.metric is IstioMetric.REQUEST_COUNT for each in found.server.metrics)


def _telemetry(snapshot: MeshSnapshot, proxy: Proxy, mesh: MeshConfig) -> TelemetryInForce:
    """Return the same object for all proxies for which the same is in force."""
    objects = snapshot.objects.get(Telemetry, {})
    chosen = applicable(objects, proxy, snapshot.mesh.root_namespace)
    router = proxy.type is ProxyType.ROUTER
    here = (router, proxy.config, proxy.trace_sampling)
    name = ("telemetry", here, tuple(each.key for each in chosen))
    in_force = partial(telemetry_in_force, trace_sampling=proxy.trace_sampling)
    return snapshot.views.get(name, in_force, mesh, *chosen)


def _present(snapshot: MeshSnapshot, proxy: Proxy) -> Proxy:
    """Return the proxy with the labels that its pod has now, which it may have come without.

    Source: istio ``Proxy.SetWorkloadLabels``.
    """
    pod = snapshot.registry.places_of(proxy.namespace).pod_at(proxy.ip)
    if pod is None or pod.metadata.name != proxy.name:
        return proxy
    labels = sorted_labels(pod.metadata.labels)
    return proxy if labels == proxy.labels else replace(proxy, labels=labels)


def _mesh(snapshot: MeshSnapshot, proxy: Proxy) -> MeshConfig:
    """Return the mesh's settings as the proxy has them; the same object for equal proxies."""
    router, own = proxy.type is ProxyType.ROUTER, proxy.config
    return snapshot.views.get(
        ("mesh", router, own), partial(proxy_mesh, own=own, router=router), snapshot.mesh
    )


def _token_rules(
    snapshot: MeshSnapshot, proxy: Proxy, outbound: OutboundScope
) -> tuple[TokenRule, ...]:
    policies = objects_of(RequestAuthentication, snapshot.objects)
    rules = token_rules(policies, proxy, snapshot.mesh.root_namespace)
    return with_keys(rules, snapshot.issuers, outbound.services, outbound.destination_rules)


def _patches(snapshot: MeshSnapshot, proxy: Proxy) -> tuple[SelectedPatch, ...]:
    return selected_patches(snapshot.envoy_filters, proxy, snapshot.mesh.root_namespace)
