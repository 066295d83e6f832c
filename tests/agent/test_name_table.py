from __future__ import annotations

from google.protobuf.any_pb2 import Any

from clew._pb.envoy.service.discovery.v3.discovery_pb2 import DeltaDiscoveryResponse, Resource
from clew._pb.istio.networking.nds.v1.nds_pb2 import NameTable
from clew.agent.name_table import NameTables
from clew.model.xds import NAME_TABLE


def table(name: str, version: str, **hosts: str) -> Resource:
    message = NameTable(table={host: NameTable.NameInfo(ips=[ip]) for host, ip in hosts.items()})
    body = Any(type_url=NAME_TABLE, value=message.SerializeToString())
    return Resource(name=name, version=version, resource=body)


def test_tables_are_joined_replaced_and_removed() -> None:
    tables = NameTables()
    tables.receive(
        DeltaDiscoveryResponse(
            resources=[table("a", "1", one="10.0.0.1"), table("b", "1", Two="10.0.0.2")]
        )
    )
    assert tables.names == {"one": ("10.0.0.1",), "two": ("10.0.0.2",)}
    tables.receive(DeltaDiscoveryResponse(resources=[table("a", "2", three="10.0.0.3")]))
    assert tables.names == {"three": ("10.0.0.3",), "two": ("10.0.0.2",)}
    tables.receive(DeltaDiscoveryResponse(removed_resources=["b", "never there"]))
    assert tables.names == {"three": ("10.0.0.3",)}


def test_a_new_stream_says_what_is_known_already() -> None:
    tables = NameTables()
    assert not tables.known.is_set()
    tables.receive(DeltaDiscoveryResponse(resources=[table("a", "7")], nonce="n1"))
    assert tables.known.is_set()
    assert tables.versions() == {"a": "7"}
