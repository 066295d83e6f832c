"""Requests are shown to whoever watches, told by proxies that are asked to only meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import grpc
import msgspec
import pytest
from google.protobuf.json_format import ParseDict

from clew._pb.envoy.data.accesslog.v3.accesslog_pb2 import HTTPAccessLogEntry
from clew._pb.envoy.service.accesslog.v3.als_pb2 import StreamAccessLogsMessage
from clew.api.runtime_settings import METHOD as SETTINGS
from clew.api.runtime_settings import RuntimeSettings as Wanted
from clew.api.tap import TapEvent
from clew.ca.authority import Authority
from clew.ca.keys import load_or_create
from clew.model.proxy import Proxy, ProxyType
from clew.model.tap import INBOUND, OUTBOUND, PEER_TAG
from clew.server import tap as tap_module
from clew.server.directory import Directory
from clew.server.explanations_api import ExplanationsApi
from clew.server.mtls import ServingCertificate, proxy_dns_name
from clew.server.publisher import Publisher
from clew.server.runtime_settings import RuntimeSettings
from clew.server.tap import METHOD, Tap, TapFilter
from clew.server.tap_entries import read_entry
from clew.xds.delta_stream import DeltaStream
from tests.server.serving import serving
from tests.server.workload import call_options, workload

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
CALL: dict[str, Any] = {
    "common_properties": {
        "start_time": "2026-03-01T12:00:00.123Z",
        "duration": "0.012s",
        "upstream_remote_address": {"socket_address": {"address": "10.0.0.2", "port_value": 9080}},
        "downstream_direct_remote_address": {
            "socket_address": {"address": "10.0.0.1", "port_value": 1}
        },
        "upstream_cluster": "outbound|9080||reviews.default.svc.cluster.local",
        "route_name": "default",
    },
    "protocol_version": "HTTP11",
    "request": {
        "request_method": "GET",
        "authority": "reviews:9080",
        "path": "/reviews/0",
        "request_headers": {"traceparent": f"00-{TRACE}-0000000000000001-01"},
    },
    "response": {"response_code": 200, "response_code_details": "via_upstream"},
}


def entry(**changes: Any) -> HTTPAccessLogEntry:
    """A call of productpage for reviews; ``changes``: of its parts."""
    parts = {name: {**CALL[name], **changes.pop(name, {})} for name in CALL if name[0] in "cr"}
    return ParseDict({**CALL, **parts, **changes}, HTTPAccessLogEntry())


def proxy(workload_name: str, ip: str) -> Proxy:
    return Proxy(
        type=ProxyType.SIDECAR,
        name=f"{workload_name}-0",
        namespace="default",
        ip=ip,
        labels=(("app", workload_name.partition("-")[0]),),
        metadata=(("WORKLOAD_NAME", workload_name),),
    )


PROXIES = (proxy("productpage-v1", "10.0.0.1"), proxy("reviews-v1", "10.0.0.2"))
WORKLOADS = {
    "10.0.0.1": "default/productpage-v1",
    "productpage-v1-0.default": "default/productpage-v1",
    "10.0.0.2": "default/reviews-v1",
}


def read(own: str, *, inbound: bool, **changes: Any) -> TapEvent | None:
    return read_entry(entry(**changes), own, lambda ip: WORKLOADS.get(ip, ""), inbound=inbound)


def test_a_call_is_told_by_the_callers_proxy() -> None:
    event = read("default/productpage-v1", inbound=False)
    assert event == TapEvent(
        at="2026-03-01T12:00:00.123Z",
        reporter="source",
        source="default/productpage-v1",
        destination="default/reviews-v1",
        method="GET",
        authority="reviews:9080",
        path="/reviews/0",
        protocol="HTTP/1.1",
        status=200,
        duration=12.0,
        details="via_upstream",
        route="default",
        cluster="outbound|9080||reviews.default.svc.cluster.local",
        upstream="10.0.0.2",
        trace=TRACE,
    )


def test_the_called_ones_proxy_tells_only_what_it_alone_knows() -> None:
    assert read("default/reviews-v1", inbound=True) is None
    denied = {"response_code": 403, "response_code_details": "rbac_access_denied"}
    refused = read("default/reviews-v1", inbound=True, response=denied)
    assert refused is not None
    assert (refused.source, refused.destination) == ("default/productpage-v1", "default/reviews-v1")
    certified = {
        "downstream_direct_remote_address": {},
        "custom_tags": {PEER_TAG: f"a,{proxy_dns_name('productpage-v1-0.default')}"},
    }
    assert read("default/reviews-v1", inbound=True, common_properties=certified) is None
    outside = {"downstream_direct_remote_address": {"socket_address": {"address": "192.0.2.1"}}}
    unknown = read("default/reviews-v1", inbound=True, common_properties=outside)
    assert unknown is not None
    assert (unknown.source, unknown.reporter) == ("", "destination")


@pytest.mark.parametrize(
    ("wanted", "is_shown"),
    [
        ({}, True),
        ({"caller": "productpage"}, True),
        ({"caller": "productpage-v1"}, True),
        ({"caller": "default/productpage-v1"}, True),
        ({"caller": "productpage-v1.default"}, True),
        ({"caller": "other/productpage-v1"}, False),
        ({"called": "reviews"}, True),
        ({"called": "reviews.default"}, True),
        ({"called": "default/reviews"}, False),
        ({"called": "ratings"}, False),
        ({"caller": "reviews"}, False),
        ({"path": "/reviews"}, True),
        ({"path": "/ratings"}, False),
        ({"status": "200"}, True),
        ({"status": "2xx"}, True),
        ({"status": "error"}, False),
        ({"min_duration": 12.0}, True),
        ({"min_duration": 12.1}, False),
    ],
)
def test_filters(wanted: dict[str, Any], is_shown: bool) -> None:
    apps = {"default/productpage-v1": "productpage", "default/reviews-v1": "reviews"}
    event = read("default/productpage-v1", inbound=False)
    assert event is not None
    assert TapFilter(**wanted).shows(event, apps) is is_shown


def test_what_the_called_ones_proxy_refused_is_found_by_the_whole_host() -> None:
    denied = {"response_code": 403, "response_code_details": "rbac_access_denied"}
    event = read("default/reviews-v1", inbound=True, response=denied)
    assert event is not None
    for host in ("reviews", "reviews.default", "reviews.default.svc.cluster.local"):
        assert TapFilter(called=host).shows(event, {}), host
    for host in ("review", "reviews.other", "reviews.default-2"):
        assert not TapFilter(called=host).shows(event, {}), host


def test_a_request_that_reached_nobody_is_found_by_its_host_and_as_an_error() -> None:
    flags = {"no_healthy_upstream": True}
    event = read(
        "default/productpage-v1",
        inbound=False,
        common_properties={"upstream_remote_address": {}, "response_flags": flags},
        response={"response_code": 503, "response_code_details": "no_healthy_upstream"},
    )
    assert event is not None
    assert event.flags == ("UH",)
    assert TapFilter(called="reviews", status="error").shows(event, {})
    assert not TapFilter(called="revie").shows(event, {})
    assert TapFilter(status="5xx").shows(event, {})
    assert not TapFilter(called="ratings").shows(event, {})


@pytest.mark.parametrize(
    ("wanted", "asked"),
    [
        ({}, [True, True]),
        ({"called": "reviews"}, [True, True]),
        ({"caller": "reviews"}, [False, True]),
        ({"caller": "productpage", "called": "reviews-v1"}, [True, True]),
        ({"caller": "productpage"}, [True, False]),
    ],
)
def test_only_those_who_may_know_something_are_asked(
    wanted: dict[str, Any], asked: list[bool]
) -> None:
    assert [TapFilter(**wanted).concerns(each) for each in PROXIES] == asked


@dataclass
class World:
    authority: Authority
    address: str
    clock: list[float] = field(default_factory=lambda: [100.0])
    directory: Directory = field(default_factory=lambda: Directory(Publisher(), 0))

    def __post_init__(self) -> None:
        def now() -> float:
            return self.clock[0]

        settings = RuntimeSettings(self.directory.proxies, now)
        self.tap = Tap(settings, self.directory, ExplanationsApi(self.directory), now)
        for each in PROXIES:
            self.directory.connect(each, lambda published, changed: None, DeltaStream())

    @asynccontextmanager
    async def channel(self, name: str) -> AsyncIterator[grpc.aio.Channel]:
        who = workload(self.authority, "default", "default", proxy=name)
        async with grpc.aio.secure_channel(
            self.address, who.credentials(), call_options()
        ) as opened:
            yield opened


@asynccontextmanager
async def world(folder: Path) -> AsyncIterator[World]:
    authority = load_or_create(folder / "ca", "cluster.local", now=datetime.now(UTC))
    made = World(authority, f"unix:{folder}/xds.sock")
    certificate = ServingCertificate(lambda: authority, "cluster.local")
    async with (
        asyncio.timeout(20),
        serving(made.address, made.tap.methods(), certificate.mutual),
    ):
        yield made


def message(name: str, *entries: HTTPAccessLogEntry) -> bytes:
    found = StreamAccessLogsMessage()
    found.identifier.log_name = name
    found.http_logs.log_entry.extend(entries)
    return found.SerializeToString()


async def followed(call: Any) -> Wanted:
    return msgspec.json.decode(await call.read(), type=Wanted)


def test_proxies_tell_while_somebody_watches_and_no_longer(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with world(tmp_path) as mesh, mesh.channel("productpage-v1-0") as channel:
            settings = channel.unary_stream(SETTINGS)(b"")
            log = channel.stream_unary(METHOD)()
            # Nobody watches: what is told is dropped.
            await log.write(message(OUTBOUND, entry()))
            async with aclosing(mesh.tap.watch(TapFilter(caller="productpage"), 60.0)) as events:
                first = asyncio.ensure_future(anext(events))
                assert (await followed(settings)).tap_seconds == pytest.approx(60.0)
                await log.write(message("", entry(request={"path": "/seen"})))
                assert (await first).path.endswith("/seen")
            assert (await followed(settings)).tap_seconds == 0.0
            assert not mesh.tap.watched

    asyncio.run(scenario())


def test_a_watch_ends_when_its_time_is_up(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with world(tmp_path) as mesh:
            assert [each async for each in mesh.tap.watch(TapFilter(), 0.01)] == []

    asyncio.run(scenario())


def test_who_is_too_slow_hears_how_much_was_missed(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with world(tmp_path) as mesh:
            logs = StreamAccessLogsMessage()
            logs.http_logs.log_entry.extend([entry()] * 1_005)
            async with aclosing(mesh.tap.watch(TapFilter(), 60.0)) as events:
                first = asyncio.ensure_future(anext(events))
                while not mesh.tap.watched:  # noqa: ASYNC110  # it begins at its first step
                    await asyncio.sleep(0)
                mesh.tap.take("productpage-v1-0.default", logs, inbound=False)
                assert (await first).missed == 5
                assert (await anext(events)).missed == 0

    asyncio.run(scenario())


def test_what_is_too_much_at_once_is_not_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tap_module, "MOST_AT_ONCE", 2)

    async def scenario() -> None:
        async with world(tmp_path) as mesh:
            logs = StreamAccessLogsMessage()
            logs.http_logs.log_entry.extend([entry()] * 3)
            async with aclosing(mesh.tap.watch(TapFilter(), 60.0)) as events:
                first = asyncio.ensure_future(anext(events))
                while not mesh.tap.watched:  # noqa: ASYNC110  # it begins at its first step
                    await asyncio.sleep(0)
                mesh.tap.take("productpage-v1-0.default", logs, inbound=False)
                assert (await first).missed == 1
                assert (await anext(events)).missed == 0
                mesh.clock[0] += 2
                mesh.tap.take("productpage-v1-0.default", logs, inbound=False)
                assert (await anext(events)).missed == 1

    asyncio.run(scenario())


def test_levels_of_logs_hold_for_the_chosen_proxies_and_their_time(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with world(tmp_path) as mesh, mesh.channel("reviews-v1-0") as channel:
            early = channel.unary_stream(SETTINGS)(b"")
            mesh.tap.settings.log([PROXIES[0]], {"http": "debug"}, 60.0)
            mesh.tap.settings.log([PROXIES[1]], {"router": "trace"}, 600.0)
            assert await followed(early) == Wanted(log_levels={"router": "trace"}, log_seconds=600)
            mesh.clock[0] += 400
            late = channel.unary_stream(SETTINGS)(b"")
            assert (await followed(late)).log_seconds == pytest.approx(200)
            mesh.tap.settings.log([PROXIES[1]], {}, 600.0)
            assert await followed(early) == await followed(late) == Wanted()

    asyncio.run(scenario())


@pytest.mark.parametrize("body", [b"\xff\xff", message("other"), message(INBOUND)])
def test_what_is_no_log_of_ours_is_refused(tmp_path: Path, body: bytes) -> None:
    async def scenario() -> None:
        async with world(tmp_path) as mesh, mesh.channel("reviews-v1-0") as channel:
            log = channel.stream_unary(METHOD)()
            await log.write(body)
            await log.done_writing()
            good = body == message(INBOUND)
            assert await log.code() is (
                grpc.StatusCode.OK if good else grpc.StatusCode.INVALID_ARGUMENT
            )

    asyncio.run(scenario())
