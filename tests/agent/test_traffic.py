"""Reports of traffic: each count once, whatever becomes of reports."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import grpc
import msgspec

from clew.agent.traffic import TrafficReports
from clew.api.traffic_report import LONGEST_REPORT, METHOD, TrafficReport
from clew.ca.authority import pem
from clew.ca.keys import load_or_create
from clew.server.http2.call import UNAVAILABLE, Call, Method
from tests.agent.test_envoy_counts import histogram, page
from tests.server.serving import serving

METRIC = "istio_requests_and_sizes_milliseconds"


@dataclass
class ControlPlane:
    """Takes reports, or is away."""

    away: bool = False
    tried: int = 0
    ended: int = 0
    taken: list[TrafficReport] = field(default_factory=list)

    def methods(self) -> dict[str, Method]:
        return {METHOD: Method(lambda call: Reports(call, self), LONGEST_REPORT)}

    @property
    def requests(self) -> int:
        """Those of reports that were not taken before."""
        new = {report.number: report for report in self.taken}.values()
        return sum(sum(each.requests.values()) for report in new for each in report.counted)


@dataclass
class Reports:
    call: Call
    server: ControlPlane

    def message(self, body: bytes) -> None:
        self.server.tried += 1
        if self.server.away:
            self.call.finish(UNAVAILABLE, "away")
        else:
            self.server.taken.append(msgspec.msgpack.decode(body, type=TrafficReport))

    def ended(self) -> None:
        self.server.ended += 1
        self.call.send(b"")
        self.call.finish()

    def drained(self) -> None: ...

    def closed(self) -> None: ...


@asynccontextmanager
async def envoy(requests: Callable[[], int]) -> AsyncIterator[str]:
    """The admin page of an Envoy that has counted so many requests; yields its directory."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        number = requests()
        body = page(histograms=[histogram(METRIC, _5=number)] if number else [])
        if b"/server_info" in head:
            body = b'{"version": "abc/1.40.0/Clean/RELEASE/BoringSSL"}'
        writer.write(b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n" + body)
        writer.close()

    with tempfile.TemporaryDirectory(prefix="clew") as name:
        async with await asyncio.start_unix_server(answer, Path(name, "admin.sock")):
            yield name


def use_certificate(directory: Path, certificate: str) -> None:
    """Put it where Envoy reads it."""
    chain = {"certificate_chain": {"inline_string": certificate}}
    (directory / "sds").mkdir()
    file = msgspec.json.encode({"resources": [{"tls_certificate": chain}]})
    (directory / "sds" / "default.json").write_bytes(file)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110  # the other side is no event of ours
            await asyncio.sleep(0.005)


@asynccontextmanager
async def reporting(reports: TrafficReports, server: ControlPlane) -> AsyncIterator[None]:
    """Over a connection of its own."""
    with tempfile.TemporaryDirectory(prefix="clew") as name:
        address = f"unix:{name}/xds.sock"
        async with (
            serving(address, server.methods()),
            grpc.aio.insecure_channel(address) as channel,
        ):
            running = asyncio.ensure_future(reports.run(channel))
            try:
                yield
            finally:
                running.cancel()
                with suppress(asyncio.CancelledError):
                    await running


def test_what_could_not_be_told_is_told_on_the_next_call_and_over_the_next_connection() -> None:
    async def scenario() -> None:
        counted, server = [3], ControlPlane()
        async with envoy(lambda: counted[0]) as folder:
            reports = TrafficReports(folder, every_seconds=0.01)
            async with reporting(reports, server):
                await until(lambda: server.requests == 3)
                server.away = True
                counted[0] = 10
                tried = server.tried
                await until(lambda: server.tried > tried + 3)
                server.away = False
                await until(lambda: server.requests == 10)
                counted[0] = 11
                await until(lambda: server.requests == 11)
            async with reporting(reports, server):
                counted[0] = 12
                await until(lambda: server.requests >= 12)
        assert server.requests == 12

    asyncio.run(scenario())


def test_a_proxy_without_traffic_says_at_the_beginning_that_it_counts() -> None:
    async def scenario() -> None:
        server = ControlPlane()
        async with envoy(lambda: 0) as folder, reporting(TrafficReports(folder), server):
            await until(lambda: len(server.taken) == 1)
        assert server.taken[0].counted == ()

    asyncio.run(scenario())


def test_the_proxys_version_and_certificate_are_told(tmp_path: Path) -> None:
    authority = load_or_create(tmp_path, "cluster.local", now=datetime.now(UTC))

    async def scenario() -> None:
        server = ControlPlane()
        async with envoy(lambda: 0) as folder:
            use_certificate(Path(folder), pem(authority.root))
            async with reporting(TrafficReports(folder), server):
                await until(lambda: len(server.taken) == 1)
        facts = server.taken[0].facts
        assert facts is not None
        assert facts.version == "1.40.0"
        assert facts.certificate_begins == authority.root.not_valid_before_utc.timestamp()
        assert facts.certificate_ends == authority.root.not_valid_after_utc.timestamp()

    asyncio.run(scenario())


def test_the_last_that_was_counted_is_told_at_once() -> None:
    async def scenario() -> None:
        counted, server = [3], ControlPlane()
        async with envoy(lambda: counted[0]) as folder:
            reports = TrafficReports(folder, every_seconds=600)
            async with reporting(reports, server):
                await until(lambda: server.requests == 3)
                counted[0] = 5
                await asyncio.wait_for(reports.say_last(), 10)
                assert (server.requests, server.ended) == (5, 1)

    asyncio.run(scenario())
