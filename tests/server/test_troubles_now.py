"""What proxies report to be wrong is told at once to whoever watches, and goes when it is over."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from clew.api.async_client import AsyncClient
from clew.api.traffic_report import Counted, TrafficReport
from clew.api.views import Overview
from clew.server.traffic_reports import TrafficReports
from tests.server.api_server import with_server
from tests.server.shop import SHOP
from tests.server.test_events import event, listening
from tests.server.test_traffic_reports import HOST, PRODUCTPAGE, SPIFFE, proxy
from tests.server.test_views import ask

FAILED = f"destination~{PRODUCTPAGE}~{HOST};reviews;default~500~-~~{SPIFFE}/web"
LOST = f"source~-~outbound|9080||{HOST};~503~UH~~"
EJECTING = SHOP.replace("{loadBalancer: {simple: RANDOM}}", "{outlierDetection: {interval: 1s}}")

CLOSED = """
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: closed, namespace: default}
"""


@dataclass
class Reporting:
    """What takes reports, and the event loop that it is in."""

    reports: list[TrafficReports] = field(default_factory=list)

    def take(self, name: str, **fields: Any) -> None:
        (reports,) = self.reports
        reports.come(proxy(name, name))
        reporter = reports.meet(f"{name}.default", f"{SPIFFE}/{name}")
        reports.take(reporter, TrafficReport(seconds=1.0, **fields), reports.now())


def served(scenario: Callable[[Reporting, AsyncClient, Path], object]) -> None:
    world = Reporting()

    async def run(client: AsyncClient, socket: Path) -> None:
        await client.apply(SHOP)
        await scenario(world, client, socket)  # type: ignore[misc]  # an async function

    asyncio.run(with_server(run, on_reports=world.reports.append))


def test_calls_that_fail_are_told_as_an_event_and_shown() -> None:
    async def scenario(world: Reporting, client: AsyncClient, socket: Path) -> None:
        async with listening(socket) as lines:
            await event(lines)
            world.take("reviews-v1", counted=(Counted(tag=FAILED, requests={500: 5}),))
            assert await event(lines) == ("troubles", {})
            (trouble,) = (await ask(socket, "/v1/overview", Overview)).troubles
            assert "reviews-v1.default answered all 5 requests" in trouble.problem
            # The same again is another number, and so is what never arrived.
            world.take("productpage-v1", counted=(Counted(tag=LOST, requests={503: 1}),))
            assert await event(lines) == ("troubles", {})
            assert len((await ask(socket, "/v1/overview", Overview)).troubles) == 2

    served(scenario)


def test_endpoints_that_proxies_leave_alone_lead_to_the_rule() -> None:
    async def scenario(world: Reporting, client: AsyncClient, socket: Path) -> None:
        await client.apply(EJECTING)
        async with listening(socket) as lines:
            await event(lines)
            world.take("productpage-v1", ejected={f"outbound|9080||{HOST}": 1})
            assert await event(lines) == ("troubles", {})
            (trouble,) = (await ask(socket, "/v1/overview", Overview)).troubles
            assert "productpage-v1.default leaves 1 endpoint of reviews" in trouble.problem
            assert trouble.object is not None
            assert (trouble.object.name, trouble.field) == (
                "reviews",
                "spec.trafficPolicy.outlierDetection",
            )
            world.take("productpage-v1")
            assert await event(lines) == ("troubles", {})
            assert (await ask(socket, "/v1/overview", Overview)).troubles == ()

    served(scenario)


def test_connections_that_policies_refuse_lead_to_the_policy() -> None:
    async def scenario(world: Reporting, client: AsyncClient, socket: Path) -> None:
        await client.apply(CLOSED)
        async with listening(socket) as lines:
            await event(lines)
            world.take("reviews-v1", denied_connections=2)
            assert await event(lines) == ("troubles", {})
            (trouble,) = (await ask(socket, "/v1/overview", Overview)).troubles
            assert trouble.problem == (
                "reviews-v1.default denied 2 connections: AuthorizationPolicy default/closed has "
                "no rules, so it allows nobody"
            )
            assert trouble.object is not None
            assert (trouble.object.name, trouble.field) == ("closed", "spec")

    served(scenario)
