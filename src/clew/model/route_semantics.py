"""VirtualServices that stand for objects of Kubernetes, whose routes mean something else."""

from __future__ import annotations

from clew.model.virtual_service import VirtualService

# Istio's own annotation of the objects that it makes.
ROUTE_SEMANTICS = "internal.istio.io/route-semantics"
GATEWAY = "gateway"
INGRESS = "ingress"


def is_of_gateway_api(service: VirtualService) -> bool:
    return service.metadata.annotations.get(ROUTE_SEMANTICS) == GATEWAY


def has_segment_prefixes(service: VirtualService) -> bool:
    """Tell whether ``/a`` is a prefix of ``/a/b`` only, and not of ``/ab``.

    Source: istio ``UseGatewaySemantics`` and ``UseIngressSemantics``.
    """
    return service.metadata.annotations.get(ROUTE_SEMANTICS) in (GATEWAY, INGRESS)
