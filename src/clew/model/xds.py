"""What the compiler publishes and the xDS streams carry: named, versioned bytes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NewType

TypeUrl = NewType("TypeUrl", str)

_PREFIX = "type.googleapis.com/"
CLUSTER = TypeUrl(_PREFIX + "envoy.config.cluster.v3.Cluster")
ENDPOINTS = TypeUrl(_PREFIX + "envoy.config.endpoint.v3.ClusterLoadAssignment")
LISTENER = TypeUrl(_PREFIX + "envoy.config.listener.v3.Listener")
ROUTE = TypeUrl(_PREFIX + "envoy.config.route.v3.RouteConfiguration")
SECRET = TypeUrl(_PREFIX + "envoy.extensions.transport_sockets.tls.v3.Secret")
EXTENSION = TypeUrl(_PREFIX + "envoy.config.core.v3.TypedExtensionConfig")
NAME_TABLE = TypeUrl(_PREFIX + "istio.networking.nds.v1.NameTable")
# For agents: the roots to trust, the one that signs first.
TRUST_BUNDLE = TypeUrl(_PREFIX + "istio.mesh.v1alpha1.ProxyConfig")
# Only ever in requests: the health of the workload beside the proxy.
HEALTH_INFORMATION = TypeUrl(_PREFIX + "istio.v1.HealthInformation")

# Additions and updates go out in this order, removals in reverse (make before break).
PUSH_ORDER = (CLUSTER, ENDPOINTS, LISTENER, ROUTE, SECRET, EXTENSION, NAME_TABLE, TRUST_BUNDLE)


@dataclass(frozen=True, slots=True)
class EnvoyResource:
    """One published resource. ``body`` is the serialised message (not an Any).

    ``version`` is the xxh3 hash of ``body``: equal bytes have equal versions on every replica
    and after every restart, so a reconnecting proxy is sent only what differs.
    That of endpoints names the version of their cluster, too.
    ``uses`` names the clusters that a route or listener refers to, for make-before-break.
    ``sources`` are the objects it was compiled from, for a NACK to name the guilty.
    """

    name: str
    version: str
    body: bytes
    uses: frozenset[str] = frozenset()
    sources: frozenset[str] = frozenset()


ResourcesByName = Mapping[str, EnvoyResource]
Published = Mapping[TypeUrl, ResourcesByName]
