"""What only a real Envoy can tell: that it takes what the streams send, and when it waits."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path

import httpx2
import pytest

from clew.model.xds import CLUSTER, ENDPOINTS, LISTENER, ROUTE, EnvoyResource, Published
from tests.envoy.program import backend
from tests.envoy.rig import by_name, cluster, endpoints, envoy_rig, free_port, listener, routes

DELTA, SOTW = "DELTA_GRPC", "GRPC"
both_protocols = pytest.mark.parametrize("api_type", [DELTA, SOTW])


def two_versions(
    port: int, one: int, two: int, route: EnvoyResource, connect_timeout: str = "1s"
) -> Published:
    return {
        CLUSTER: by_name(cluster("v1", connect_timeout), cluster("v2", connect_timeout)),
        ENDPOINTS: by_name(endpoints("v1", one), endpoints("v2", two)),
        LISTENER: by_name(listener(port, "80")),
        ROUTE: by_name(route),
    }


async def answers(port: int, count: int) -> Counter[str]:
    """What so many requests hear; anything but 200 raises."""
    heard: Counter[str] = Counter()
    async with httpx2.AsyncClient() as client:
        for _ in range(count):
            response = await client.get(f"http://127.0.0.1:{port}/")
            response.raise_for_status()
            heard[response.text] += 1
    return heard


@both_protocols
def test_weights_shift_under_load_without_a_failed_request(tmp_path: Path, api_type: str) -> None:
    async def scenario() -> None:
        port = free_port()
        async with backend("one") as one, backend("two") as two:
            before = two_versions(port, one, two, routes("80", v1=95, v2=5))
            after = two_versions(port, one, two, routes("80", v1=50, v2=50))
            async with envoy_rig(tmp_path, before, api_type) as envoy:
                directory = envoy.directory
                await directory.acked(ROUTE, "80", before[ROUTE]["80"].version)
                heard = await answers(port, 400)
                assert 2 <= heard["two"] <= 45
                load = asyncio.create_task(answers(port, 600))
                directory.publish(after)
                await directory.acked(ROUTE, "80", after[ROUTE]["80"].version)
                heard = await answers(port, 400)
                assert 150 <= heard["two"] <= 250
                assert (await load).total() == 600

    asyncio.run(scenario())


@both_protocols
def test_a_refused_resource_is_named_and_the_old_one_keeps_serving(
    tmp_path: Path, api_type: str
) -> None:
    async def scenario() -> None:
        port = free_port()
        async with backend("one") as one:
            good = two_versions(port, one, one, routes("80", v1=1))
            async with envoy_rig(tmp_path, good, api_type) as envoy:
                directory = envoy.directory
                await directory.acked(ROUTE, "80", good[ROUTE]["80"].version)

                bad = cluster("v1", type="EDS", load_assignment={"cluster_name": "v1"})
                new = cluster("v3", type="STATIC", load_assignment={"cluster_name": "v3"})
                clusters = by_name(bad, cluster("v2"), new)
                directory.publish({**good, CLUSTER: clusters})
                nacked = await directory.nacked(CLUSTER)
                assert nacked.versions == {"v1": bad.version}
                assert await answers(port, 5) == {"one": 5}
                assert await envoy.stat("cluster.v3.membership_total") == 0, "v3 was taken"

                broken = routes("80", domains=("*", "*"), v1=1)
                directory.publish({**good, ROUTE: by_name(broken)})
                nacked = await directory.nacked(ROUTE)
                assert nacked.versions == {"80": broken.version}
                assert "wildcard domain" in nacked.detail
                assert await answers(port, 5) == {"one": 5}

    asyncio.run(scenario())


@both_protocols
def test_an_updated_cluster_does_not_wait_for_endpoints_for_ever(
    tmp_path: Path, api_type: str
) -> None:
    """Envoy warms it anew, and would hold back its ACK until endpoints come."""

    async def scenario() -> None:
        port = free_port()
        async with backend("one") as one:
            before = two_versions(port, one, one, routes("80", v1=1))
            after = two_versions(port, one, one, routes("80", v1=1), connect_timeout="2s")
            async with envoy_rig(tmp_path, before, api_type) as envoy:
                directory = envoy.directory
                await directory.acked(ROUTE, "80", before[ROUTE]["80"].version)
                directory.publish(after)
                await directory.acked(CLUSTER, "v1", after[CLUSTER]["v1"].version)
                assert await envoy.stat("cluster_manager.warming_clusters") == 0
                assert await answers(port, 5) == {"one": 5}

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("api_type", "repeated"),
    [(DELTA, set()), (SOTW, {"ClusterLoadAssignment", "RouteConfiguration"})],
)
def test_after_a_restart_of_the_control_plane_nothing_that_envoy_has_is_sent_again(
    tmp_path: Path, api_type: str, repeated: set[str], caplog: pytest.LogCaptureFixture
) -> None:
    """Except what state of the world has by name, where the version does not say enough."""

    async def scenario() -> None:
        port = free_port()
        async with backend("one") as one:
            published = two_versions(port, one, one, routes("80", v1=1))
            async with envoy_rig(tmp_path, published, api_type) as envoy:
                directory = envoy.directory
                await directory.acked(ROUTE, "80", published[ROUTE]["80"].version)
                await envoy.stop_control_plane()
                assert await answers(port, 5) == {"one": 5}

                directory.verdicts.clear()
                caplog.clear()
                caplog.set_level("DEBUG", logger="clew.ads")
                await envoy.start_control_plane()
                await directory.until(lambda: bool(directory.connected))
                # The answer to a real change comes after whatever else was sent.
                after = {**published, LISTENER: by_name(listener(free_port(), "80"))}
                directory.publish(after)
                (new,) = after[LISTENER].values()
                await directory.acked(LISTENER, new.name, new.version)
                sent = [m for m in caplog.messages if m.startswith("push")]
                types = [m.split(" type=")[1].split()[0] for m in sent if " resources=0 " not in m]
                assert set(types) - {"Listener"} <= repeated
                assert types.count("Listener") == 1

    asyncio.run(scenario())


def test_clusters_are_made_before_and_removed_after_the_routes_that_use_them(
    tmp_path: Path,
) -> None:
    async def scenario() -> None:
        port = free_port()
        async with backend("one") as one, backend("two") as two:
            both = two_versions(port, one, two, routes("80", v1=1))
            first = {**both, CLUSTER: by_name(cluster("v1"))}
            second = {
                CLUSTER: by_name(cluster("v2")),
                ENDPOINTS: by_name(endpoints("v2", two)),
                LISTENER: both[LISTENER],
                ROUTE: by_name(routes("80", v2=1)),
            }
            async with envoy_rig(tmp_path, first) as envoy:
                directory = envoy.directory
                await directory.acked(ROUTE, "80", first[ROUTE]["80"].version)
                for published, name in ((second, "v1"), (first, "v2"), (second, "v1")):
                    load = asyncio.create_task(answers(port, 300))
                    directory.verdicts.clear()
                    directory.publish(published)
                    await directory.acked(CLUSTER, name, None)
                    assert (await load).total() == 300

    asyncio.run(scenario())
