"""Where a route sends its requests: backend references as destinations of the mesh."""

from __future__ import annotations

from dataclasses import dataclass

from clew.model.gateway_api.grpc_route import GRPCBackendRef
from clew.model.gateway_api.http_route import HTTPBackendRef
from clew.model.gateway_api.references import GATEWAY_GROUP, BackendObjectReference, BackendRef
from clew.model.virtual_service import Destination, PortSelector
from clew.snapshot.gateway_api.attachment import Route
from clew.snapshot.gateway_api.conditions import Problem
from clew.snapshot.gateway_api.grants import Referrer, Target
from clew.snapshot.gateway_api.sources import Sources
from clew.snapshot.services import kubernetes_key

AnyBackend = HTTPBackendRef | GRPCBackendRef | BackendRef | BackendObjectReference

# The host of a backend that cannot be used: its share of the requests is answered with 500.
NOWHERE = Destination(host="")
_HOSTNAME = ("networking.istio.io", "Hostname")
_IMPORT = ("multicluster.x-k8s.io", "ServiceImport")
_POOL = ("inference.networking.k8s.io", "InferencePool")


@dataclass(frozen=True, slots=True)
class Backend:
    """``problem`` is told, and does not keep the other backends of the route from working."""

    destination: Destination
    problem: Problem | None = None


def resolve_backend(
    reference: AnyBackend, route: Route, sources: Sources, *, granted: bool
) -> Backend:
    """Return the destination of one backend. ``granted``: another namespace must allow it.

    Source: istio ``buildDestination``.
    """
    own = route.metadata.namespace
    namespace = reference.namespace or own
    target = Target(reference.group, reference.kind, namespace, reference.name)
    if granted and not sources.grants.allow(Referrer(GATEWAY_GROUP, route.kind, own), target):
        text = (
            f"backendRef {reference.name}/{namespace} not accessible to a {route.kind} in "
            f'namespace "{own}" (missing a ReferenceGrant?)'
        )
        return Backend(NOWHERE, Problem("RefNotPermitted", text))
    host = _host(reference, namespace)
    if isinstance(host, Problem):
        return Backend(NOWHERE, host)
    if reference.port is None:
        return Backend(NOWHERE, Problem("UnsupportedValue", "port is required in backendRef"))
    destination = Destination(host=host, port=PortSelector(number=reference.port))
    known = sources.services.by_host.get(host)
    missing = None if known else Problem("BackendNotFound", f"backend({host}) not found")
    return Backend(destination, missing)


def _host(reference: AnyBackend, namespace: str) -> str | Problem:
    match reference.group, reference.kind:
        case ("", "Service"):
            if "." in reference.name:
                text = (
                    "service name invalid; the name of the Service must be used, not the hostname"
                )
                return Problem("UnsupportedValue", text)
            return kubernetes_key(reference.name, namespace).hostname
        case kind if kind == _HOSTNAME:
            if reference.namespace:
                text = "namespace may not be set with Hostname type"
                return Problem("UnsupportedValue", text)
            return reference.name
        case kind if kind == _IMPORT:
            return kubernetes_key(reference.name, namespace).hostname
        case kind if kind == _POOL:
            return Problem("BackendNotFound", f"InferencePool {reference.name} is not served")
        case group, name:
            text = f'referencing unsupported backendRef: group "{group}" kind "{name}"'
            return Problem("InvalidKind", text)
