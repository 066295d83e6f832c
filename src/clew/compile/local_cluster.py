"""The endpoints of a proxy's own service, by which it knows how its zone compares to others."""

from __future__ import annotations

from dataclasses import replace

from clew.compile.endpoint_facts import endpoints_of_port
from clew.compile.endpoints import compile_assignment
from clew.compile.locality import Client
from clew.compile.memo import Memo
from clew.model import names
from clew.model.mesh_config import MeshConfig
from clew.model.service import NOWHERE, Endpoint, Service, ServicePort
from clew.model.xds import EnvoyResource
from clew.snapshot.scope import ProxyScope

# Zones are compared as they are, whatever the mesh prefers.
_NO_PREFERENCE, _NOBODY = MeshConfig(), Client(NOWHERE, "", ())


def compile_local_cluster(scope: ProxyScope, memo: Memo) -> tuple[EnvoyResource, ...]:
    """Return the load assignment of the proxy itself, none if it does not ask for it.

    It is that of its oldest service's first port, and has no endpoints if the proxy has no service
    that its Sidecar lets it see.
    """
    served = scope.inbound.ports[:1] if scope.inbound is not None else ()
    if not scope.proxy.self_discovery:
        return ()
    for each in served:
        members = scope.outbound.endpoints.get(each.service.key, ())
        port = next((p for p in each.service.ports if p.number == each.port.number), None)
        if port is not None:
            return (memo.call(_assignment, each.service, port, members),)
    return ()


def _assignment(
    service: Service, port: ServicePort, members: tuple[Endpoint, ...]
) -> EnvoyResource:
    plain = replace(service, traffic_distribution="", local_traffic_only=False)
    own = endpoints_of_port(members, port.name)
    return compile_assignment(
        plain, port, None, "", own, _NOBODY, _NO_PREFERENCE, names.LOCAL_CLUSTER
    )
