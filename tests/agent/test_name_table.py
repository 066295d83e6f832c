from __future__ import annotations

from google.protobuf.any_pb2 import Any

from clew._pb.envoy.service.discovery.v3.discovery_pb2 import DeltaDiscoveryResponse, Resource
from clew._pb.istio.networking.nds.v1.nds_pb2 import NameTable
from clew.agent.name_table import NameTables
from clew.model.xds import NAME_TABLE
from tests.agent.test_bootstrap import SPEC


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
    acknowledgement = tables.receive(
        DeltaDiscoveryResponse(resources=[table("a", "7")], nonce="n1")
    )
    assert acknowledgement.response_nonce == "n1"
    assert not acknowledgement.HasField("error_detail")
    request = tables.first_request(SPEC)
    assert request.node.id.startswith("sidecar~10.0.0.7~reviews-v1-0.books~")
    assert dict(request.initial_resource_versions) == {"a": "7"}
    assert list(request.resource_names_subscribe) == ["*"]
