"""What a proxy sees and serves: Sidecars, inbound ports, gateways and shared scopes."""

from __future__ import annotations

from dataclasses import replace

from clew.model.proxy import Proxy, ProxyType
from clew.snapshot.scope import InboundScope, MutualTls
from clew.snapshot.scope_builder import build_scope, scope_key
from clew.snapshot.snapshot import MeshSnapshot
from tests.snapshot.world import hosts, istio, mesh, outbound, pod, proxy, service

SERVICES = (service("a"), service("b"), service("c", "other"), service("d", "third"))


def sidecar(
    hosts: str, *, more: str = "", name: str = "s", namespace: str = "default", age: int = 0
) -> str:
    return istio("Sidecar", name, f"{{egress: [{{hosts: {hosts}}}]{more}}}", namespace, age)


def inbound(snapshot: MeshSnapshot, described: Proxy) -> InboundScope:
    found = build_scope(snapshot, described).inbound
    assert found is not None
    return found


def router(**labels: str) -> Proxy:
    return replace(proxy("istio-system", **labels), type=ProxyType.ROUTER)


def test_without_a_sidecar_everything_is_seen() -> None:
    assert hosts(outbound(mesh(*SERVICES))) == ["a.default", "b.default", "c.other", "d.third"]


def test_a_sidecar_lets_in_what_its_hosts_name() -> None:
    assert hosts(outbound(mesh(*SERVICES, sidecar("['./*', 'other/*']")))) == [
        "a.default",
        "b.default",
        "c.other",
    ]
    assert hosts(outbound(mesh(*SERVICES, sidecar("['*/a.default.svc.cluster.local']")))) == [
        "a.default"
    ]
    assert hosts(outbound(mesh(*SERVICES, sidecar("['~/*']")))) == []


def test_a_negated_host_is_taken_out_again() -> None:
    taken_out = sidecar("['./*', '~./a.default.svc.cluster.local']")
    assert hosts(outbound(mesh(*SERVICES, taken_out))) == ["b.default"]


def test_what_imported_rules_send_to_is_seen_too() -> None:
    route = "{hosts: [a], http: [{route: [{destination: {host: d.third.svc.cluster.local}}]}]}"
    snapshot = mesh(
        *SERVICES, istio("VirtualService", "r", route), sidecar("['./a.default.svc.cluster.local']")
    )
    assert hosts(outbound(snapshot)) == ["a.default", "d.third"]


def test_the_sidecar_that_selects_a_workload_holds_then_the_namespaces_then_the_roots() -> None:
    selecting = sidecar(
        "['./a.default.svc.cluster.local']", more=", workloadSelector: {labels: {app: x}}", age=1
    )
    own = sidecar("['other/*']", name="own")
    root = sidecar("['third/*']", namespace="istio-system")
    snapshot = mesh(*SERVICES, selecting, own, root)
    assert hosts(outbound(snapshot, app="x")) == ["a.default"]
    assert hosts(outbound(snapshot, app="y")) == ["c.other"]
    assert hosts(outbound(snapshot, "third")) == ["d.third"]


def test_the_oldest_service_that_selects_a_port_decides_how_it_is_handled() -> None:
    def selecting(name: str, port: str, year: int) -> str:
        created = f"{name}, creationTimestamp: '{year}-01-01T00:00:00Z'"
        return (
            service(name, ports=port).replace(name, created, 1).replace(f"app: {name}", "app: web")
        )

    snapshot = mesh(
        selecting("young", "{name: tcp, port: 1, targetPort: 8080}", 2021),
        selecting("old", "{name: http, port: 2, targetPort: 8080}", 2020),
    )
    [port] = inbound(snapshot, proxy(app="web")).ports
    assert (port.service.name, port.port.name, port.target_port) == ("old", "http", 8080)
    assert [each.name for each in port.sharing] == ["young"]


def test_a_sidecars_ingress_replaces_the_ports_of_services() -> None:
    listed = sidecar(
        "['*/*']",
        more=", inboundConnectionPool: {tcp: {maxConnections: 7}}, ingress:"
        " [{port: {number: 80, protocol: HTTP, name: http}, defaultEndpoint: '127.0.0.1:9'}]",
    )
    [port] = inbound(mesh(service("web"), listed), proxy(app="web")).ports
    assert (port.target_port, port.service.name) == (80, "web")
    assert port.ingress is not None
    assert port.connection_pool is not None
    assert port.connection_pool.tcp is not None
    assert port.connection_pool.tcp.max_connections == 7


def test_a_listed_port_that_no_service_has_belongs_to_the_sidecar_itself() -> None:
    listed = sidecar(
        "['*/*']",
        more=", ingress: [{port: {number: 70, protocol: TCP, name: t},"
        " defaultEndpoint: '127.0.0.1:9'}]",
    )
    [port] = inbound(mesh(service("web"), listed), proxy(app="web")).ports
    assert port.service.hostname == "s.default"


def test_a_workloads_mode_comes_before_its_namespaces_and_the_meshs() -> None:
    def policy(mode: str, namespace: str, more: str = "") -> str:
        return istio(
            "PeerAuthentication", mode.lower(), f"{{mtls: {{mode: {mode}}}{more}}}", namespace
        )

    root, own = policy("STRICT", "istio-system"), policy("PERMISSIVE", "default")
    workload = policy(
        "DISABLE",
        "default",
        ", selector: {matchLabels: {app: web}}, portLevelMtls: {'81': {mode: STRICT}}",
    )
    assert inbound(mesh(root), proxy()).passthrough_mutual_tls is MutualTls.STRICT
    assert inbound(mesh(root, own), proxy()).passthrough_mutual_tls is MutualTls.PERMISSIVE
    found = inbound(mesh(root, own, workload), proxy(app="web"))
    assert found.passthrough_mutual_tls is MutualTls.DISABLE
    assert found.passthrough_port_mutual_tls == ((81, MutualTls.STRICT),)


def test_a_gateways_port_is_the_services_and_the_router_binds_the_target_port() -> None:
    port = "{number: 80, name: http, protocol: HTTP}"
    spec = f"{{selector: {{app: gw}}, servers: [{{port: {port}, hosts: ['*']}}]}}"
    gateway = istio("Gateway", "g", spec, "team")
    inside = build_scope(mesh(gateway, service("gw", "istio-system")), router(app="gw")).gateway
    assert inside is not None
    assert [each.listen_port for each in inside.servers] == [8080]
    alone = build_scope(mesh(gateway), router(app="gw")).gateway
    assert alone is not None
    assert [each.listen_port for each in alone.servers] == [80]
    other = build_scope(mesh(gateway), router(app="other")).gateway
    assert other is not None
    assert other.servers == ()


def test_replicas_share_a_scope_and_members_of_a_headless_service_do_not() -> None:
    first, second = proxy(app="web", ip="10.2.0.1"), proxy(app="web", ip="10.2.0.2")
    pods = (pod("web-0", "10.2.0.1"), pod("web-1", "10.2.0.2"))
    snapshot = mesh(service("web"), *pods)
    assert scope_key(snapshot, first) == scope_key(snapshot, second)
    headless = mesh(service("web").replace("10.1.0.1", "None"), *pods)
    assert scope_key(headless, first) != scope_key(headless, second)


def test_a_replica_that_is_not_an_endpoint_yet_shares_the_scope_of_those_that_are() -> None:
    snapshot = mesh(service("web"), pod("web-0", "10.2.0.1"))
    known, new = proxy(app="web", ip="10.2.0.1"), proxy(app="web", ip="10.2.0.2")
    assert scope_key(snapshot, known) == scope_key(snapshot, new)


def test_a_proxy_has_the_labels_that_its_pod_has_now() -> None:
    known = pod("app", "10.0.0.9", labels=", tier: front")
    stranger = pod("other", "10.0.0.9", labels=", tier: front")
    labels = (("app", "web"), ("tier", "front"))
    assert build_scope(mesh(known), proxy(app="web")).proxy.labels == labels
    assert build_scope(mesh(stranger), proxy(app="web")).proxy.labels == (("app", "web"),)
    keys = [scope_key(mesh(each), proxy(app="web")) for each in (known, stranger)]
    assert keys[0] != keys[1]
