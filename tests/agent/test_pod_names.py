"""From objects to what a workload's DNS server answers for single pods of a headless service."""

from __future__ import annotations

import dns.message
import pytest
from google.protobuf.any_pb2 import Any

from clew._pb.envoy.service.discovery.v3.discovery_pb2 import DeltaDiscoveryResponse, Resource
from clew.agent.dns_answers import Place, answer
from clew.agent.name_table import NameTables
from clew.compile.memo import Memo
from clew.compile.name_table import compile_name_table
from clew.model.xds import NAME_TABLE
from tests.snapshot.test_pod_names import HEADLESS, owned
from tests.snapshot.world import mesh, outbound, pod

PLACE = Place(namespace="default", domain="cluster.local")
WAITING = '{type: Ready, status: "False"}'
WORLD = (
    HEADLESS,
    owned(pod("db-0", "10.2.0.1", app="db")),
    owned(pod("db-1", "10.2.0.2", app="db")),
    owned(pod("db-2", "10.2.0.3", app="db", conditions=WAITING)),
)


def addresses(name: str) -> set[str]:
    compiled = compile_name_table(outbound(mesh(*WORLD)), Memo())
    body = Any(type_url=NAME_TABLE, value=compiled.body)
    received = Resource(name=compiled.name, version=compiled.version, resource=body)
    tables = NameTables()
    tables.receive(DeltaDiscoveryResponse(resources=[received]))
    response = answer(dns.message.make_query(name, "A"), tables.names, PLACE)
    assert response is not None
    return {record.to_text() for records in response.answer for record in records}


@pytest.mark.parametrize("suffix", ["", ".default", ".default.svc", ".default.svc.cluster.local"])
def test_each_ready_pod_has_a_name_and_the_service_is_all_of_them(suffix: str) -> None:
    assert addresses(f"db-0.db{suffix}") == {"10.2.0.1"}
    assert addresses(f"db-1.db{suffix}") == {"10.2.0.2"}
    assert addresses(f"db{suffix}") == {"10.2.0.1", "10.2.0.2"}


def test_a_pod_that_is_not_ready_is_not_found() -> None:
    assert addresses("db-2.db.default.svc.cluster.local") == set()
