"""Ports that speak gRPC because a GRPCRoute leads to them, whatever their services declare."""

from __future__ import annotations

from clew.model.gateway_api.grpc_route import GRPCRoute
from clew.model.service import Protocol
from clew.snapshot.gateway_api.sources import Sources
from clew.snapshot.objects import objects_of
from clew.snapshot.services import kubernetes_key


def undeclared_grpc_ports(sources: Sources) -> frozenset[tuple[str, int]]:
    """Return host and port of the backends of GRPCRoutes that declare no protocol."""
    found = {
        (kubernetes_key(each.name, each.namespace or route.metadata.namespace).hostname, each.port)
        for route in objects_of(GRPCRoute, sources.objects)
        for rule in route.spec.rules
        for each in rule.backend_refs
        if (each.group, each.kind) == ("", "Service") and each.port is not None
    }
    return frozenset(
        (host, port.number)
        for host, number in found
        if (service := sources.services.by_host.get(host))
        for port in service[0].ports
        if port.number == number and port.protocol is Protocol.AUTO
    )
