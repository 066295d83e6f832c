from __future__ import annotations

from clew._pb.istio.networking.nds.v1.nds_pb2 import NameTable
from clew.compile.memo import Memo
from clew.compile.name_table import compile_name_table
from clew.model.service import Health, Resolution
from clew.snapshot.scope import OutboundScope
from tests.compile.scopes import endpoint, outbound, service, with_endpoints

REVIEWS = service("reviews", addresses=("10.0.0.1", "10.8.0.0/16"))
STORE = service("store", addresses=(), headless=True)
EMPTY = service("empty", addresses=())


def names(scope: OutboundScope) -> dict[str, list[str]]:
    table = NameTable.FromString(compile_name_table(scope, Memo()).body)
    return {host: list(info.ips) for host, info in table.table.items()}


def test_a_service_is_found_at_its_virtual_addresses() -> None:
    scope = with_endpoints(outbound(REVIEWS, EMPTY), REVIEWS, endpoint("172.16.0.1"))
    assert names(scope) == {REVIEWS.hostname: ["10.0.0.1"]}


def test_a_headless_service_is_found_at_each_healthy_endpoint_once() -> None:
    members = (
        endpoint("172.16.0.1"),
        endpoint("172.16.0.1", port_name="port-1"),
        endpoint("172.16.0.2", health=Health.UNHEALTHY),
        endpoint("172.16.0.3"),
    )
    scope = with_endpoints(outbound(REVIEWS, STORE), STORE, *members)
    assert names(scope)[STORE.hostname] == ["172.16.0.1", "172.16.0.3"]


def test_a_pod_of_a_headless_service_is_found_by_its_own_name_while_it_is_healthy() -> None:
    members = (
        endpoint("172.16.0.1", hostname="store-0"),
        endpoint("172.16.0.1", hostname="store-0", port_name="port-1"),
        endpoint("172.16.0.2", hostname="store-1", health=Health.UNHEALTHY),
        endpoint("172.16.0.3"),
    )
    table = names(with_endpoints(outbound(STORE), STORE, *members))
    assert table == {
        STORE.hostname: ["172.16.0.1", "172.16.0.3"],
        f"store-0.{STORE.hostname}": ["172.16.0.1"],
    }


def test_the_table_is_compiled_again_only_for_endpoints_that_it_lists() -> None:
    memo, before = Memo(), outbound(REVIEWS, STORE)
    table = compile_name_table(before, memo)
    elsewhere = with_endpoints(before, REVIEWS, endpoint("172.16.0.1"))
    assert compile_name_table(elsewhere, memo) is table
    listed = with_endpoints(before, STORE, endpoint("172.16.0.1"))
    assert compile_name_table(listed, memo).version != table.version


def test_a_service_of_type_external_name_is_another_name() -> None:
    to = service("books", addresses=(), resolution=Resolution.ALIAS, external_name="example.com")
    assert names(outbound(to, REVIEWS))[to.hostname] == ["example.com"]
