"""Meshes of a few lines, for facts about them."""

from __future__ import annotations

from clew.config.parse import parse_documents
from clew.model.proxy import Proxy, ProxyType
from clew.snapshot.scope import OutboundScope
from clew.snapshot.scope_builder import build_scope
from clew.snapshot.snapshot import MeshSnapshot, build_snapshot
from tests.manifests import resources_of


def mesh(*texts: str) -> MeshSnapshot:
    """The snapshot of these manifests, all of which must be good."""
    text = "\n---\n".join(texts)
    assert [str(d) for each in parse_documents(text) for d in each.diagnostics] == []
    return build_snapshot(resources_of(text))


def proxy(namespace: str = "default", ip: str = "10.0.0.9", **labels: str) -> Proxy:
    return Proxy(
        type=ProxyType.SIDECAR,
        name="app",
        namespace=namespace,
        ip=ip,
        labels=tuple(sorted(labels.items())),
    )


def outbound(snapshot: MeshSnapshot, namespace: str = "default", **labels: str) -> OutboundScope:
    return build_scope(snapshot, proxy(namespace, **labels)).outbound


def hosts(scope: OutboundScope) -> list[str]:
    return sorted(service.hostname.removesuffix(".svc.cluster.local") for service in scope.services)


def service(name: str, namespace: str = "default", *, ports: str = "", more: str = "") -> str:
    ports = ports or "{name: http, port: 80, targetPort: 8080}"
    return f"""
apiVersion: v1
kind: Service
metadata: {{name: {name}, namespace: {namespace}}}
spec: {{clusterIP: 10.1.0.1, selector: {{app: {name}}}, ports: [{ports}]{more}}}
"""


def pod(name: str, ip: str, *, app: str = "web", namespace: str = "default", **more: str) -> str:
    """A ready pod. ``labels``: more of them; ``spec``: instead of an empty container."""
    conditions = more.get("conditions", '{type: Ready, status: "True"}')
    return f"""
apiVersion: v1
kind: Pod
metadata: {{name: {name}, namespace: {namespace}, labels: {{app: {app}{more.get("labels", "")}}}}}
spec: {{{more.get("spec", "containers: [{name: app}]")}}}
status: {{podIP: {ip}, conditions: [{conditions}]}}
"""


def istio(kind: str, name: str, spec: str, namespace: str = "default", age: int = 0) -> str:
    """An object of Istio's API; the older the smaller ``age``."""
    created = f"2020-01-{age + 1:02}T00:00:00Z"
    group = {"PeerAuthentication": "security", "Telemetry": "telemetry"}.get(kind, "networking")
    return f"""
apiVersion: {group}.istio.io/v1
kind: {kind}
metadata: {{name: {name}, namespace: {namespace}, creationTimestamp: "{created}"}}
spec: {spec}
"""
