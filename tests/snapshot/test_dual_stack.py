"""Pods with addresses of both versions of IP."""

from __future__ import annotations

from clew._pb.istio.networking.nds.v1.nds_pb2 import NameTable
from clew.compile.memo import Memo
from clew.compile.name_table import compile_name_table
from clew.model.base import ResourceKey
from clew.model.service import Endpoint
from clew.snapshot.snapshot import MeshSnapshot, update_snapshot
from tests.compile.scopes import assignment
from tests.manifests import resources_of
from tests.snapshot.world import mesh, outbound, pod, service

POD = pod("web-0", "10.2.0.1", labels=", security.istio.io/tlsMode: istio").replace(
    "podIP: 10.2.0.1", "podIP: 10.2.0.1, podIPs: [{ip: 10.2.0.1}, {ip: 'fd00::1'}]"
)
HEADLESS = service("web").replace("10.1.0.1", "None")


def slice_of(version: str, *addresses: str) -> str:
    served = ", ".join(f"{{addresses: ['{address}']}}" for address in addresses)
    return f"""
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata:
  name: web-{version.lower()}
  namespace: default
  labels: {{kubernetes.io/service-name: web}}
addressType: {version}
ports: [{{name: http, port: 8080}}]
endpoints: [{served}]
"""


def endpoints(snapshot: MeshSnapshot) -> tuple[Endpoint, ...]:
    [declared] = snapshot.services.ordered
    return snapshot.endpoints[declared.key]


def addresses(snapshot: MeshSnapshot) -> list[tuple[str, ...]]:
    return [(each.address, *each.more_addresses) for each in endpoints(snapshot)]


def test_a_pod_is_one_endpoint_with_its_other_address_beside_the_first() -> None:
    both = [("10.2.0.1", "fd00::1")]
    assert addresses(mesh(service("web"), POD)) == both
    six, four = slice_of("IPv6", "fd00::1"), slice_of("IPv4", "10.2.0.1")
    assert addresses(mesh(service("web"), POD, six, four)) == both


def test_a_pod_is_known_by_its_second_address_too() -> None:
    six = slice_of("IPv6", "fd00::1", "fd00::2")
    snapshot = mesh(service("web"), POD, six)
    assert addresses(snapshot) == [("fd00::1", "10.2.0.1"), ("fd00::2",)]
    assert [each.mutual_tls for each in endpoints(snapshot)] == [True, False]
    gone, _ = update_snapshot(snapshot, [(ResourceKey("", "Pod", "default", "web-0"), None)])
    assert addresses(gone) == [("fd00::1",), ("fd00::2",)]
    [declared] = resources_of(POD)
    back, _ = update_snapshot(gone, [(declared.key, declared)])
    assert endpoints(back) == endpoints(snapshot)


def test_envoy_is_told_both_addresses_of_an_endpoint() -> None:
    scope = outbound(mesh(service("web"), POD))
    found = assignment(scope, "outbound|80||web.default.svc.cluster.local")
    [endpoint] = (each.endpoint for group in found.endpoints for each in group.lb_endpoints)
    assert endpoint.address.socket_address.address == "10.2.0.1"
    [more] = endpoint.additional_addresses
    assert (more.address.socket_address.address, more.address.socket_address.port_value) == (
        "fd00::1",
        8080,
    )


def test_a_headless_service_is_found_at_all_addresses_that_the_client_can_reach() -> None:
    snapshot = mesh(HEADLESS, POD)
    scope = outbound(snapshot)
    table = NameTable.FromString(compile_name_table(scope, Memo()).body).table
    assert table["web.default.svc.cluster.local"].ips == ["10.2.0.1"]
