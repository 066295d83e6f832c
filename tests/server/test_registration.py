"""Proxies that join WorkloadGroups: what their WorkloadEntries say from first to last."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest

from clew.config.parse import parse_manifest
from clew.model.base import ResourceKey
from clew.model.proxy import Proxy, ProxyType
from clew.model.service import NOWHERE, Locality
from clew.model.spiffe import Identity
from clew.model.workload_entry import CONNECTED_AT, DISCONNECTED_AT, WORKLOAD_CONTROLLER
from clew.server.registration import NoSuchGroup, Registration, RegistrationRefused
from tests.stores.memory import MemoryStore
from tests.stores.objects import NOON

GROUP: dict[str, Any] = {
    "apiVersion": "networking.istio.io/v1",
    "kind": "WorkloadGroup",
    "metadata": {"name": "vm", "namespace": "default"},
    "spec": {
        "metadata": {
            "labels": {"app": "reviews", "tier": "group"},
            "annotations": {"note": "from the group"},
        },
        "template": {
            "ports": {"http": 9080},
            "labels": {"tier": "template", "zone": "template"},
            "network": "lan",
            "locality": "r1/z1",
            "weight": 3,
            "serviceAccount": "reviews",
        },
        "probe": {"httpGet": {"port": 9080}},
    },
}
ENTRY = ResourceKey("networking.istio.io", "WorkloadEntry", "default", "vm-10.0.0.7")
IDENTITY = Identity("cluster.local", "default", "reviews")
GRACE = timedelta(seconds=0.05)


def proxy(**changes: Any) -> Proxy:
    fields: dict[str, Any] = {
        "type": ProxyType.SIDECAR,
        "name": "vm-0",
        "namespace": "default",
        "ip": "10.0.0.7",
        "auto_register_group": "vm",
        "health_checked": True,
        "labels": (("version", "v1"),),
    }
    return Proxy(**(fields | changes))


@dataclass
class Place:
    """A store, and control planes that share it."""

    store: MemoryStore = field(default_factory=lambda: MemoryStore(now=lambda: NOON))
    seconds: float = 0.0

    def now(self) -> Any:
        self.seconds += 0.001
        return NOON + timedelta(seconds=self.seconds)

    async def apply(self, manifest: dict[str, Any]) -> None:
        resource = parse_manifest(manifest).resource
        assert resource is not None
        await self.store.apply(resource, manifest, author="test")

    @asynccontextmanager
    async def control_plane(
        self, name: str = "clew", grace: timedelta = GRACE
    ) -> AsyncIterator[Registration]:
        registration = Registration(self.store, self.now, controller=name, grace=grace)
        running = asyncio.ensure_future(registration.run())
        try:
            yield registration
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)

    async def entry(self, key: ResourceKey = ENTRY) -> dict[str, Any] | None:
        stored = await self.store.get(key)
        return None if stored is None else dict(stored.manifest)

    async def annotations(self) -> dict[str, str]:
        manifest = await self.entry()
        assert manifest is not None
        return dict(manifest["metadata"]["annotations"])

    async def until(
        self, condition: Callable[[dict[str, Any] | None], bool], key: ResourceKey = ENTRY
    ) -> None:
        """Wait until the entry is so; time goes on meanwhile."""
        async with asyncio.timeout(10):
            while not condition(await self.entry(key)):
                self.seconds += 0.005
                await asyncio.sleep(0.005)


def run(scenario: Callable[[Place], Awaitable[None]]) -> None:
    async def with_group() -> None:
        place = Place()
        await place.apply(GROUP)
        await scenario(place)

    asyncio.run(with_group())


def is_connected(manifest: dict[str, Any] | None) -> bool:
    return manifest is not None and CONNECTED_AT in manifest["metadata"]["annotations"]


def is_disconnected(manifest: dict[str, Any] | None) -> bool:
    return manifest is not None and DISCONNECTED_AT in manifest["metadata"]["annotations"]


def is_gone(manifest: dict[str, Any] | None) -> bool:
    return manifest is None


def health(manifest: dict[str, Any] | None) -> dict[str, str]:
    conditions = ((manifest or {}).get("status") or {}).get("conditions", ())
    return next((dict(c) for c in conditions if c["type"] == "Healthy"), {})


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
