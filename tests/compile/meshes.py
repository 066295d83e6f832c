"""Whole meshes of a few lines of YAML, and what one proxy of them gets."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from clew._pb.envoy.config.cluster.v3.cluster_pb2 import Cluster
from clew._pb.envoy.config.endpoint.v3.endpoint_pb2 import ClusterLoadAssignment
from clew._pb.envoy.config.listener.v3.listener_pb2 import Listener
from clew._pb.envoy.extensions.transport_sockets.tls.v3.tls_pb2 import UpstreamTlsContext
from clew._pb.envoy.extensions.upstreams.http.v3.http_protocol_options_pb2 import (
    HttpProtocolOptions,
)
from clew.compile.connection_pool import HTTP_OPTIONS
from clew.compile.memo import Memo
from clew.compile.proxy import compile_proxy
from clew.config.parse import parse_documents
from clew.model.diagnostic import Severity
from clew.model.proxy import Proxy, ProxyType
from clew.model.service import Locality
from clew.model.xds import CLUSTER, ENDPOINTS, LISTENER, Published
from clew.snapshot.scope_builder import build_scope
from clew.snapshot.snapshot import build_snapshot
from tests.manifests import resources_of

REVIEWS = "reviews.default.svc.cluster.local"
SERVICE = """
apiVersion: v1
kind: Service
metadata: {name: reviews, namespace: default}
spec:
  clusterIP: 10.1.0.1
  selector: {app: reviews}
  ports: [{name: http, port: 80}, {name: grpc, port: 81}, {name: tcp, port: 82},
          {name: unnamed, port: 83}]
---
apiVersion: v1
kind: Pod
metadata:
  {name: reviews-v1, namespace: default,
   labels: {app: reviews, version: v1, security.istio.io/tlsMode: istio}}
spec: {serviceAccountName: reviews, containers: [{name: app}]}
status: {podIP: 10.0.0.1, conditions: [{type: Ready, status: "True"}]}
"""


def published(*texts: str, **about: Any) -> Published:
    """What a proxy gets of a mesh of these manifests, which must be good.

    ``about``: fields of ``Proxy``; its labels as a mapping, its locality as text.
    """
    text = "\n---\n".join(texts)
    problems = [d for each in parse_documents(text) for d in each.diagnostics]
    assert [str(d) for d in problems if d.severity is Severity.ERROR] == []
    labels = tuple(sorted(about.pop("labels", {}).items()))
    locality = Locality.parse(about.pop("locality", ""))
    proxy = Proxy(
        type=ProxyType.SIDECAR, name="app", namespace="default", ip="10.0.0.9", labels=labels
    )
    scope = build_scope(
        build_snapshot(resources_of(text)), replace(proxy, locality=locality, **about)
    )
    return compile_proxy(scope, Memo())


def rule(spec: str, *, host: str = "reviews", namespace: str = "default", **meta: str) -> str:
    """A DestinationRule; ``spec`` without the host, in YAML's flow style."""
    name = meta.get("name", "rule")
    created = meta.get("created", "2020-01-01T00:00:00Z")
    return f"""
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {{name: {name}, namespace: {namespace}, creationTimestamp: "{created}"}}
spec: {{host: "{host}", {spec}}}
"""


def policy(text: str) -> str:
    return rule(f"trafficPolicy: {{{text}}}")


def service_entry(spec: str, *, name: str = "entry", namespace: str = "default") -> str:
    return f"""
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{name: {name}, namespace: {namespace}}}
spec: {{{spec}}}
"""


def mesh_config(text: str) -> str:
    """The ConfigMap with a MeshConfig, of one line per field."""
    lines = "\n".join(f"    {line}" for line in text.strip().splitlines())
    return f"""
apiVersion: v1
kind: ConfigMap
metadata: {{name: istio, namespace: istio-system}}
data:
  mesh: |
{lines}
"""


def cluster_in(found: Published, port: int = 80, subset: str = "", host: str = REVIEWS) -> Cluster:
    return Cluster.FromString(found[CLUSTER][f"outbound|{port}|{subset}|{host}"].body)


def cluster_of(*texts: str, port: int = 80, subset: str = "", **about: Any) -> Cluster:
    """The cluster of ``reviews`` in a mesh with that service and these objects."""
    host = about.pop("host", REVIEWS)
    return cluster_in(published(SERVICE, *texts, **about), port, subset, host)


def assignment_in(
    found: Published, port: int = 80, subset: str = "", host: str = REVIEWS
) -> ClusterLoadAssignment:
    name = f"outbound|{port}|{subset}|{host}"
    return ClusterLoadAssignment.FromString(found[ENDPOINTS][name].body)


def listener_in(found: Published, name: str) -> Listener:
    return Listener.FromString(found[LISTENER][name].body)


def addresses(of: ClusterLoadAssignment) -> list[str]:
    return [
        each.endpoint.address.socket_address.address
        for locality in of.endpoints
        for each in locality.lb_endpoints
    ]


def options_of(cluster: Cluster) -> HttpProtocolOptions:
    found = HttpProtocolOptions()
    cluster.typed_extension_protocol_options[HTTP_OPTIONS].Unpack(found)
    return found


def tls_of(cluster: Cluster) -> UpstreamTlsContext:
    found = UpstreamTlsContext()
    assert cluster.transport_socket.typed_config.Unpack(found)
    return found
