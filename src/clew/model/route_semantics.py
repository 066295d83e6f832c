"""Objects of Istio that stand for objects of Kubernetes, and whose routes mean something else."""

from __future__ import annotations

from clew.model.base import Resource, ResourceKey
from clew.model.virtual_service import VirtualService

# Istio's own annotations of the objects that it makes.
PARENTS = "internal.istio.io/parents"
GATEWAY_SEMANTICS = "internal.istio.io/gateway-semantics"
ROUTE_SEMANTICS = "internal.istio.io/route-semantics"
# Ours, of Gateways: the name by which proxies get what they present to backends.
CLIENT_CERTIFICATE = "internal.istio.io/client-certificate"
_GROUP = "gateway.networking.k8s.io"
_EXPERIMENTAL = "gateway.networking.x-k8s.io"
GATEWAY = "gateway"
INGRESS = "ingress"


def is_of_gateway_api(resource: Resource) -> bool:
    """Tell whether a VirtualService or a Gateway stands for objects of the Gateway API."""
    annotations = resource.metadata.annotations
    return GATEWAY in (annotations.get(ROUTE_SEMANTICS), annotations.get(GATEWAY_SEMANTICS))


def has_segment_prefixes(service: VirtualService) -> bool:
    """Tell whether ``/a`` is a prefix of ``/a/b`` only, and not of ``/ab``.

    Source: istio ``UseGatewaySemantics`` and ``UseIngressSemantics``.
    """
    return service.metadata.annotations.get(ROUTE_SEMANTICS) in (GATEWAY, INGRESS)


def parents(resource: Resource) -> tuple[ResourceKey, ...]:
    """Return what people wrote that an object stands for; nothing if they wrote itself."""
    found = resource.metadata.annotations.get(PARENTS, "")
    return tuple(_key(parent) for parent in found.split(",") if parent)


def _key(parent: str) -> ResourceKey:
    """``HTTPRoute/web.default``, ``Gateway/web/http.default``; of policies ``Kind/default.web``."""
    kind, _, rest = parent.partition("/")
    if kind in ("BackendTLSPolicy", "XBackendTrafficPolicy"):
        namespace, _, name = rest.partition(".")
    else:
        name, _, namespace = rest.rpartition(".")
        name = name.partition("/")[0]
    return ResourceKey(_EXPERIMENTAL if kind[0] == "X" else _GROUP, kind, namespace, name)
