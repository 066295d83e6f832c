from __future__ import annotations

import pytest

from clew._pb.envoy.config.listener.v3.listener_components_pb2 import FilterChain
from clew._pb.envoy.config.listener.v3.listener_pb2 import Listener
from clew._pb.envoy.extensions.filters.network.http_connection_manager.v3 import (
    http_connection_manager_pb2 as hcm_pb2,
)
from clew._pb.envoy.extensions.filters.network.tcp_proxy.v3.tcp_proxy_pb2 import TcpProxy
from clew.model.mesh_config import (
    MeshConfig,
    MeshOutboundTrafficPolicy,
    OutboundTrafficPolicyMode,
)
from clew.model.proxy import Interception, LocalPort
from clew.model.service import Protocol, Resolution
from clew.model.sidecar import CaptureMode, IstioEgressListener, SidecarPort
from clew.model.virtual_service import VirtualService
from clew.model.xds import CLUSTER, LISTENER, ROUTE
from clew.snapshot.rule_index import index_virtual_services
from clew.snapshot.scope import EgressListener
from tests.compile.scopes import (
    compiled,
    endpoint,
    listener,
    outbound,
    resources,
    service,
    with_endpoints,
)


def tcp(chain: FilterChain) -> TcpProxy:
    proxy = TcpProxy()
    assert chain.filters[-1].typed_config.Unpack(proxy)
    return proxy


def routed_by(found: Listener) -> list[str]:
    """The RDS names of a listener."""
    names = []
    for chain in found.filter_chains:
        manager = hcm_pb2.HttpConnectionManager()
        if chain.filters[-1].typed_config.Unpack(manager):
            names.append(manager.rds.route_config_name)
    return names


def rules(spec: str) -> tuple[VirtualService, ...]:
    found = resources(
        "apiVersion: networking.istio.io/v1\nkind: VirtualService\n"
        f"metadata: {{name: rule, namespace: default}}\nspec: {{{spec}}}"
    )
    objects = (each for each in found if isinstance(each, VirtualService))
    return index_virtual_services(objects, MeshConfig()).seen_by("default")


def test_http_services_share_one_listener_per_port_that_lets_other_traffic_pass() -> None:
    found = listener(outbound(service("a"), service("b")), "0.0.0.0_8080")
    assert routed_by(found) == ["8080"]
    assert list(found.filter_chains[0].filter_chain_match.application_protocols) == [
        "http/1.1",
        "h2c",
    ]
    assert tcp(found.default_filter_chain).cluster == "PassthroughCluster"
    assert not found.bind_to_port.value


def test_a_tcp_service_is_known_by_its_address() -> None:
    to = service("db", Protocol.TCP)
    found = listener(outbound(to), f"{to.addresses[0]}_8080")
    assert tcp(found.default_filter_chain).cluster == "outbound|8080||db.default.svc.cluster.local"


def test_an_address_that_two_services_have_belongs_to_the_first() -> None:
    first = service("first", Protocol.TCP, addresses=("10.0.0.1",))
    second = service("second", Protocol.TCP, addresses=("10.0.0.1", "10.0.0.2", "10.0.0.3"))
    third = service("third", Protocol.TCP, addresses=("10.0.0.3",))
    scope = outbound(first, second, third)
    cluster = "outbound|8080||{}.default.svc.cluster.local".format
    assert tcp(listener(scope, "10.0.0.1_8080").default_filter_chain).cluster == cluster("first")
    found = listener(scope, "10.0.0.2_8080")
    assert tcp(found.default_filter_chain).cluster == cluster("second")
    also = [each.address.socket_address.address for each in found.additional_addresses]
    assert also == ["10.0.0.3"]


def test_a_server_that_speaks_first_is_not_kept_waiting_by_an_inspector() -> None:
    to = service("db", Protocol.TCP)
    assert not listener(outbound(to), f"{to.addresses[0]}_8080").listener_filters


def test_an_undeclared_protocol_is_detected_on_the_services_own_listener() -> None:
    to = service("auto", Protocol.AUTO)
    found = listener(outbound(to), f"{to.addresses[0]}_8080")
    assert routed_by(found) == ["auto.default.svc.cluster.local:8080"]
    assert (
        tcp(found.default_filter_chain).cluster == "outbound|8080||auto.default.svc.cluster.local"
    )
    assert len(found.listener_filters) == 2


def test_connections_to_the_proxy_itself_go_nowhere() -> None:
    found = listener(outbound(), "virtualOutbound")
    [loop, rest] = found.filter_chains
    assert loop.filter_chain_match.destination_port.value == 15001
    assert tcp(loop).cluster == "BlackHoleCluster"
    assert tcp(rest).cluster == "PassthroughCluster"


def test_with_registry_only_unknown_connections_go_nowhere() -> None:
    found = listener(outbound(registry_only=True), "virtualOutbound")
    assert tcp(found.filter_chains[1]).cluster == "BlackHoleCluster"


def test_requests_to_unknown_addresses_may_be_resolved_by_their_host() -> None:
    mode = OutboundTrafficPolicyMode.ALLOW_ANY_DYNAMIC_DNS
    mesh = MeshConfig(outbound_traffic_policy=MeshOutboundTrafficPolicy(mode=mode))
    scope = outbound(service("web"), mesh=mesh)
    found = listener(scope, "virtualOutbound")
    assert "virtualOutbound-catchall-tcp-http" in [chain.name for chain in found.filter_chains]
    assert compiled(scope)[ROUTE]["8080"].uses >= {"AllowAnyDynamicDNSCluster"}
    assert "AllowAnyDynamicDNSCluster" in compiled(scope)[CLUSTER]


def test_address_ranges_share_the_ports_listener_and_the_first_of_equal_ones_counts() -> None:
    first = service("one", Protocol.TCP, addresses=("10.9.0.0/16",))
    second = service("two", Protocol.TCP, addresses=("10.9.7.7/16",))
    found = listener(outbound(first, second), "0.0.0.0_8080")
    [chain] = found.filter_chains
    assert chain.filter_chain_match.prefix_ranges[0].address_prefix == "10.9.0.0"
    assert tcp(chain).cluster == "outbound|8080||one.default.svc.cluster.local"


def test_tls_services_without_an_address_are_told_apart_by_name() -> None:
    one = service("one", Protocol.TLS, hostname="one.example.com", addresses=())
    two = service("two", Protocol.TLS, hostname="two.example.com", addresses=())
    found = listener(outbound(one, two), "0.0.0.0_8080")
    assert [list(c.filter_chain_match.server_names) for c in found.filter_chains] == [
        ["one.example.com"],
        ["two.example.com"],
    ]


def test_every_instance_of_a_headless_service_has_a_listener_but_not_the_proxy_itself() -> None:
    to = service("db", Protocol.TCP, resolution=Resolution.PASSTHROUGH, headless=True, addresses=())
    scope = with_endpoints(
        outbound(to, own_ips=("172.16.0.9",)), to, endpoint("172.16.0.1"), endpoint("172.16.0.9")
    )
    assert set(compiled(scope)[LISTENER]) == {"172.16.0.1_8080", "virtualOutbound"}


def test_http_and_tcp_on_one_port_are_told_apart_by_what_comes() -> None:
    scope = outbound(service("web"), service("raw", Protocol.TCP, addresses=()))
    found = listener(scope, "0.0.0.0_8080")
    assert routed_by(found) == ["8080"]
    assert tcp(found.default_filter_chain).cluster == "outbound|8080||raw.default.svc.cluster.local"


def test_a_sidecars_own_listener_keeps_other_services_off_its_port() -> None:
    mine, other = service("mine"), service("other")
    declared = IstioEgressListener(
        port=SidecarPort(number=8080, protocol="HTTP", name="http"), hosts=("./mine",)
    )
    egress = (
        EgressListener(declared=declared, services=(mine,)),
        EgressListener(services=(mine, other)),
    )
    scope = outbound(mine, other, egress=egress)
    assert set(compiled(scope)[LISTENER]) == {"0.0.0.0_8080", "virtualOutbound"}
    assert compiled(scope)[LISTENER]["0.0.0.0_8080"].uses == {"PassthroughCluster"}


def test_without_capture_only_what_is_asked_for_is_bound() -> None:
    web, db = service("web"), service("db", Protocol.TCP)
    scope = outbound(
        web,
        db,
        interception=Interception.NONE,
        http_proxy_port=15080,
        local_ports=(
            LocalPort(hostname=db.hostname, port=8080, address="127.0.0.1", local_port=31000),
        ),
    )
    found = compiled(scope)[LISTENER]
    assert set(found) == {"127.0.0.1_15080", "127.0.0.1_31000"}
    local = listener(scope, "127.0.0.1_31000")
    assert not local.HasField("bind_to_port")
    assert tcp(local.default_filter_chain).cluster == "outbound|8080||db.default.svc.cluster.local"


@pytest.mark.parametrize("name", ["db", "db.default", "db.default.svc.cluster.local"])
def test_an_upstream_may_be_asked_for_by_any_of_its_names(name: str) -> None:
    local = LocalPort(hostname=name, port=8080, address="127.0.0.1", local_port=31000)
    scope = outbound(
        service("db", Protocol.TCP), interception=Interception.NONE, local_ports=(local,)
    )
    assert "127.0.0.1_31000" in compiled(scope)[LISTENER]


def test_tcp_connections_are_split_by_weight() -> None:
    to = service("db", Protocol.TCP)
    spec = """hosts: [db], tcp: [{route: [
        {destination: {host: one}, weight: 80}, {destination: {host: two}, weight: 20}]}]"""
    found = listener(outbound(to, virtual_services=rules(spec)), f"{to.addresses[0]}_8080")
    shares = tcp(found.default_filter_chain).weighted_clusters.clusters
    assert [(c.name.split("|")[3][:3], c.weight) for c in shares] == [("one", 80), ("two", 20)]


def test_tls_connections_are_routed_by_the_name_they_ask_for() -> None:
    to = service("web", Protocol.TLS)
    spec = """hosts: [web, a.example.com], tls: [
        {match: [{sniHosts: [a.example.com]}], route: [{destination: {host: one}}]},
        {match: [{sniHosts: [a.example.com]}], route: [{destination: {host: two}}]}]"""
    found = listener(outbound(to, virtual_services=rules(spec)), f"{to.addresses[0]}_8080")
    [chain] = found.filter_chains
    assert list(chain.filter_chain_match.server_names) == ["a.example.com"]
    assert "one" in tcp(chain).cluster


def test_a_changed_http_rule_changes_no_listener() -> None:
    to = service("web", number=80)
    spec = "hosts: [web], http: [{route: [{destination: {host: web}}], timeout: 3s}]"
    before = compiled(outbound(to))[LISTENER]
    after = compiled(outbound(to, virtual_services=rules(spec)))[LISTENER]
    assert before == after


def test_a_service_may_have_a_port_of_the_proxy_at_its_own_address_but_not_everywhere() -> None:
    own = service("own", Protocol.TCP, number=15021)
    shared = service("shared", Protocol.TCP, number=15090, addresses=())
    found = compiled(outbound(own, shared))[LISTENER]
    assert f"{own.addresses[0]}_15021" in found
    assert "0.0.0.0_15090" not in found


def test_a_proxy_without_privileges_binds_no_low_port() -> None:
    declared = IstioEgressListener(
        port=SidecarPort(number=80, protocol="HTTP", name="http"),
        capture_mode=CaptureMode.NONE,
        hosts=("*/*",),
    )
    web = service("web", Protocol.HTTP, number=80)
    egress = (EgressListener(declared=declared, services=(web,)),)
    assert "127.0.0.1_80" in compiled(outbound(web, egress=egress))[LISTENER]
    scope = outbound(web, egress=egress, unprivileged=True)
    assert "127.0.0.1_80" not in compiled(scope)[LISTENER]
