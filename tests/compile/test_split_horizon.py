"""Endpoints of other networks are reached through these networks' gateways."""

from __future__ import annotations

from typing import Any

import pytest

from clew._pb.envoy.config.endpoint.v3.endpoint_pb2 import ClusterLoadAssignment
from tests.compile.meshes import assignment_in, published, service_entry

HOST = "api.example"
MTLS = "security.istio.io/tlsMode: istio"


def member(address: str, network: str, more: str = "", labels: str = MTLS) -> str:
    return f"{{address: {address}, network: {network}, labels: {{{labels}}}{more}}}"


def entry(*members: str) -> str:
    return service_entry(
        f"""hosts: [{HOST}], location: MESH_INTERNAL, resolution: STATIC,
        ports: [{{number: 80, name: http, protocol: HTTP}}], endpoints: [{", ".join(members)}]"""
    )


def networks(text: str) -> str:
    lines = "\n".join(f"    {line}" for line in text.strip().splitlines())
    return f"""
apiVersion: v1
kind: ConfigMap
metadata: {{name: istio, namespace: istio-system}}
data:
  meshNetworks: |
{lines}
"""


def gateway(name: str, address: str, labels: str = "topology.istio.io/network: far") -> str:
    return f"""
apiVersion: v1
kind: Service
metadata: {{name: {name}, namespace: istio-system, labels: {{{labels}}}}}
spec: {{type: LoadBalancer, ports: [{{name: tls, port: 15443}}]}}
status: {{loadBalancer: {{ingress: [{{ip: {address}}}]}}}}
"""


def seen(*texts: str, **about: Any) -> dict[str, int]:
    """Address and port with the weight that a proxy gives it."""
    about = {"network": "near", **about}
    return weights(assignment_in(published(*texts, **about), host=HOST))


def weights(of: ClusterLoadAssignment) -> dict[str, int]:
    found = {}
    for each in (e for group in of.endpoints for e in group.lb_endpoints):
        place = each.endpoint.address.socket_address
        found[f"{place.address}:{place.port_value}"] = int(each.load_balancing_weight.value)
    return found


ENDPOINTS = entry(
    member("10.0.0.1", "near"), member("10.0.0.2", "far"), member("10.0.0.3", "far", ", weight: 2")
)


def test_a_gateway_service_stands_for_all_endpoints_of_its_network() -> None:
    assert seen(ENDPOINTS, gateway("east-west", "192.0.2.1")) == {
        "10.0.0.1:80": 1,
        "192.0.2.1:15443": 3,
    }
    port = "topology.istio.io/network: far, networking.istio.io/gatewayPort: '16443'"
    assert "192.0.2.1:16443" in seen(ENDPOINTS, gateway("east-west", "192.0.2.1", port))


def test_within_a_network_and_where_none_is_known_endpoints_are_called_directly() -> None:
    east_west = gateway("east-west", "192.0.2.1")
    assert seen(ENDPOINTS, east_west, network="far").keys() >= {"10.0.0.2:80", "10.0.0.3:80"}
    assert len(seen(ENDPOINTS, east_west, network="")) == 3
    assert len(seen(ENDPOINTS)) == 3


def test_several_gateways_share_the_weight_of_their_network() -> None:
    two = gateway("one", "192.0.2.1"), gateway("two", "192.0.2.2")
    assert seen(ENDPOINTS, *two) == {
        "10.0.0.1:80": 2,
        "192.0.2.1:15443": 3,
        "192.0.2.2:15443": 3,
    }


def test_only_what_speaks_mtls_is_reached_through_a_gateway() -> None:
    plain = entry(member("10.0.0.1", "near"), member("10.0.0.2", "far", labels=""))
    assert seen(plain, gateway("east-west", "192.0.2.1")) == {"10.0.0.1:80": 1}


def test_an_endpoint_in_another_network_needs_no_address() -> None:
    nameless = entry(member("10.0.0.1", "near"), f"{{network: far, labels: {{{MTLS}}}}}")
    assert seen(nameless, gateway("east-west", "192.0.2.1")) == {
        "10.0.0.1:80": 1,
        "192.0.2.1:15443": 1,
    }
    assert seen(nameless) == {"10.0.0.1:80": 1}


@pytest.mark.proves(
    "MeshNetworks.networks",
    "Network.endpoints",
    "Network.gateways",
    "NetworkEndpoints.fromCidr",
    "IstioNetworkGateway.address",
    "IstioNetworkGateway.port",
)
def test_mesh_networks_name_gateways_by_address_and_endpoints_by_range() -> None:
    declared = networks(
        """
networks:
  near: {endpoints: [{fromCidr: 10.0.0.0/24}]}
  far:
    endpoints: [{fromCidr: 10.1.0.0/24}]
    gateways: [{address: 192.0.2.9, port: 443}]
"""
    )
    members = entry(
        f"{{address: 10.0.0.1, labels: {{{MTLS}}}}}", f"{{address: 10.1.0.1, labels: {{{MTLS}}}}}"
    )
    # The proxy's own network follows from its address, too.
    assert seen(members, declared, network="") == {"10.0.0.1:80": 1, "192.0.2.9:443": 1}


@pytest.mark.proves("NetworkEndpoints.fromRegistry", "IstioNetworkGateway.registryServiceName")
def test_mesh_networks_may_name_a_gateways_service() -> None:
    declared = networks(
        """
networks:
  far:
    endpoints: [{fromRegistry: Kubernetes}]
    gateways: [{registryServiceName: gate.istio-system.svc.cluster.local, port: 443}]
"""
    )
    members = entry(member("10.0.0.1", "near"), f"{{address: 10.1.0.1, labels: {{{MTLS}}}}}")
    found = seen(members, declared, gateway("gate", "192.0.2.5", "app: gate"))
    assert found == {"10.0.0.1:80": 1, "192.0.2.5:443": 1}


def test_what_says_nothing_is_in_the_network_of_the_root_namespace() -> None:
    root = """
apiVersion: v1
kind: Namespace
metadata: {name: istio-system, labels: {topology.istio.io/network: far}}
"""
    members = entry(member("10.0.0.1", "near"), f"{{address: 10.1.0.1, labels: {{{MTLS}}}}}")
    found = seen(members, root, gateway("east-west", "192.0.2.1"))
    assert found == {"10.0.0.1:80": 1, "192.0.2.1:15443": 1}


def test_a_label_says_the_network_of_pods_and_proxies() -> None:
    pod = """
apiVersion: v1
kind: Pod
metadata:
  {name: api, namespace: default,
   labels: {app: api, security.istio.io/tlsMode: istio, topology.istio.io/network: far}}
spec: {containers: [{name: app}]}
status: {podIP: 10.0.0.7, conditions: [{type: Ready, status: "True"}]}
"""
    selecting = service_entry(
        f"""hosts: [{HOST}], location: MESH_INTERNAL, resolution: STATIC,
        ports: [{{number: 80, name: http, protocol: HTTP}}],
        workloadSelector: {{labels: {{app: api}}}}"""
    )
    east_west = gateway("east-west", "192.0.2.1")
    assert seen(selecting, pod, east_west) == {"192.0.2.1:15443": 1}
    labels = {"topology.istio.io/network": "far"}
    assert seen(selecting, pod, east_west, network="", labels=labels) == {"10.0.0.7:80": 1}


def test_a_proxy_may_ask_for_some_networks_only() -> None:
    east_west = gateway("east-west", "192.0.2.1")
    assert seen(ENDPOINTS, east_west, network_view=("near",)) == {"10.0.0.1:80": 1}
