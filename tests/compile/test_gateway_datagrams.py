"""UDP at gateways: listeners of their own, and clusters that no other traffic uses."""

from __future__ import annotations

from typing import Any

import pytest

from clew.compile.check import check_published
from clew.compile.config_dump import config_dump
from clew.compile.memo import Memo
from clew.compile.proxy import compile_endpoints, compile_proxy
from clew.model.base import ResourceKey
from clew.model.proxy import Proxy, ProxyType
from clew.model.xds import CLUSTER, ENDPOINTS, LISTENER
from clew.snapshot.findings import own_statuses
from clew.snapshot.scope import ProxyScope
from clew.snapshot.scope_builder import build_scope
from clew.snapshot.snapshot import build_snapshot
from tests.manifests import resources_of

GROUP = "gateway.networking.k8s.io"
HOST = "dns.default.svc.cluster.local"
ROUTER = Proxy(
    type=ProxyType.ROUTER,
    name="web-0",
    namespace="default",
    ip="10.0.0.9",
    labels=((f"{GROUP}/gateway-name", "web"),),
)
# The same port of the gateway, and of its backend, for TCP and for UDP.
WORLD = f"""
apiVersion: {GROUP}/v1
kind: Gateway
metadata: {{name: web, namespace: default}}
spec:
  gatewayClassName: istio
  listeners:
  - {{name: tcp, port: 53, protocol: TCP}}
  - {{name: udp, port: 53, protocol: UDP}}
---
apiVersion: v1
kind: Service
metadata: {{name: web-istio, namespace: default}}
spec:
  selector: {{{GROUP}/gateway-name: web}}
  ports:
  - {{name: tcp, port: 53, targetPort: 8053}}
  - {{name: udp, port: 53, targetPort: 8054, protocol: UDP}}
---
apiVersion: v1
kind: Service
metadata: {{name: dns, namespace: default}}
spec:
  selector: {{app: dns}}
  ports:
  - {{name: tcp, port: 53, targetPort: 5353}}
  - {{name: udp, port: 53, targetPort: 5354, protocol: UDP}}
---
apiVersion: v1
kind: Pod
metadata: {{name: dns-0, namespace: default, labels: {{app: dns}}}}
spec: {{containers: []}}
status: {{podIP: 10.0.0.1, conditions: [{{type: Ready, status: "True"}}]}}
"""


def route(kind: str, parent: str = "name: web") -> str:
    return f"""
---
apiVersion: {GROUP}/v1
kind: {kind}
metadata: {{name: dns, namespace: default}}
spec:
  parentRefs: [{{{parent}}}]
  rules: [{{backendRefs: [{{name: dns, port: 53}}]}}]
"""


def scope(*routes: str, world: str = WORLD) -> ProxyScope:
    return build_scope(build_snapshot(resources_of("".join([world, *routes]))), ROUTER)


def dump(found: ProxyScope) -> dict[str, dict[str, Any]]:
    """All resources by type and name."""
    published = compile_proxy(found, Memo())
    assert check_published(published) == ()
    listed = config_dump(published)
    return {
        kind: {each.get("name") or each["cluster_name"]: each for each in resources}
        for kind, resources in listed.items()
    }


def test_a_port_may_be_one_of_tcp_and_another_one_of_udp() -> None:
    found = dump(scope(route("TCPRoute"), route("UDPRoute")))
    listeners = {
        name: each["address"]["socket_address"] for name, each in found["listeners"].items()
    }
    assert {name: each["port_value"] for name, each in listeners.items()} == {
        "0.0.0.0_8053": 8053,
        "udp_0.0.0.0_8054": 8054,
    }
    assert listeners["udp_0.0.0.0_8054"]["protocol"] == "UDP"
    ports = {
        name: each["endpoints"][0]["lb_endpoints"][0]["endpoint"]["address"]["socket_address"]
        for name, each in found["endpoints"].items()
        if HOST in name
    }
    assert {name: each["port_value"] for name, each in ports.items()} == {
        f"outbound|53||{HOST}": 5353,
        f"udp|53||{HOST}": 5354,
    }


def test_what_nobody_routes_is_not_listened_for() -> None:
    found = dump(scope(route("TCPRoute")))
    assert list(found["listeners"]) == ["0.0.0.0_8053"]
    assert f"udp|53||{HOST}" not in found["clusters"]


def test_a_listener_waits_for_its_clusters() -> None:
    listener = compile_proxy(scope(route("UDPRoute")), Memo())[LISTENER]["udp_0.0.0.0_8054"]
    assert listener.uses == {f"udp|53||{HOST}"}


def test_new_endpoints_are_told_alone() -> None:
    before = scope(route("UDPRoute"))
    pod = WORLD[WORLD.rindex("---") :]
    after = scope(route("UDPRoute"), pod.replace("dns-0", "dns-1").replace("0.0.1", "0.0.2"))
    published = compile_proxy(before, Memo())
    endpoints = compile_endpoints(after, frozenset({HOST}), published[CLUSTER], Memo())
    name = f"udp|53||{HOST}"
    assert endpoints[name] == compile_proxy(after, Memo())[ENDPOINTS][name]
    assert endpoints[name] != published[ENDPOINTS][name]


@pytest.mark.parametrize(
    ("parent", "accepted"),
    [
        ("name: web, sectionName: udp", ("True", "Accepted")),
        ("name: web, sectionName: tcp", ("False", "NotAllowedByListeners")),
        ("group: '', kind: Service, name: dns", ("False", "NoMatchingParent")),
    ],
)
def test_a_udp_route_is_for_listeners_of_udp(parent: str, accepted: tuple[str, str]) -> None:
    statuses = own_statuses(build_snapshot(resources_of(WORLD + route("UDPRoute", parent))))
    [entry] = statuses[ResourceKey(GROUP, "UDPRoute", "default", "dns")]["parents"]
    [condition] = [each for each in entry["conditions"] if each["type"] == "Accepted"]
    assert (condition["status"], condition["reason"]) == accepted


BOTH = f"""
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {{name: web, namespace: default}}
spec:
  selector: {{{GROUP}/gateway-name: web}}
  servers:
  - port: {{number: 443, name: https, protocol: HTTPS}}
    hosts: ["*"]
    tls: {{mode: SIMPLE, serverCertificate: /c.pem, privateKey: /k.pem}}
  - {{port: {{number: 443, name: udp, protocol: UDP}}, hosts: ["*"]}}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: web, namespace: default}}
spec:
  hosts: ["*"]
  gateways: [web]
  tcp: [{{route: [{{destination: {{host: {HOST}, port: {{number: 53}}}}}}]}}]
---
"""


def test_a_port_with_datagrams_of_its_own_has_no_http3() -> None:
    service = WORLD[WORLD.index("apiVersion: v1") :].replace(
        "port: 53, targetPort: 805", "port: 443, targetPort: 805"
    )
    found = dump(scope(world=BOTH + service.replace("8054", "8053")))
    assert list(found["listeners"]) == ["0.0.0.0_8053", "udp_0.0.0.0_8053"]
    assert "quic_options" not in str(found["listeners"])
