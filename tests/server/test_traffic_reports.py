"""Reports of traffic over gRPC: each proxy for itself, and no call counted twice."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count
from math import inf, nan
from pathlib import Path
from typing import Any

import grpc
import msgspec
import pytest

from clew.api.traffic_report import METHOD, Counted, TrafficReport, durations_of
from clew.ca.authority import Authority
from clew.ca.keys import load_or_create
from clew.model.proxy import Proxy, ProxyType
from clew.server.mtls import ServingCertificate
from clew.server.traffic_counts import REQUESTS, durations
from clew.server.traffic_reports import TrafficReports
from clew.server.traffic_window import FINE_SECONDS, Edge, TrafficWindow
from tests.server.serving import serving
from tests.server.workload import Workload, call_options, workload

BEGAN = 1_000_000.0
REVIEWS = "reviews-v1;default;reviews;v1;Kubernetes"
PRODUCTPAGE = "productpage-v1;default;productpage;v1;Kubernetes"
HOST = "reviews.default.svc.cluster.local"
SPIFFE = "spiffe://cluster.local/ns/default/sa"
SERVED = f"destination~{PRODUCTPAGE}~{HOST};reviews;default~200~-~~{SPIFFE}/bookinfo-productpage"
CALLED = f"source~{REVIEWS}~outbound|9080||{HOST};~200~-~~{SPIFFE}/bookinfo-reviews"


def proxy(name: str, workload_name: str, kind: ProxyType = ProxyType.SIDECAR) -> Proxy:
    return Proxy(
        type=kind,
        name=name,
        namespace="default",
        ip="10.0.0.1",
        labels=(("app", workload_name.partition("-")[0]), ("version", "v1")),
        metadata=(("WORKLOAD_NAME", workload_name),),
    )


@dataclass
class World:
    authority: Authority
    address: str
    clock: list[float] = field(default_factory=lambda: [BEGAN + 60])
    numbers: Iterator[int] = field(default_factory=lambda: count(1))
    silent: set[str] = field(default_factory=set)  # the proxies whose metrics are off
    reports: TrafficReports = field(init=False)

    def __post_init__(self) -> None:
        window = TrafficWindow(began=BEGAN)
        self.reports = TrafficReports(
            window, lambda: self.clock[0], lambda proxy: proxy.name not in self.silent
        )

    def connect(self, *proxies: Proxy) -> None:
        for each in proxies:
            self.reports.come(each)

    def caller(self, name: str, account: str = "default") -> Workload:
        return workload(self.authority, "default", account, proxy=name)

    async def report(self, who: Workload, *counted: Counted, **fields: Any) -> None:
        fields = {"number": next(self.numbers), "seconds": 2.0} | fields
        await self.send(who, msgspec.msgpack.encode(TrafficReport(counted=counted, **fields)))

    async def send(self, who: Workload, *bodies: bytes) -> None:
        options = call_options()
        async with grpc.aio.secure_channel(self.address, who.credentials(), options) as channel:
            await channel.stream_unary(METHOD)(iter(bodies), timeout=10)

    def requests(self) -> dict[Edge, int]:
        found = self.reports.window.sums(int(BEGAN // FINE_SECONDS))
        return {edge: counts.get(REQUESTS, 0) for edge, counts in found}

    def requests_in_all(self) -> int:
        return sum(self.requests().values())

    async def has(self, requests: int) -> None:
        while self.requests_in_all() != requests:  # noqa: ASYNC110  # it is told to nobody
            await asyncio.sleep(0.01)

    def durations(self) -> dict[int, int]:
        """Of the only edge."""
        found = self.reports.window.sums(int(BEGAN // FINE_SECONDS))
        return next((durations(counts) for _, counts in found), {})


@asynccontextmanager
async def world(folder: Path) -> AsyncIterator[World]:
    authority = load_or_create(folder / "ca", "cluster.local", now=datetime.now(UTC))
    made = World(authority, f"unix:{folder}/xds.sock")
    certificate = ServingCertificate(lambda: authority, "cluster.local")
    async with serving(made.address, made.reports.methods(), certificate.mutual):
        yield made


def test_who_reports_is_told_by_the_certificate(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with world(tmp_path) as mesh:
            mesh.connect(proxy("reviews-v1-0", "reviews-v1"), proxy("other-0", "other-v1"))
            await mesh.report(mesh.caller("reviews-v1-0"), Counted(tag=SERVED, requests={200: 7}))
            ((edge, count),) = mesh.requests().items()
            assert count == 7
            assert (edge.destination, edge.destination_version) == ("reviews-v1", "v1")
            assert [each.proxy.name for each in mesh.reports.reporters] == ["reviews-v1-0"]

    asyncio.run(scenario())


def test_a_proxy_that_is_not_connected_reports_later(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with world(tmp_path) as mesh:
            with pytest.raises(grpc.aio.AioRpcError) as refusal:
                await mesh.report(
                    mesh.caller("reviews-v1-0"), Counted(tag=SERVED, requests={200: 7})
                )
            assert refusal.value.code() is grpc.StatusCode.UNAVAILABLE
            assert mesh.requests() == {}

    asyncio.run(scenario())


def test_a_proxy_is_known_as_long_as_one_of_its_streams_is_there(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with world(tmp_path) as mesh:
            reviews = proxy("reviews-v1-0", "reviews-v1")
            mesh.connect(reviews, reviews)
            mesh.reports.gone(reviews)
            await mesh.report(mesh.caller("reviews-v1-0"), Counted(tag=SERVED, requests={200: 7}))
            mesh.reports.gone(reviews)
            with pytest.raises(grpc.aio.AioRpcError, match="not connected"):
                await mesh.report(
                    mesh.caller("reviews-v1-0"), Counted(tag=SERVED, requests={200: 7})
                )

    asyncio.run(scenario())


def test_a_certificate_that_names_no_proxy_reports_nothing(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with world(tmp_path) as mesh:
            mesh.connect(proxy("reviews-v1-0", "reviews-v1"))
            with pytest.raises(grpc.aio.AioRpcError) as refusal:
                await mesh.report(mesh.caller(""), Counted(tag=SERVED, requests={200: 7}))
            assert refusal.value.code() is grpc.StatusCode.UNAUTHENTICATED

    asyncio.run(scenario())


@pytest.mark.parametrize(
    "message",
    [
        None,
        [],
        {"seconds": 1, "number": 1, "counted": [{"tag": SERVED, "requests": {200: -1}}]},
        {"seconds": 1, "number": 1, "counted": [{"tag": SERVED, "requests": {2000: 1}}]},
        {"seconds": 1, "number": 1, "counted": [{"tag": SERVED, "durations": b"?"}]},
        {
            "seconds": 1,
            "number": 1,
            "counted": [{"tag": SERVED, "durations": b"\x81\xcd\x40\x00\x01"}],
        },
        {"seconds": 1, "number": 1, "denied": 999999999999999999},
        {"seconds": nan, "number": 1},
        {"seconds": 1, "ago": -1, "number": 1},
        {"seconds": 1, "number": 1, "facts": {"certificateEnds": inf}},
    ],
)
def test_what_is_no_report_is_refused(tmp_path: Path, message: object) -> None:
    async def scenario() -> None:
        async with world(tmp_path) as mesh:
            mesh.connect(proxy("reviews-v1-0", "reviews-v1"))
            with pytest.raises(grpc.aio.AioRpcError) as refusal:
                await mesh.send(mesh.caller("reviews-v1-0"), msgspec.msgpack.encode(message))
            assert refusal.value.code() is grpc.StatusCode.INVALID_ARGUMENT
            assert mesh.requests() == {}

    asyncio.run(scenario())


def test_reports_are_taken_while_the_call_goes_on_until_one_is_nonsense(tmp_path: Path) -> None:
    def report(number: int) -> bytes:
        served = Counted(tag=SERVED, requests={200: 1})
        return msgspec.msgpack.encode(TrafficReport(number=number, seconds=1.0, counted=(served,)))

    async def scenario() -> None:
        async with world(tmp_path) as mesh:
            mesh.connect(proxy("reviews-v1-0", "reviews-v1"))
            credentials = mesh.caller("reviews-v1-0").credentials()
            async with grpc.aio.secure_channel(
                mesh.address, credentials, call_options()
            ) as channel:
                call = channel.stream_unary(METHOD)()
                for most in (1, 200):
                    for number in range(1, most + 1):
                        await call.write(report(number))
                    await asyncio.wait_for(mesh.has(most), 20)
                await call.write(b"nonsense")
                assert await call.code() is grpc.StatusCode.INVALID_ARGUMENT
            assert mesh.requests_in_all() == 200

    asyncio.run(scenario())


def test_what_is_told_again_counts_once_and_another_agent_begins_anew(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with world(tmp_path) as mesh:
            mesh.connect(proxy("reviews-v1-0", "reviews-v1"))
            reviews, served = mesh.caller("reviews-v1-0"), Counted(tag=SERVED, requests={200: 7})
            for agent, number in ((1, 1), (1, 2), (1, 1), (1, 2), (2, 1), (2, 1)):
                await mesh.report(reviews, served, agent=agent, number=number)
            assert list(mesh.requests().values()) == [21]

    asyncio.run(scenario())


def test_what_ended_before_the_control_plane_began_is_of_the_past(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with world(tmp_path) as mesh:
            mesh.clock[0] = BEGAN + 1
            mesh.connect(proxy("reviews-v1-0", "reviews-v1"))
            reviews, served = mesh.caller("reviews-v1-0"), Counted(tag=SERVED, requests={200: 7})
            await mesh.report(reviews, served, ago=1.5)
            assert mesh.requests() == {}
            await mesh.report(reviews, served, ago=0.5)
            assert list(mesh.requests().values()) == [7]

    asyncio.run(scenario())


def test_of_what_both_sides_report_the_destinations_count_is_taken(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with world(tmp_path) as mesh:
            mesh.connect(
                proxy("reviews-v1-0", "reviews-v1"),
                proxy("productpage-v1-0", "productpage-v1"),
            )
            await mesh.report(mesh.caller("reviews-v1-0"), Counted(tag=SERVED, requests={200: 7}))
            await mesh.report(
                mesh.caller("productpage-v1-0"), Counted(tag=CALLED, requests={200: 7})
            )
            assert list(mesh.requests().values()) == [7]
            # Once that side says no more, its clients do.
            mesh.clock[0] += 120
            await mesh.report(
                mesh.caller("productpage-v1-0"), Counted(tag=CALLED, requests={200: 5})
            )
            found = {edge.reporter: count for edge, count in mesh.requests().items()}
            assert found == {"destination": 7, "source": 5}

    asyncio.run(scenario())


def test_how_long_calls_took_is_what_their_caller_says(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with world(tmp_path) as mesh:
            mesh.connect(
                proxy("reviews-v1-0", "reviews-v1"),
                proxy("productpage-v1-0", "productpage-v1"),
            )
            served = Counted(tag=SERVED, requests={200: 3}, durations=durations_of({10: 3}))
            called = Counted(tag=CALLED, requests={200: 3}, durations=durations_of({30: 3}))
            # Nobody knows yet that the caller says it.
            await mesh.report(mesh.caller("productpage-v1-0"), called)
            assert mesh.durations() == {}
            await mesh.report(mesh.caller("reviews-v1-0"), served)
            assert mesh.durations() == {10: 3}
            await mesh.report(mesh.caller("productpage-v1-0"), called)
            await mesh.report(mesh.caller("reviews-v1-0"), served)
            assert mesh.durations() == {10: 3, 30: 3}
            assert list(mesh.requests().values()) == [6]
            # It has ceased to: a Telemetry has told it to.
            mesh.clock[0] += 61
            await mesh.report(mesh.caller("reviews-v1-0"), served)
            assert mesh.durations() == {10: 6, 30: 3}

    asyncio.run(scenario())


def test_a_sidecar_that_has_connected_is_going_to_count(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with world(tmp_path) as mesh:
            mesh.connect(proxy("productpage-v1-0", "productpage-v1"))
            await mesh.report(mesh.caller("productpage-v1-0"))
            mesh.connect(proxy("reviews-v1-0", "reviews-v1"))
            await mesh.report(
                mesh.caller("productpage-v1-0"), Counted(tag=CALLED, requests={200: 5})
            )
            assert mesh.requests() == {}
            # Some never do, as they have no agent.
            mesh.clock[0] += 120
            await mesh.report(
                mesh.caller("productpage-v1-0"), Counted(tag=CALLED, requests={200: 5})
            )
            assert list(mesh.requests().values()) == [5]
            mesh.connect(proxy("reviews-v1-1", "reviews-v1"))
            await mesh.report(
                mesh.caller("productpage-v1-0"), Counted(tag=CALLED, requests={200: 9})
            )
            assert list(mesh.requests().values()) == [5]

    asyncio.run(scenario())


def test_what_arrives_where_metrics_are_off_is_counted_by_its_clients(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with world(tmp_path) as mesh:
            mesh.connect(
                proxy("reviews-v1-0", "reviews-v1"),
                proxy("productpage-v1-0", "productpage-v1"),
            )
            called = Counted(tag=CALLED, requests={200: 5}, durations=durations_of({30: 5}))
            await mesh.report(mesh.caller("productpage-v1-0"), called)
            assert mesh.requests() == {}
            mesh.silent.add("reviews-v1-0")
            await mesh.report(mesh.caller("productpage-v1-0"), called)
            assert {edge.reporter: n for edge, n in mesh.requests().items()} == {"source": 5}
            assert mesh.durations() == {30: 5}
            mesh.silent.clear()
            await mesh.report(mesh.caller("productpage-v1-0"), called)
            assert mesh.requests_in_all() == 5

    asyncio.run(scenario())


def test_what_a_gateway_serves_is_counted_by_its_clients(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with world(tmp_path) as mesh:
            mesh.connect(
                proxy("reviews-v1-0", "reviews-v1", ProxyType.ROUTER),
                proxy("productpage-v1-0", "productpage-v1"),
            )
            await mesh.report(mesh.caller("reviews-v1-0"))
            await mesh.report(
                mesh.caller("productpage-v1-0"), Counted(tag=CALLED, requests={200: 5})
            )
            assert [edge.reporter for edge in mesh.requests()] == ["source"]

    asyncio.run(scenario())


def test_those_who_wait_hear_of_reports_with_something_in_them(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with world(tmp_path) as mesh:
            mesh.connect(proxy("reviews-v1-0", "reviews-v1"))
            waiting = asyncio.ensure_future(mesh.reports.changed())
            await mesh.report(mesh.caller("reviews-v1-0"))
            assert not waiting.done()
            await mesh.report(mesh.caller("reviews-v1-0"), Counted(tag=SERVED, requests={200: 1}))
            await asyncio.wait_for(waiting, 10)

    asyncio.run(scenario())
