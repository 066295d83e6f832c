from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from google.protobuf.json_format import MessageToDict

from clew._pb.envoy.config.listener.v3.listener_components_pb2 import FilterChain
from clew._pb.envoy.config.listener.v3.listener_pb2 import Listener
from clew._pb.envoy.extensions.filters.network.http_connection_manager.v3 import (
    http_connection_manager_pb2 as hcm_pb2,
)
from clew._pb.envoy.extensions.transport_sockets.tls.v3.tls_pb2 import DownstreamTlsContext
from clew.compile.inbound_clusters import compile_inbound_clusters
from clew.compile.inbound_listeners import compile_inbound_listeners
from clew.model.base import ResourceKey
from clew.model.mesh_config import MeshConfig
from clew.model.proxy import Interception
from clew.model.service import Protocol, Service, ServicePort
from clew.snapshot.scope import InboundPort, InboundScope, MutualTls
from tests.envoy.validate import validate

PORTS = [Protocol.HTTP, Protocol.HTTP2, Protocol.GRPC_WEB, Protocol.TCP, Protocol.AUTO]


def inbound_port(protocol: Protocol, mode: MutualTls, number: int = 8080) -> InboundPort:
    port = ServicePort(name="main", number=number, protocol=protocol)
    service = Service(
        hostname="a.default.svc.cluster.local",
        namespace="default",
        name="a",
        ports=(port,),
        source=ResourceKey("", "Service", "default", "a"),
    )
    return InboundPort(service=service, port=port, target_port=number, mutual_tls=mode)


def inbound_scope(*ports: InboundPort, **changes: Any) -> InboundScope:
    settings = {"mesh": MeshConfig(), "trust_domain": "cluster.local", "namespace": "default"}
    return InboundScope(ports=ports, **{**settings, **changes})


def chains_of(listener: Listener, port: int) -> list[FilterChain]:
    return [
        c for c in listener.filter_chains if c.filter_chain_match.destination_port.value == port
    ]


def described(chain: FilterChain) -> tuple[str, str, str, bool]:
    """What a chain takes: transport, first ALPN name, HTTP or TCP, whether it ends TLS."""
    match = chain.filter_chain_match
    http = chain.filters[-1].name.endswith("http_connection_manager")
    return (
        match.transport_protocol,
        next(iter(match.application_protocols), ""),
        "http" if http else "tcp",
        chain.HasField("transport_socket"),
    )


@pytest.mark.parametrize("protocol", PORTS)
def test_a_strict_port_takes_nothing_but_mesh_mtls(protocol: Protocol) -> None:
    scope = inbound_scope(
        inbound_port(protocol, MutualTls.STRICT), passthrough_mutual_tls=MutualTls.STRICT
    )
    [listener] = compile_inbound_listeners(scope)
    taking = [c for c in listener.filter_chains if c.name != "virtualInbound-blackhole"]
    assert all(chain.HasField("transport_socket") for chain in taking)
    assert not listener.HasField("default_filter_chain")


def test_a_permissive_http_port_takes_mesh_mtls_and_plaintext() -> None:
    [listener] = compile_inbound_listeners(
        inbound_scope(inbound_port(Protocol.HTTP, MutualTls.PERMISSIVE))
    )
    assert [described(c) for c in chains_of(listener, 8080)] == [
        ("tls", "istio", "http", True),
        ("raw_buffer", "", "http", False),
    ]


def test_a_permissive_undeclared_port_is_told_apart_by_what_the_client_offers() -> None:
    [listener] = compile_inbound_listeners(
        inbound_scope(inbound_port(Protocol.AUTO, MutualTls.PERMISSIVE))
    )
    assert [described(c) for c in chains_of(listener, 8080)] == [
        ("tls", "istio-http/1.0", "http", True),
        ("raw_buffer", "http/1.1", "http", False),
        ("tls", "istio-peer-exchange", "tcp", True),
        ("raw_buffer", "", "tcp", False),
        ("tls", "", "tcp", False),
    ]


def test_a_server_that_speaks_first_is_not_kept_waiting_by_inspectors() -> None:
    [listener] = compile_inbound_listeners(
        inbound_scope(inbound_port(Protocol.MYSQL, MutualTls.DISABLE, 3306))
    )
    _, tls_inspector, http_inspector = listener.listener_filters
    for inspector in (tls_inspector, http_inspector):
        assert inspector.filter_disabled.destination_port_range.start == 3306
        assert inspector.filter_disabled.destination_port_range.end == 3307


def test_where_mtls_is_off_only_ports_that_want_it_are_inspected_for_tls() -> None:
    strict = inbound_port(Protocol.TCP, MutualTls.STRICT)
    [listener] = compile_inbound_listeners(
        inbound_scope(strict, passthrough_mutual_tls=MutualTls.DISABLE)
    )
    inspector = listener.listener_filters[1]
    assert inspector.name == "envoy.filters.listener.tls_inspector"
    assert inspector.filter_disabled.not_match.destination_port_range.start == 8080
    [plain] = compile_inbound_listeners(inbound_scope(passthrough_mutual_tls=MutualTls.DISABLE))
    assert [each.name.rpartition(".")[2] for each in plain.listener_filters] == [
        "original_dst",
        "http_inspector",
    ]


def test_another_http_port_changes_filter_chains_and_nothing_else() -> None:
    first = inbound_port(Protocol.HTTP, MutualTls.PERMISSIVE)
    second = inbound_port(Protocol.AUTO, MutualTls.PERMISSIVE, 9090)
    [before] = compile_inbound_listeners(inbound_scope(first))
    [after] = compile_inbound_listeners(inbound_scope(first, second))
    kept = list(before.filter_chains)
    assert [c for c in after.filter_chains if c in kept] == kept
    del before.filter_chains[:], after.filter_chains[:]
    assert before == after


def test_the_server_side_of_mtls_never_selects_istios_names() -> None:
    [listener] = compile_inbound_listeners(
        inbound_scope(inbound_port(Protocol.HTTP, MutualTls.STRICT))
    )
    [chain] = chains_of(listener, 8080)
    context = DownstreamTlsContext()
    assert chain.transport_socket.typed_config.Unpack(context)
    assert list(context.common_tls_context.alpn_protocols) == ["h2", "http/1.1"]
    assert context.require_client_certificate.value


def test_only_identities_of_our_trust_domains_are_let_in() -> None:
    mesh = MeshConfig(trust_domain="example.org", trust_domain_aliases=("old.org",))
    [listener] = compile_inbound_listeners(
        inbound_scope(inbound_port(Protocol.HTTP, MutualTls.STRICT), mesh=mesh)
    )
    [chain] = chains_of(listener, 8080)
    context = DownstreamTlsContext()
    assert chain.transport_socket.typed_config.Unpack(context)
    validation = context.common_tls_context.combined_validation_context
    matchers = validation.default_validation_context.match_typed_subject_alt_names
    assert [m.matcher.prefix for m in matchers] == ["spiffe://example.org/", "spiffe://old.org/"]


def test_requests_the_application_cannot_have_seen_are_tried_again() -> None:
    [listener] = compile_inbound_listeners(
        inbound_scope(inbound_port(Protocol.HTTP, MutualTls.DISABLE))
    )
    [chain] = chains_of(listener, 8080)
    manager = hcm_pb2.HttpConnectionManager()
    assert chain.filters[-1].typed_config.Unpack(manager)
    [host] = manager.route_config.virtual_hosts
    assert host.routes[0].route.retry_policy.retry_on == "reset-before-request"
    assert host.routes[0].route.timeout.ToTimedelta().total_seconds() == 0


def test_without_capture_each_port_has_a_listener_and_a_way_to_the_application() -> None:
    scope = inbound_scope(
        inbound_port(Protocol.HTTP, MutualTls.PERMISSIVE, 9080),
        interception=Interception.NONE,
        ips=("127.0.1.5",),
        app_ports=((9080, 31000),),
    )
    [listener] = compile_inbound_listeners(scope)
    assert listener.name == "127.0.1.5_9080"
    assert listener.address.socket_address.address == "127.0.1.5"
    [cluster] = compile_inbound_clusters(scope)
    [endpoint] = cluster.load_assignment.endpoints[0].lb_endpoints
    assert endpoint.endpoint.address.socket_address.port_value == 31000


@pytest.mark.parametrize("interception", [Interception.REDIRECT, Interception.NONE])
@pytest.mark.parametrize("mode", list(MutualTls))
def test_envoy_takes_every_kind_of_port(
    mode: MutualTls, interception: Interception, tmp_path: Path
) -> None:
    ports = [inbound_port(p, mode, 8080 + i) for i, p in enumerate(PORTS)]
    scope = inbound_scope(*ports, interception=interception, ips=("127.0.0.1",))
    blackhole = {"name": "BlackHoleCluster", "type": "STATIC"}
    compiled = {
        "listeners": [as_json(m) for m in compile_inbound_listeners(scope)],
        "clusters": [*(as_json(m) for m in compile_inbound_clusters(scope)), blackhole],
        "routes": [],
        "endpoints": [],
    }
    assert validate(compiled, tmp_path) == ""


def as_json(message: Any) -> dict[str, Any]:
    return dict(MessageToDict(message, preserving_proto_field_name=True))
