"""ServiceEntries: what a proxy gets of services that no registry knows of."""

from __future__ import annotations

import pytest

from clew._pb.envoy.config.cluster.v3.cluster_pb2 import Cluster
from clew._pb.envoy.config.route.v3.route_pb2 import RouteConfiguration
from clew.model.xds import CLUSTER, ENDPOINTS, LISTENER, ROUTE, Published
from tests.compile.meshes import (
    addresses,
    assignment_in,
    cluster_in,
    listener_in,
    mesh_config,
    policy,
    published,
    rule,
    service_entry,
    tls_of,
)

HOST = "api.example"
HTTP = "ports: [{number: 80, name: http, protocol: HTTP}]"


def entry(resolution: str, more: str = "", *, ports: str = HTTP, host: str = HOST) -> str:
    return service_entry(f"hosts: ['{host}'], resolution: {resolution}, {ports}{more}")


def domains(found: Published, routes: str) -> set[str]:
    configuration = RouteConfiguration.FromString(found[ROUTE][routes].body)
    return {domain for host in configuration.virtual_hosts for domain in host.domains}


@pytest.mark.proves(
    "ServiceEntrySpec.hosts",
    "ServiceEntrySpec.ports",
    "ServicePort.number",
    "ServicePort.name",
    "ServicePort.protocol",
)
def test_every_host_and_port_has_a_cluster_and_its_routes() -> None:
    ports = """ports: [{number: 80, name: http, protocol: HTTP},
        {number: 81, name: grpc, protocol: GRPC}, {number: 82, name: tcp, protocol: TCP}]"""
    found = published(service_entry(f"hosts: [a.example, b.example], resolution: NONE, {ports}"))
    for host in ("a.example", "b.example"):
        assert {f"outbound|{port}||{host}" for port in (80, 81, 82)} <= found[CLUSTER].keys()
        assert host in domains(found, "80")
        assert host in domains(found, "81")
    assert "82" not in found[ROUTE]
    assert "0.0.0.0_82" in found[LISTENER]


@pytest.mark.proves("ServiceEntrySpec.resolution=NONE", "ServiceEntrySpec.addresses")
def test_without_resolution_traffic_goes_where_the_client_wanted() -> None:
    found = published(
        entry("NONE", ", addresses: [10.9.0.0/16]", ports=HTTP.replace("HTTP", "TCP"))
    )
    assert cluster_in(found, host=HOST).type == Cluster.ORIGINAL_DST
    [chain] = listener_in(found, "0.0.0.0_80").filter_chains[:1]
    [ranges] = chain.filter_chain_match.prefix_ranges
    assert (ranges.address_prefix, ranges.prefix_len.value) == ("10.9.0.0", 16)


@pytest.mark.proves(
    "ServiceEntrySpec.resolution=STATIC",
    "ServiceEntrySpec.endpoints",
    "WorkloadEntrySpec.address",
    "WorkloadEntrySpec.ports",
    "WorkloadEntrySpec.weight",
    "WorkloadEntrySpec.locality",
    "ServicePort.targetPort",
)
def test_static_endpoints_have_ports_weights_and_localities() -> None:
    ports = "ports: [{number: 80, name: http, protocol: HTTP, targetPort: 8080}]"
    endpoints = """, endpoints: [{address: 10.0.0.1},
        {address: 10.0.0.2, ports: {http: 9090}, weight: 3, locality: eu/a/1}]"""
    found = assignment_in(published(entry("STATIC", endpoints, ports=ports)), host=HOST)
    described = {
        (
            e.endpoint.address.socket_address.address,
            e.endpoint.address.socket_address.port_value,
            e.load_balancing_weight.value,
            group.locality.region,
        )
        for group in found.endpoints
        for e in group.lb_endpoints
    }
    assert described == {("10.0.0.1", 8080, 1, ""), ("10.0.0.2", 9090, 3, "eu")}


@pytest.mark.proves("ServiceEntrySpec.endpoints", "WorkloadEntrySpec.address")
def test_an_endpoint_may_be_a_socket_file() -> None:
    found = assignment_in(
        published(entry("STATIC", ", endpoints: [{address: 'unix:///run/api.sock'}]")), host=HOST
    )
    [endpoint] = found.endpoints[0].lb_endpoints
    assert endpoint.endpoint.address.pipe.path == "/run/api.sock"


@pytest.mark.proves("WorkloadEntrySpec.labels", "Subset.labels")
def test_a_subset_is_of_endpoints_with_its_labels() -> None:
    found = published(
        entry(
            "STATIC",
            """, endpoints: [{address: 10.0.0.1, labels: {version: v1}},
            {address: 10.0.0.2, labels: {version: v2}}]""",
        ),
        rule("subsets: [{name: v2, labels: {version: v2}}]", host=HOST),
    )
    assert addresses(assignment_in(found, subset="v2", host=HOST)) == ["10.0.0.2"]


@pytest.mark.proves(
    "ServiceEntrySpec.resolution=DNS",
    "ServiceEntrySpec.resolution=DNS_ROUND_ROBIN",
    "MeshConfig.dnsRefreshRate",
)
@pytest.mark.parametrize(
    ("resolution", "kind"),
    [("DNS", Cluster.STRICT_DNS), ("DNS_ROUND_ROBIN", Cluster.LOGICAL_DNS)],
)
def test_envoy_resolves_the_host_or_the_names_of_its_endpoints(
    resolution: str, kind: Cluster.DiscoveryType
) -> None:
    mesh = mesh_config("dnsRefreshRate: 7s")
    own = cluster_in(published(mesh, entry(resolution)), host=HOST)
    assert own.type == kind
    assert own.dns_refresh_rate.seconds == 7
    assert addresses(own.load_assignment) == [HOST]
    named = published(entry(resolution, ", endpoints: [{address: other.example}]"))
    assert addresses(cluster_in(named, host=HOST).load_assignment) == ["other.example"]


@pytest.mark.proves("ServiceEntrySpec.addresses")
def test_connections_to_its_addresses_are_recognised() -> None:
    found = published(
        entry("DNS", ", addresses: [10.9.0.1, 10.9.0.2]", ports=HTTP.replace("HTTP", "TCP"))
    )
    listener = listener_in(found, "10.9.0.1_80")
    more = [each.address.socket_address.address for each in listener.additional_addresses]
    assert more == ["10.9.0.2"]


EXTERNAL, INTERNAL = ", location: MESH_EXTERNAL", ", location: MESH_INTERNAL"
MEMBER = """, endpoints: [{address: 10.0.0.1, serviceAccount: api,
    labels: {security.istio.io/tlsMode: istio}}]"""


@pytest.mark.proves(
    "ServiceEntrySpec.location",
    "ServiceEntrySpec.location=MESH_EXTERNAL",
    "ServiceEntrySpec.location=MESH_INTERNAL",
    "WorkloadEntrySpec.serviceAccount",
)
def test_only_within_the_mesh_mtls_is_automatic() -> None:
    outside = cluster_in(published(entry("STATIC", EXTERNAL + MEMBER)), host=HOST)
    inside = cluster_in(published(entry("STATIC", INTERNAL + MEMBER)), host=HOST)
    assert not outside.HasField("transport_socket")
    assert outside.metadata.filter_metadata["istio"]["external"]
    assert accepted(inside) == {"spiffe://cluster.local/ns/default/sa/api"}
    assert "external" not in inside.metadata.filter_metadata["istio"]


def accepted(cluster: Cluster) -> set[str]:
    validation = tls_of(cluster).common_tls_context.combined_validation_context
    context = validation.default_validation_context
    if not validation.ListFields():
        context = tls_of(cluster).common_tls_context.validation_context
    return {m.matcher.exact for m in context.match_typed_subject_alt_names}


@pytest.mark.proves("ServiceEntrySpec.subjectAltNames")
def test_a_server_may_have_the_names_that_the_entry_lists() -> None:
    names = ", subjectAltNames: ['spiffe://other/ns/a/sa/b']"
    inside = published(entry("STATIC", INTERNAL + MEMBER + names))
    assert accepted(cluster_in(inside, host=HOST)) == {
        "spiffe://cluster.local/ns/default/sa/api",
        "spiffe://other/ns/a/sa/b",
    }
    aliases = mesh_config("trustDomainAliases: [old.domain]")
    both = published(entry("STATIC", INTERNAL + MEMBER + names), aliases)
    assert accepted(cluster_in(both, host=HOST)) == {
        "spiffe://cluster.local/ns/default/sa/api",
        "spiffe://old.domain/ns/default/sa/api",
        "spiffe://other/ns/a/sa/b",
        "spiffe://old.domain/ns/a/sa/b",
    }
    tls = rule("trafficPolicy: {tls: {mode: SIMPLE}}", host=HOST)
    outside = published(entry("DNS", ", subjectAltNames: [san.example]"), tls)
    assert accepted(cluster_in(outside, host=HOST)) == {"san.example"}


@pytest.mark.proves("ServiceEntrySpec.subjectAltNames")
def test_an_entry_for_a_kubernetes_service_adds_names_to_it_and_nothing_else() -> None:
    host = "reviews.default.svc.cluster.local"
    kubernetes = """
apiVersion: v1
kind: Service
metadata: {name: reviews, namespace: default}
spec: {clusterIP: 10.1.0.1, ports: [{name: http, port: 80}]}
"""
    more = entry("STATIC", ", subjectAltNames: ['spiffe://x/ns/a/sa/b']", host=host)
    ours = rule("trafficPolicy: {tls: {mode: ISTIO_MUTUAL}}", host=host)
    found = cluster_in(published(kubernetes, more, ours), host=host)
    assert accepted(found) == {"spiffe://x/ns/a/sa/b"}


POD = """
apiVersion: v1
kind: Pod
metadata: {name: api, namespace: default, labels: {app: api}}
spec: {containers: [{name: app}]}
status: {podIP: 10.0.0.7, conditions: [{type: Ready, status: "True"}]}
"""
WORKLOAD = """
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: {name: vm, namespace: default}
spec: {address: 10.0.0.8, labels: {app: api}, ports: {http: 8088}, weight: 5}
"""


@pytest.mark.proves("ServiceEntrySpec.workloadSelector", "WorkloadSelector.labels")
def test_endpoints_may_be_pods_and_workload_entries_with_certain_labels() -> None:
    selecting = entry("STATIC", f"{INTERNAL}, workloadSelector: {{labels: {{app: api}}}}")
    other = WORKLOAD.replace("vm", "other").replace("app: api", "app: other")
    elsewhere = WORKLOAD.replace("namespace: default", "namespace: other")
    found = published(selecting, POD, WORKLOAD, other, elsewhere)
    assert addresses(assignment_in(found, host=HOST)) == ["10.0.0.7", "10.0.0.8"]


@pytest.mark.proves("ServiceEntrySpec.exportTo", "MeshConfig.defaultServiceExportTo")
@pytest.mark.parametrize(
    ("export", "mesh", "seen"),
    [
        ("", "", True),
        (", exportTo: ['.']", "", False),
        (", exportTo: [friend]", "", True),
        (", exportTo: ['~']", "", False),
        ("", "defaultServiceExportTo: ['.']", False),
        (", exportTo: ['*']", "defaultServiceExportTo: ['.']", True),
    ],
)
def test_an_entry_is_seen_where_it_is_exported_to(export: str, mesh: str, seen: bool) -> None:
    texts = [entry("NONE", export)] + ([mesh_config(mesh)] if mesh else [])
    found = published(*texts, namespace="friend")
    assert (f"outbound|80||{HOST}" in found[CLUSTER]) is seen


@pytest.mark.proves("ServiceEntrySpec.resolution=DYNAMIC_DNS", "ServiceEntrySpec.hosts")
def test_a_wildcards_requests_go_to_the_host_that_they_name() -> None:
    found = published(entry("DYNAMIC_DNS", host="*.wild.example"))
    cluster = cluster_in(found, host="*.wild.example")
    assert cluster.cluster_type.name == "envoy.clusters.dynamic_forward_proxy"
    assert "*.wild.example" in domains(found, "80")
    assert b"envoy.filters.http.dynamic_forward_proxy" in found[LISTENER]["0.0.0.0_80"].body


@pytest.mark.proves("ServiceEntrySpec.resolution=DYNAMIC_DNS")
def test_a_wildcards_tls_connections_go_to_the_name_that_they_ask_for() -> None:
    ports = "ports: [{number: 443, name: tls, protocol: TLS}]"
    found = published(entry("DYNAMIC_DNS", host="*.wild.example", ports=ports))
    listener = listener_in(found, "0.0.0.0_443")
    [chain] = [c for c in listener.filter_chains if c.filter_chain_match.server_names]
    assert list(chain.filter_chain_match.server_names) == ["*.wild.example"]
    resolving = [each.name.removeprefix("envoy.filters.network.") for each in chain.filters]
    assert resolving == ["sni_dynamic_forward_proxy", "tcp_proxy"]


@pytest.mark.proves("ServiceEntrySpec.resolution=DYNAMIC_DNS", "ClientTLSSettings.mode=SIMPLE")
def test_tls_to_hosts_that_are_resolved_on_demand_verifies_each_of_them() -> None:
    tls = rule("trafficPolicy: {tls: {mode: SIMPLE}}", host="*.wild.example")
    found = cluster_in(
        published(entry("DYNAMIC_DNS", host="*.wild.example"), tls), host="*.wild.example"
    )
    assert found.transport_socket.name == "envoy.transport_sockets.tls"


@pytest.mark.proves("ServiceEntrySpec.hosts")
def test_of_two_entries_for_a_host_the_one_of_the_clients_namespace_goes_first() -> None:
    def of(namespace: str, address: str) -> str:
        return service_entry(
            f"hosts: [{HOST}], resolution: STATIC, {HTTP}, endpoints: [{{address: {address}}}]",
            namespace=namespace,
        )

    both = of("a", "10.0.0.1"), of("b", "10.0.0.2")
    assert addresses(assignment_in(published(*both, namespace="a"), host=HOST)) == ["10.0.0.1"]
    assert addresses(assignment_in(published(*both, namespace="b"), host=HOST)) == ["10.0.0.2"]


def test_rules_of_a_destination_hold_for_external_services_too() -> None:
    limited = rule("trafficPolicy: {loadBalancer: {simple: RANDOM}}", host=HOST)
    assert cluster_in(published(entry("DNS"), limited), host=HOST).lb_policy == Cluster.RANDOM
    assert f"outbound|80||{HOST}" not in published(entry("DNS"), policy("tls: {}"))[ENDPOINTS]
