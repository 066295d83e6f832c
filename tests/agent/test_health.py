"""What an agent says of its program's ends, and what the next one knows of them."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from clew.agent.child import how_it_ended
from clew.agent.conditions import Conditions, Ended
from clew.agent.health import run_reports
from clew.agent.spec import AgentSpec
from clew.api.async_client import AsyncClient
from clew.model.base import ResourceKey
from tests.server.api_server import with_server

POD = """
apiVersion: v1
kind: Pod
metadata: {name: reviews-v1-0, namespace: default}
spec: {containers: [{name: app}]}
status: {podIP: 10.0.0.1}
"""
KEY = ResourceKey("", "Pod", "default", "reviews-v1-0")
KILLED = Ended("was killed by SIGKILL", 137, "2026-03-01T12:00:00Z")


@pytest.mark.parametrize(
    ("code", "words"), [(137, "was killed by SIGKILL"), (3, "ended with exit code 3")]
)
def test_how_a_program_ended_is_said_in_words(code: int, words: str) -> None:
    assert how_it_ended(code) == words


def spec(socket: Path) -> AgentSpec:
    return AgentSpec(
        mesh="default",
        type="sidecar",
        name="reviews-v1-0",
        namespace="default",
        workload="reviews-v1",
        ip="10.0.0.1",
        directory="/",
        xds="",
        ca="",
        api=f"unix:{socket}",
    )


def test_the_end_of_a_program_is_told_and_outlives_the_agent() -> None:
    async def scenario(client: AsyncClient, socket: Path) -> None:
        await client.apply(POD)

        async def container() -> dict[str, Any]:
            status = (await client.get(KEY))["status"]
            found: dict[str, Any] = (status.get("containerStatuses") or [{}])[0]
            return found

        first = Conditions()
        reporting = asyncio.ensure_future(run_reports(spec(socket), first))
        await first.app_restarted(KILLED)
        async with asyncio.timeout(20):
            while (await container()).get("restartCount") != 1:  # noqa: ASYNC110  # the API's
                await asyncio.sleep(0.02)
        assert (await container())["lastState"] == {
            "terminated": {
                "exitCode": 137, "finishedAt": KILLED.at, "message": "was killed by SIGKILL"
            }
        }  # fmt: skip
        reporting.cancel()
        next_one = Conditions()
        reporting = asyncio.ensure_future(run_reports(spec(socket), next_one))
        async with asyncio.timeout(20):
            while next_one.ended is None:  # noqa: ASYNC110  # it has no event of that
                await asyncio.sleep(0.02)
        reporting.cancel()
        assert (next_one.ended, next_one.restarts) == (KILLED, 1)

    asyncio.run(with_server(scenario))
