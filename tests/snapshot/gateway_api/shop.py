"""A gateway of the Gateway API, two shops behind it, and the routes that its proxy gets."""

from __future__ import annotations

from typing import Any

from clew.compile.config_dump import config_dump
from clew.compile.memo import Memo
from clew.compile.proxy import compile_proxy
from clew.model.proxy import Proxy, ProxyType
from clew.snapshot.scope_builder import build_scope
from clew.snapshot.snapshot import MeshSnapshot, build_snapshot
from tests.manifests import resources_of

LABELS = {"gateway.networking.k8s.io/gateway-name": "web"}
WORLD = """\
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: web, namespace: default}
spec:
  gatewayClassName: istio
  listeners:
  - {name: http, port: 80, protocol: HTTP}
---
apiVersion: v1
kind: Service
metadata: {name: web-istio, namespace: default}
spec:
  selector: {gateway.networking.k8s.io/gateway-name: web}
  ports: [{name: http, port: 80, targetPort: 8080}]
---
apiVersion: v1
kind: Pod
metadata:
  name: web-0
  namespace: default
  labels: {gateway.networking.k8s.io/gateway-name: web}
spec: {containers: []}
status: {podIP: 10.0.0.9, conditions: [{type: Ready, status: "True"}]}
---
apiVersion: v1
kind: Service
metadata: {name: shop, namespace: default}
spec: {ports: [{name: http, port: 80}]}
---
apiVersion: v1
kind: Service
metadata: {name: shop, namespace: other}
spec: {ports: [{name: http, port: 80}]}
"""
ROUTE = """\
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {{name: shop, namespace: default}}
spec:
  parentRefs: [{{name: web}}]
  rules: [{rules}]
"""
GRANT = """\
apiVersion: gateway.networking.k8s.io/v1beta1
kind: ReferenceGrant
metadata: {name: shop, namespace: other}
spec:
  from: [{group: gateway.networking.k8s.io, kind: HTTPRoute, namespace: default}]
  to: [{group: "", kind: Service}]
"""
TO_SHOP = "backendRefs: [{name: shop, port: 80}]"


def snapshot(*rules: str, more: str = "") -> MeshSnapshot:
    texts = [WORLD, ROUTE.format(rules=", ".join(f"{{{rule}}}" for rule in rules))]
    return build_snapshot(resources_of("---\n".join([*texts, more] if more else texts)))


def routes(found: MeshSnapshot) -> list[dict[str, Any]]:
    """The routes that the gateway serves, in order."""
    proxy = Proxy(
        type=ProxyType.ROUTER,
        name="web-0",
        namespace="default",
        ip="10.0.0.9",
        labels=tuple(LABELS.items()),
    )
    dump = config_dump(compile_proxy(build_scope(found, proxy), Memo()))
    [configuration] = dump["routes"]
    assert configuration["name"] == "http.8080"
    return [route for host in configuration["virtual_hosts"] for route in host.get("routes", ())]
