"""Which Ingresses are the mesh's, by their class, and where its routers serve them."""

from __future__ import annotations

from clew.model.addresses import is_ip
from clew.model.base import ResourceKey
from clew.model.core_service import CoreService
from clew.model.ingress import Ingress, IngressClass
from clew.model.mesh_config import IngressControllerMode, MeshConfig
from clew.model.status import Statuses
from clew.snapshot.gateway_api.addresses import load_balancer_addresses
from clew.snapshot.objects import Objects, objects_of

_CLASS = "kubernetes.io/ingress.class"
_DEFAULT_CLASS = "ingressclass.kubernetes.io/is-default-class"
_CONTROLLER = "istio.io/ingress-controller"


def ingresses_in_force(objects: Objects, mesh: MeshConfig) -> list[Ingress]:
    """Return the Ingresses that the mesh serves.

    An annotation names the class by the mesh's own word for it. Otherwise the controller of the
    IngressClass object decides; without such an object, its name.
    Source: istio ``shouldProcessIngressWithClass``; the name alone does not suffice to Istio.
    """
    mode = mesh.ingress_controller_mode
    if mode is IngressControllerMode.OFF:
        return []
    classes = {c.metadata.name: c for c in objects_of(IngressClass, objects)}
    default = _default_class(classes)
    return [i for i in objects_of(Ingress, objects) if _is_ours(i, mesh, classes, default)]


def _is_ours(
    ingress: Ingress, mesh: MeshConfig, classes: dict[str, IngressClass], default: str
) -> bool:
    if annotated := ingress.metadata.annotations.get(_CLASS):
        return annotated == mesh.ingress_class
    name = ingress.spec.ingress_class_name or default
    if name in classes:
        return classes[name].spec.controller == _CONTROLLER
    return name == mesh.ingress_class or (
        not name and mesh.ingress_controller_mode is IngressControllerMode.DEFAULT
    )


def _default_class(classes: dict[str, IngressClass]) -> str:
    """Return the class of Ingresses without one; of several the youngest.

    Source: Kubernetes' ``DefaultIngressClass`` admission.
    """
    defaults = [
        (c.metadata.creation_timestamp or "", name)
        for name, c in sorted(classes.items(), reverse=True)
        if c.metadata.annotations.get(_DEFAULT_CLASS) == "true"
    ]
    return max(defaults, key=lambda each: each[0])[1] if defaults else ""


def ingress_statuses(objects: Objects, mesh: MeshConfig) -> Statuses:
    """Return the status of each Ingress: where the mesh's ``ingressService`` can be reached.

    Source: istio ``runningAddresses`` of the status syncer.
    """
    found: dict[ResourceKey, dict[str, object]] = {}
    if addresses := _addresses(objects, mesh):
        status = {
            "ingress": [{"ip" if is_ip(address) else "hostname": address} for address in addresses]
        }
        found = {i.key: {"loadBalancer": status} for i in ingresses_in_force(objects, mesh)}
    return found


def _addresses(objects: Objects, mesh: MeshConfig) -> list[str]:
    named = objects.get(CoreService, {}).get(mesh.root_namespace, {})
    service = named.get(mesh.ingress_service)
    if not isinstance(service, CoreService):
        return []
    if service.spec.type == "ExternalName":
        return [service.spec.external_name]
    published = (*load_balancer_addresses(service.status), *service.spec.external_ips)
    return sorted(set(published))
