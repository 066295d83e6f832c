"""Which services there are, what their ports speak, and where they are served."""

from __future__ import annotations

import pytest

from clew.model.service import Health, Protocol, Resolution, Service
from clew.snapshot.protocols import select_protocol
from clew.snapshot.snapshot import MeshSnapshot
from tests.snapshot.world import hosts, istio, mesh, outbound, pod, service

HTTP = "{number: 80, name: http, protocol: HTTP}"
SLICE = """
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: web-1, namespace: default, labels: {kubernetes.io/service-name: web}}
addressType: IPv4
ports: [{name: http, port: 8080}]
endpoints:
- {addresses: [10.2.0.1], conditions: {ready: true}, zone: zone-a}
- {addresses: [10.2.0.2], conditions: {ready: false}}
- {addresses: [10.2.0.3], conditions: {ready: false, terminating: true}}
"""


def only_service(snapshot: MeshSnapshot) -> Service:
    [found] = snapshot.services.ordered
    return found


def served_at(snapshot: MeshSnapshot) -> list[tuple[str, int, Health]]:
    found = snapshot.endpoints[only_service(snapshot).key]
    return [(each.address, each.port, each.health) for each in found]


@pytest.mark.parametrize(
    ("name", "app_protocol", "number", "expected"),
    [
        ("http", "", 80, Protocol.HTTP),
        ("http-web", "", 80, Protocol.HTTP),
        ("HTTP2-web", "", 80, Protocol.HTTP2),
        ("grpc-web-ui", "", 80, Protocol.GRPC_WEB),
        ("grpc-orders", "", 80, Protocol.GRPC),
        ("httpweb", "", 80, Protocol.AUTO),
        ("http", "kubernetes.io/h2c", 80, Protocol.HTTP2),
        ("http", "example.com/custom", 80, Protocol.HTTP),
        ("", "", 3306, Protocol.TCP),
        ("", "", 8080, Protocol.AUTO),
    ],
)
def test_app_protocol_decides_then_the_prefix_of_the_name_then_well_known_numbers(
    name: str, app_protocol: str, number: int, expected: Protocol
) -> None:
    found = select_protocol(app_protocol=app_protocol, name=name, transport="TCP", number=number)
    assert found is expected


def test_udp_stays_udp_whatever_its_name() -> None:
    found = select_protocol(app_protocol="http", name="http", transport="UDP", number=80)
    assert found is Protocol.UDP


def test_a_service_without_slices_is_served_by_the_pods_that_it_selects() -> None:
    waiting = pod("web-1", "10.2.0.2", conditions='{type: Ready, status: "False"}')
    snapshot = mesh(
        service("web"), pod("web-0", "10.2.0.1"), waiting, pod("db-0", "10.2.0.3", app="db")
    )
    assert served_at(snapshot) == [
        ("10.2.0.1", 8080, Health.HEALTHY),
        ("10.2.0.2", 8080, Health.UNHEALTHY),
    ]


def test_slices_say_where_a_service_is_served_and_pods_what_runs_there() -> None:
    tls = ", security.istio.io/tlsMode: istio"
    snapshot = mesh(
        service("web"), SLICE, pod("web-0", "10.2.0.1", labels=tls), pod("web-9", "10.2.0.9")
    )
    assert served_at(snapshot) == [
        ("10.2.0.1", 8080, Health.HEALTHY),
        ("10.2.0.2", 8080, Health.UNHEALTHY),
    ]
    first, second = snapshot.endpoints[only_service(snapshot).key]
    assert (first.workload.name, first.mutual_tls) == ("web-0", True)
    assert (second.workload.name, second.mutual_tls) == ("", False)


def test_a_named_target_port_is_that_of_each_pod() -> None:
    named = service("web", ports="{name: http, port: 80, targetPort: web}")
    pods = [
        pod(
            f"web-{n}",
            f"10.2.0.{n}",
            spec=f"containers: [{{ports: [{{name: {name}, containerPort: {n}}}]}}]",
        )
        for n, name in ((1, "web"), (2, "web"), (3, "other"))
    ]
    assert [(a, p) for a, p, _ in served_at(mesh(named, *pods))] == [
        ("10.2.0.1", 1),
        ("10.2.0.2", 2),
    ]


def test_a_workload_is_called_what_owns_its_pods() -> None:
    owner = "ownerReferences: [{kind: ReplicaSet, name: web-5d4, controller: true}]"
    owned = pod("web-5d4-x7", "10.2.0.1", labels=", pod-template-hash: 5d4").replace(
        "namespace: default,", f"namespace: default, {owner},", 1
    )
    snapshot = mesh(service("web"), owned)
    [endpoint] = snapshot.endpoints[only_service(snapshot).key]
    assert endpoint.workload.name == "web"


def test_a_workload_is_where_its_label_says_else_where_its_node_is() -> None:
    node = """
apiVersion: v1
kind: Node
metadata: {name: n1, labels: {topology.kubernetes.io/region: r1, topology.kubernetes.io/zone: z1}}
"""
    on_node = pod("web-0", "10.2.0.1", spec="nodeName: n1, containers: []")
    labelled = pod(
        "web-1", "10.2.0.2", labels=", istio-locality: r2.z2", spec="nodeName: n1, containers: []"
    )
    snapshot = mesh(service("web"), node, on_node, labelled)
    found = snapshot.endpoints[only_service(snapshot).key]
    assert [each.workload.locality[:2] for each in found] == [("r1", "z1"), ("r2", "z2")]


def test_workload_entries_serve_what_selects_them_at_their_own_ports() -> None:
    entry = istio(
        "WorkloadEntry",
        "vm",
        "{address: 10.9.0.1, labels: {app: web}, ports: {http: 9000}, weight: 3}",
    )
    snapshot = mesh(service("web"), entry)
    [endpoint] = snapshot.endpoints[only_service(snapshot).key]
    assert (endpoint.address, endpoint.port, endpoint.weight) == ("10.9.0.1", 9000, 3)


def test_a_dns_host_without_endpoints_is_its_own_endpoint() -> None:
    port = "{number: 443, name: tls, protocol: TLS}"
    spec = f"{{hosts: [api.example.com], resolution: DNS, ports: [{port}]}}"
    snapshot = mesh(istio("ServiceEntry", "api", spec))
    assert only_service(snapshot).resolution is Resolution.DNS
    assert served_at(snapshot) == [("api.example.com", 443, Health.HEALTHY)]


def test_a_host_without_an_address_gets_one_that_stays_when_others_come() -> None:
    def entry(host: str, age: int) -> str:
        spec = f"{{hosts: [{host}], resolution: DNS, ports: [{HTTP}]}}"
        return istio("ServiceEntry", host.replace(".", "-"), spec, age=age)

    alone = only_service(mesh(entry("b.example.com", 0)))
    several = mesh(entry("b.example.com", 0), *(entry(f"a{n}.example.com", 1) for n in range(50)))
    addresses = [each.addresses[0] for each in several.services.ordered]
    assert alone.addresses[0].startswith("240.240.")
    assert several.services.by_key[alone.key].addresses == alone.addresses
    assert len(set(addresses)) == 51


def test_of_two_services_with_one_host_kubernetes_own_is_seen() -> None:
    spec = f"{{hosts: [web.default.svc.cluster.local], resolution: STATIC, ports: [{HTTP}]}}"
    snapshot = mesh(istio("ServiceEntry", "web", spec, "other"), service("web"))
    for namespace in ("default", "other"):
        [seen] = outbound(snapshot, namespace).services
        assert seen.kubernetes


def test_a_service_entry_is_seen_by_the_namespaces_that_it_is_exported_to() -> None:
    def entry(name: str, export_to: str) -> str:
        spec = f"{{hosts: [{name}.com], resolution: DNS, exportTo: {export_to}, ports: [{HTTP}]}}"
        return istio("ServiceEntry", name, spec, "one")

    snapshot = mesh(entry("all", "['*']"), entry("own", "[.]"), entry("two", "[two]"))
    assert hosts(outbound(snapshot, "one")) == ["all.com", "own.com"]
    assert hosts(outbound(snapshot, "two")) == ["all.com", "two.com"]
    assert hosts(outbound(snapshot, "three")) == ["all.com"]


def test_an_endpoint_takes_no_mtls_where_a_policy_switches_it_off() -> None:
    tls = ", security.istio.io/tlsMode: istio"
    ports = "{name: http, port: 80, targetPort: 8080}, {name: tcp, port: 90, targetPort: 9090}"
    policy = istio(
        "PeerAuthentication",
        "web",
        "{selector: {matchLabels: {app: web}}, mtls: {mode: STRICT},"
        " portLevelMtls: {'9090': {mode: DISABLE}}}",
    )
    snapshot = mesh(service("web", ports=ports), pod("web-0", "10.2.0.1", labels=tls), policy)
    found = snapshot.endpoints[only_service(snapshot).key]
    assert {each.port: each.mutual_tls for each in found} == {8080: True, 9090: False}
