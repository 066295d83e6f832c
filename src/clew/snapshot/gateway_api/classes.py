"""GatewayClasses: which Gateways are ours, and what becomes of them."""

from __future__ import annotations

from dataclasses import dataclass

from clew.model.gateway_api.gateway_class import GatewayClass
from clew.snapshot.objects import Objects, objects_of

GATEWAY_CONTROLLER = "istio.io/gateway-controller"
UNMANAGED_CONTROLLER = "istio.io/unmanaged-gateway"
MESH_CONTROLLER = "istio.io/mesh-controller"
EAST_WEST_CONTROLLER = "istio.io/eastwest-controller"


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassKind:
    """What a controller does. ``remote``: the Gateway only says where another mesh's is.

    ``routed``: its listeners take routes. ``listener_sets``: others may add listeners to it.
    """

    controller: str
    remote: bool = False
    routed: bool = False
    listener_sets: bool = False
    hostname_address: bool = True


_KINDS = {
    kind.controller: kind
    for kind in (
        ClassKind(controller=GATEWAY_CONTROLLER, routed=True, listener_sets=True),
        ClassKind(controller=UNMANAGED_CONTROLLER, remote=True),
        ClassKind(controller=MESH_CONTROLLER, hostname_address=False),
        ClassKind(controller=EAST_WEST_CONTROLLER, hostname_address=False),
    )
}

# Classes that need no object of their own. Istio's, so that its files work unchanged, and ours.
_BUILT_IN = {
    "istio": GATEWAY_CONTROLLER,
    "clew": GATEWAY_CONTROLLER,
    "istio-remote": UNMANAGED_CONTROLLER,
    "istio-waypoint": MESH_CONTROLLER,
    "istio-east-west": EAST_WEST_CONTROLLER,
}


def class_kind(name: str, objects: Objects) -> ClassKind | None:
    """Return what Gateways of a class are; None: another controller's business.

    A GatewayClass object of that name says it, else the built-in classes do.
    """
    declared = objects.get(GatewayClass, {}).get("", {}).get(name)
    if isinstance(declared, GatewayClass):
        return _KINDS.get(declared.spec.controller_name)
    return _KINDS.get(_BUILT_IN.get(name, ""))


def our_classes(objects: Objects) -> tuple[GatewayClass, ...]:
    found = objects_of(GatewayClass, objects)
    return tuple(each for each in found if each.spec.controller_name in _KINDS)
