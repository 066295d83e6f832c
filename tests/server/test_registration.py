"""Proxies that join WorkloadGroups: what their WorkloadEntries say from first to last."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from clew.model.base import ResourceKey
from clew.model.proxy import Proxy
from clew.model.service import NOWHERE, Locality
from clew.model.spiffe import Identity
from clew.model.workload_entry import DISCONNECTED_AT, WORKLOAD_CONTROLLER
from clew.server.registration import NoSuchGroup, RegistrationRefused
from tests.server.joined_group import (
    ENTRY,
    GRACE,
    GROUP,
    IDENTITY,
    Place,
    health,
    is_connected,
    is_disconnected,
    is_gone,
    proxy,
    run,
)


@pytest.mark.proves(
    "WorkloadGroupSpec.metadata",
    "WorkloadGroupSpec.template",
    "GroupMetadata.labels",
    "GroupMetadata.annotations",
)
def test_a_proxy_that_joins_gets_an_entry_from_the_groups_template() -> None:
    async def scenario(place: Place) -> None:
        async with place.control_plane() as registration:
            await registration.connect(proxy(), IDENTITY)
            found = await place.entry()
            assert found is not None
            assert found["spec"] == {
                "address": "10.0.0.7",
                "ports": {"http": 9080},
                "labels": {
                    "app": "reviews",
                    "tier": "group",
                    "zone": "template",
                    "version": "v1",
                },
                "network": "lan",
                "locality": "r1/z1",
                "weight": 3,
                "serviceAccount": "reviews",
            }
            assert found["metadata"]["labels"] == found["spec"]["labels"]
            annotations = found["metadata"]["annotations"]
            assert annotations["note"] == "from the group"
            assert annotations["istio.io/autoRegistrationGroup"] == "vm"
            assert annotations["istio.io/workloadController"] == "clew"
            assert annotations["istio.io/connectedAt"].startswith("2026-03-01T12:00:00.0")
            assert annotations["proxy.istio.io/health-checks-enabled"] == "true"
            [owner] = found["metadata"]["ownerReferences"]
            assert (owner["kind"], owner["name"], owner["controller"]) == (
                "WorkloadGroup",
                "vm",
                True,
            )
            assert owner["uid"]

    run(scenario)


def test_what_the_proxy_knows_comes_before_the_template() -> None:
    async def scenario(place: Place) -> None:
        async with place.control_plane() as registration:
            knows = proxy(
                labels=(("istio-locality", "r2.z2"), ("tier", "proxy")),
                network="wan",
                locality=Locality("r2", "z2", ""),
                ip="fd00::7",
                health_checked=False,
            )
            await registration.connect(knows, IDENTITY)
            found = await place.entry(ENTRY._replace(name="vm-fd00--7-wan"))
            assert found is not None
            assert found["spec"]["labels"] == {
                "app": "reviews",
                "tier": "proxy",
                "zone": "template",
            }
            assert found["spec"]["network"] == "wan"
            assert found["spec"]["locality"] == "r2/z2"
            assert "proxy.istio.io/health-checks-enabled" not in found["metadata"]["annotations"]

    run(scenario)


@pytest.mark.parametrize(
    "identity",
    [
        None,
        Identity("cluster.local", "default", "somebody-else"),
        Identity("cluster.local", "elsewhere", "reviews"),
    ],
)
@pytest.mark.proves("WorkloadEntrySpec.serviceAccount")
def test_only_the_identity_of_the_group_may_join(identity: Identity | None) -> None:
    async def scenario(place: Place) -> None:
        async with place.control_plane() as registration:
            with pytest.raises(RegistrationRefused):
                await registration.connect(proxy(), identity)
            assert await place.entry() is None
            rightful = await registration.connect(proxy(), IDENTITY)
            with pytest.raises(RegistrationRefused):
                await registration.connect(proxy(), identity)
            before = await place.entry()
            assert rightful is not None
            registration.report_health(rightful, None)
            await place.until(lambda entry: health(entry).get("status") == "True")
            assert is_connected(before)
            assert is_connected(await place.entry())

    run(scenario)


def test_a_group_is_only_found_in_the_proxys_own_namespace() -> None:
    async def scenario(place: Place) -> None:
        async with place.control_plane() as registration:
            identity = Identity("cluster.local", "elsewhere", "reviews")
            with pytest.raises(NoSuchGroup, match="WorkloadGroup elsewhere/vm"):
                await registration.connect(proxy(namespace="elsewhere"), identity)

    run(scenario)


def test_the_entry_goes_a_grace_period_after_the_last_stream() -> None:
    async def scenario(place: Place) -> None:
        async with place.control_plane() as registration:
            one = await registration.connect(proxy(), IDENTITY)
            two = await registration.connect(proxy(), IDENTITY)
            assert one is not None
            assert two is not None
            registration.disconnect(two)
            registration.report_health(one, None)  # written after whatever the end would write
            await place.until(lambda entry: bool(health(entry)))
            assert is_connected(await place.entry())
            registration.disconnect(one)
            await place.until(is_disconnected)
            assert not is_connected(await place.entry())
            await place.until(is_gone)

    run(scenario)


def test_a_proxy_that_comes_back_in_time_keeps_its_entry_and_its_health() -> None:
    async def scenario(place: Place) -> None:
        async with place.control_plane(grace=timedelta(seconds=0.3)) as registration:
            first = await registration.connect(proxy(), IDENTITY)
            assert first is not None
            registration.report_health(first, None)
            registration.disconnect(first)
            await place.until(is_disconnected)
            second = await registration.connect(proxy(), IDENTITY)
            assert second is not None
            assert DISCONNECTED_AT not in await place.annotations()
            await asyncio.sleep(0.4)  # the grace period of the first connection
            assert is_connected(await place.entry())
            assert health(await place.entry())["status"] == "True"

    run(scenario)


def test_a_proxy_that_has_moved_to_another_control_plane_is_not_forgotten_by_the_first() -> None:
    async def scenario(place: Place) -> None:
        async with place.control_plane("one") as one, place.control_plane("two") as two:
            first = await one.connect(proxy(), IDENTITY)
            assert first is not None
            await two.connect(proxy(), IDENTITY)
            assert (await place.annotations())[WORKLOAD_CONTROLLER] == "two"
            one.report_health(first, "an old report")
            one.disconnect(first)
            await asyncio.sleep(3 * GRACE.total_seconds())
            assert is_connected(await place.entry())
            assert health(await place.entry()) == {}

    run(scenario)


def test_a_restarted_control_plane_forgets_only_proxies_that_do_not_come_back() -> None:
    async def scenario(place: Place) -> None:
        gone, back = proxy(), proxy(ip="10.0.0.8")
        async with place.control_plane() as registration:
            await registration.connect(gone, IDENTITY)
            await registration.connect(back, IDENTITY)
        assert is_connected(await place.entry())
        async with place.control_plane() as registration:
            await registration.connect(back, IDENTITY)
            await place.until(is_gone)
            assert is_connected(await place.entry(ENTRY._replace(name="vm-10.0.0.8")))

    run(scenario)


def test_a_restarted_control_plane_forgets_what_had_disconnected_before() -> None:
    async def scenario(place: Place) -> None:
        async with place.control_plane("one", grace=timedelta(hours=1)) as registration:
            stream = await registration.connect(proxy(), IDENTITY)
            assert stream is not None
            registration.disconnect(stream)
            await place.until(is_disconnected)
        async with place.control_plane("two"):
            await place.until(is_gone)

    run(scenario)


@pytest.mark.proves("WorkloadGroupSpec.probe")
def test_reports_become_the_condition_healthy() -> None:
    async def scenario(place: Place) -> None:
        async with place.control_plane() as registration:
            stream = await registration.connect(proxy(), IDENTITY)
            assert stream is not None
            assert health(await place.entry()) == {}
            registration.report_health(stream, None)
            await place.until(lambda entry: health(entry).get("status") == "True")
            since = health(await place.entry())["lastTransitionTime"]
            registration.report_health(stream, "connection refused")
            await place.until(lambda entry: health(entry).get("status") == "False")
            ill = health(await place.entry())
            assert ill["message"] == "connection refused"
            assert ill["lastTransitionTime"] > since

    run(scenario)


def test_reports_of_a_workload_without_health_checks_are_not_kept() -> None:
    async def scenario(place: Place) -> None:
        async with place.control_plane() as registration:
            stream = await registration.connect(proxy(health_checked=False), IDENTITY)
            assert stream is not None
            registration.report_health(stream, "ill")
            registration.disconnect(stream)
            await place.until(is_disconnected)
            assert health(await place.entry()) == {}

    run(scenario)


def test_an_entry_that_a_user_wrote_is_kept_and_only_its_health_forgotten() -> None:
    async def scenario(place: Place) -> None:
        key = ENTRY._replace(name="mine")
        await place.apply(
            {
                "apiVersion": "networking.istio.io/v1",
                "kind": "WorkloadEntry",
                "metadata": {
                    "name": "mine",
                    "namespace": "default",
                    "annotations": {"proxy.istio.io/health-checks-enabled": "true"},
                },
                "spec": {"address": "10.0.0.7", "serviceAccount": "reviews"},
            }
        )
        async with place.control_plane() as registration:
            who = proxy(auto_register_group="", workload_entry="mine")
            with pytest.raises(RegistrationRefused):
                await registration.connect(who, Identity("cluster.local", "default", "other"))
            stream = await registration.connect(who, IDENTITY)
            assert stream is not None
            registration.report_health(stream, None)
            await place.until(lambda entry: bool(health(entry)), key)
            registration.disconnect(stream)
            await place.until(lambda entry: not health(entry), key)
            assert await place.entry(key) is not None

    run(scenario)


def test_the_entries_of_a_deleted_group_go_and_come_back_with_it() -> None:
    async def scenario(place: Place) -> None:
        async with place.control_plane() as registration:
            await registration.connect(proxy(), IDENTITY)

            async def follow() -> None:
                async for changes in place.store.watch(await place.store.revision()):
                    registration.take(changes)

            following = asyncio.ensure_future(follow())
            await asyncio.sleep(0)
            key = ResourceKey("networking.istio.io", "WorkloadGroup", "default", "vm")
            await place.store.delete(key, author="test")
            await place.until(is_gone)
            await place.apply(GROUP)
            await place.until(is_connected)
            following.cancel()

    run(scenario)


def test_a_proxy_of_no_group_has_nothing_to_do_with_entries() -> None:
    async def scenario(place: Place) -> None:
        async with place.control_plane() as registration:
            assert await registration.connect(proxy(auto_register_group=""), IDENTITY) is None
            assert await place.entry() is None

    run(scenario)


@pytest.mark.proves("WorkloadGroupSpec.probe")
def test_a_node_says_which_group_it_joins_and_that_it_is_checked() -> None:
    metadata = {
        "AUTO_REGISTER_GROUP": "vm",
        "WORKLOAD_ENTRY": "mine",
        "PROXY_CONFIG": {"readinessProbe": {"tcpSocket": {"port": 80}}},
    }
    node = "sidecar~10.0.0.7~vm-0.default~default.svc.cluster.local"
    found = Proxy.from_node(node, metadata, NOWHERE)
    assert (found.auto_register_group, found.workload_entry) == ("vm", "mine")
    assert found.health_checked
    assert not Proxy.from_node(node, {}, NOWHERE).health_checked
