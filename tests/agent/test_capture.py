from __future__ import annotations

import asyncio
import json
import os
import secrets
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dns.message
import dns.rrset
import msgspec
import pytest
from google.protobuf.json_format import ParseDict

from clew._pb.envoy.config.cluster.v3.cluster_pb2 import Cluster
from clew._pb.envoy.config.listener.v3.listener_pb2 import Listener
from clew._pb.envoy.extensions.filters.listener.original_dst.v3 import original_dst_pb2
from clew._pb.envoy.extensions.filters.network.tcp_proxy.v3 import tcp_proxy_pb2
from clew._pb.istio.networking.nds.v1.nds_pb2 import NameTable
from clew.agent.capture import ruleset
from clew.agent.spec import AgentSpec, Capture
from clew.model.interception import Interception
from clew.model.xds import CLUSTER, LISTENER, NAME_TABLE, EnvoyResource
from tests.agent.agent_process import agent, specification, until
from tests.agent.control_plane import running

# Loaded, so that their types are known when the configuration below is read.
assert original_dst_pb2
assert tcp_proxy_pb2

POD, HOST = "10.251.7.2", "10.251.7.1"
CAP_NET_ADMIN = 1 << 12
NAME = "reviews.default.svc.cluster.local"

# Serves its peers' addresses, and asks around itself.
PROGRAM = f"""
import dns.message, dns.query, json, socket, threading
def ask(address):
    with socket.create_connection(address, 5) as c: return c.recv(100).decode()
def serve(listener):
    while True:
        c, peer = listener.accept(); c.sendall(peer[0].encode()); c.close()
listener = socket.create_server(("0.0.0.0", 9080))
threading.Thread(target=serve, args=(listener,), daemon=True).start()
def resolve(how, name, kind):
    response = how(dns.message.make_query(name, kind), "192.0.2.53", timeout=5)
    return [record.to_text() for records in response.answer for record in records]
print(json.dumps({{
    "outside": ask(("{HOST}", 8000)),
    "itself": ask(("{POD}", 9080)),
    "loopback": ask(("127.0.0.1", 9080)),
    "udp": resolve(dns.query.udp, "reviews", "A"),
    "tcp": resolve(dns.query.tcp, "{NAME}", "A"),
    "forwarded": resolve(dns.query.udp, "example.org", "A"),
}}), flush=True)
threading.Event().wait()
"""


def test_the_rules_follow_the_ports_of_the_spec() -> None:
    spec = AgentSpec(
        mesh="m",
        type="sidecar",
        name="a-0",
        namespace="default",
        workload="a",
        ip=POD,
        dns_port=0,
        prometheus_port=0,
        readiness_port=16021,
    )
    rules = ruleset(spec)
    assert "tcp dport { 15006, 15008, 15020, 16021 } return" in rules
    assert "dport 53" not in rules
    assert "\n\n" not in rules
    assert "udp dport 53 redirect to :5300" in ruleset(msgspec.structs.replace(spec, dns_port=5300))


def interception(**fields: Any) -> str:
    spec = specification_of(POD)
    return ruleset(msgspec.structs.replace(spec, interception=Interception(**fields)))


def specification_of(ip: str) -> AgentSpec:
    return AgentSpec(mesh="m", type="sidecar", name="a-0", namespace="default", workload="a", ip=ip)


EXCEPTED = {
    "excluded_outbound_ports": (3306, 27017),
    "excluded_outbound_ranges": ("10.0.0.0/8", "10.1.0.0/16", "fd00::/8"),
    "excluded_interfaces": ("docker0",),
    "excluded_inbound_ports": (9090,),
}


@pytest.mark.parametrize(
    ("fields", "there", "absent"),
    [
        (
            EXCEPTED,
            [
                "oifname { docker0 } return",
                "iifname { docker0 } return",
                "tcp dport { 3306, 27017 } return",
                "ip daddr { 10.0.0.0/8 } return",
                "ip6 daddr { fd00::/8 } return",
                "tcp dport { 9090 } return",
                "meta l4proto tcp redirect to :15001",
                "meta l4proto tcp redirect to :15006",
            ],
            [],
        ),
        (
            {"outbound_ranges": ("10.0.0.0/8",), "outbound_ports": (443,), "inbound_ports": (80,)},
            [
                "tcp dport { 443 } redirect to :15001",
                "meta l4proto tcp ip daddr { 10.0.0.0/8 } redirect to :15001",
                "tcp dport { 80 } redirect to :15006",
            ],
            ["tcp redirect to :15001", "tcp redirect to :15006"],
        ),
        (
            {"outbound_ranges": (), "inbound_ports": ()},
            [],
            ["redirect to :15001\n\t}", "l4proto tcp redirect"],
        ),
    ],
)
def test_traffic_that_is_excepted_passes_the_proxy(
    fields: dict[str, Any], there: list[str], absent: list[str]
) -> None:
    rules = interception(**fields)
    assert [rule for rule in there if rule not in rules] == []
    assert [rule for rule in absent if rule in rules] == []
    if os.geteuid() == 0:
        check = ["nft", "--check", "-f", "-"]
        subprocess.run(check, input=rules, text=True, check=True, timeout=20)


def test_a_dns_server_of_the_programs_own_is_left_to_it() -> None:
    spec = AgentSpec(
        mesh="m", type="sidecar", name="a-0", namespace="default", workload="a", ip=POD
    )
    before, _, after = ruleset(spec).partition("udp dport 53 redirect")
    assert "ip daddr 127.0.0.0/8 return" in before
    assert after
    asked, _, _ = ruleset(spec, ("127.0.0.53",)).partition("udp dport 53 redirect")
    assert "ip daddr 127.0.0.0/8 ip daddr != { 127.0.0.53 } return" in asked


def test_without_a_proxy_only_questions_for_names_are_captured() -> None:
    spec = AgentSpec(
        mesh="m", type="sidecar", name="a-0", namespace="default", workload="a", ip=POD, proxy=False
    )
    rules = ruleset(spec, ("127.0.0.53",))
    assert "udp dport 53 redirect to :15053" in rules
    assert "127.0.0.53" in rules
    assert "15001" not in rules
    assert "15006" not in rules


@pytest.fixture
def namespace() -> Iterator[str]:
    """A network namespace whose only neighbour is this machine."""
    if os.geteuid() != 0:
        pytest.skip("needs root to make a network namespace")
    name = f"clew-{secrets.token_hex(3)}"
    for command in (
        f"netns add {name}",
        f"link add {name} type veth peer name eth0 netns {name}",
        f"address add {HOST}/30 dev {name}",
        f"link set {name} up",
        f"-n {name} link set lo up",
        f"-n {name} address add {POD}/30 dev eth0",
        f"-n {name} link set eth0 up",
        f"-n {name} route add default via {HOST}",
    ):
        subprocess.run(["ip", *command.split()], check=True)
    yield name
    subprocess.run(["ip", "netns", "delete", name], check=True)


def published() -> dict[Any, dict[str, EnvoyResource]]:
    def tcp(cluster: str) -> dict[str, Any]:
        proxy = "type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy"
        config = {"@type": proxy, "stat_prefix": cluster, "cluster": cluster}
        filters = [{"name": "envoy.filters.network.tcp_proxy", "typed_config": config}]
        return {"filter_chains": [{"filters": filters}]}

    def address(port: int) -> dict[str, Any]:
        return {"socket_address": {"address": "0.0.0.0", "port_value": port}}

    def original(name: str, **more: Any) -> dict[str, Any]:
        return {
            "name": name,
            "type": "ORIGINAL_DST",
            "lb_policy": "CLUSTER_PROVIDED",
            "connect_timeout": "2s",
            **more,
        }

    destination = (
        "type.googleapis.com/envoy.extensions.filters.listener.original_dst.v3.OriginalDst"
    )
    original_destination = [
        {"name": "envoy.filters.listener.original_dst", "typed_config": {"@type": destination}}
    ]
    source = {"source_address": {"address": "127.0.0.6", "port_value": 0}}
    clusters = [original("passthrough"), original("inbound", upstream_bind_config=source)]
    listeners = [
        {
            "name": "outbound",
            "address": address(15001),
            "listener_filters": original_destination,
            **tcp("passthrough"),
        },
        {
            "name": "inbound",
            "address": address(15006),
            "listener_filters": original_destination,
            **tcp("inbound"),
        },
    ]
    table = NameTable(table={NAME: NameTable.NameInfo(ips=["10.96.0.10"])})
    return {
        CLUSTER: resources(clusters, Cluster),
        LISTENER: resources(listeners, Listener),
        NAME_TABLE: {"all": EnvoyResource("all", "1", table.SerializeToString())},
    }


def resources(documents: list[dict[str, Any]], kind: type[Any]) -> dict[str, EnvoyResource]:
    return {
        document["name"]: EnvoyResource(
            document["name"], "1", ParseDict(document, kind()).SerializeToString()
        )
        for document in documents
    }


async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"the host")
    writer.close()


class Resolver(asyncio.DatagramProtocol):
    """A resolver outside of the mesh, that has the same answer to everything."""

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        query = dns.message.from_wire(data)
        response = dns.message.make_response(query)
        response.answer.append(
            dns.rrset.from_text(query.question[0].name, 30, "IN", "A", "203.0.113.9")
        )
        self.transport.sendto(response.to_wire(), addr)


def test_all_traffic_of_a_captured_workload_goes_through_its_proxy(
    namespace: str, tmp_path: Path
) -> None:
    async def scenario() -> object:
        server = await asyncio.start_server(greet, HOST, 8000)
        resolver, _ = await asyncio.get_running_loop().create_datagram_endpoint(
            Resolver, local_addr=(HOST, 5353)
        )
        async with server, running(tmp_path, published()) as plane:
            spec = specification(
                plane,
                PROGRAM,
                ip=POD,
                capture=Capture.NETNS,
                readiness_port=15021,
                prometheus_port=15090,
                app_ports={},
                dns_upstreams=(f"{HOST}:5353",),
            )
            async with agent(spec, within=("ip", "netns", "exec", namespace)) as one:
                await until(one.output)
                reader, writer = await asyncio.open_connection(POD, 9080)
                from_outside = (await reader.read()).decode()
                writer.close()
                await until(lambda: "True" in plane.ready_reports())
                capabilities = capability_bounds(one.children()["python"])
                resolver.close()
                return json.loads(one.output()) | {
                    "from outside": from_outside,
                    "may change the rules": bool(capabilities & CAP_NET_ADMIN),
                }

    assert asyncio.run(scenario()) == {
        "may change the rules": False,
        "from outside": "127.0.0.6",  # through the inbound listener
        "outside": "the host",
        "itself": "127.0.0.6",
        "loopback": "127.0.0.1",
        "udp": ["10.96.0.10"],
        "tcp": ["10.96.0.10"],
        "forwarded": ["203.0.113.9"],
    }


def capability_bounds(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("CapBnd:")[2].split()[0], 16)


def test_missing_privilege_is_explained_before_anything_starts(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running(tmp_path) as plane:
            spec = specification(plane, PROGRAM, capture=Capture.NETNS)
            nobody = ("setpriv", "--bounding-set=-net_admin", "--inh-caps=-net_admin")
            async with agent(spec, within=nobody if os.geteuid() == 0 else ()) as one:
                assert await one.ends() == 1
                assert "nft refused the capture rules" in one.said
                assert "CAP_NET_ADMIN" in one.said
                assert one.output() == ""

    asyncio.run(scenario())
