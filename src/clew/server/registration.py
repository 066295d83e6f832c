"""Registers the proxies that join WorkloadGroups, keeps their health, and forgets those that go.

Source: istio ``pilot/pkg/autoregistration``.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial

from clew.config.parse import parse_manifest
from clew.model.base import ResourceKey
from clew.model.proxy import Proxy
from clew.model.spiffe import Identity
from clew.model.workload_entry import AUTO_REGISTRATION_GROUP, WORKLOAD_CONTROLLER, WorkloadEntry
from clew.model.workload_group import WorkloadGroup
from clew.server.registered_entry import (
    Manifest,
    control_refusal,
    entry_name,
    entry_of_group,
    is_abandoned,
    is_auto_registered,
    is_connected_to,
    with_connection,
    with_health,
    without_connection,
    without_health,
)
from clew.stores.store import Change, Conflict, NotFound, ReadOnly, Store, Stored

log = logging.getLogger("clew.registration")

AUTHOR = "clew server"
# Source: istio PILOT_WORKLOAD_ENTRY_GRACE_PERIOD, and ten of them between two sweeps.
GRACE = timedelta(seconds=10)
_SWEEP_GRACES = 10
_GROUP = "networking.istio.io"
# Another writer's change between our read and our write is read and built upon again.
_ATTEMPTS = 10


class RegistrationRefused(Exception):
    """The proxy may not stand behind that entry; the message says why."""


class NoSuchGroup(Exception):
    """There is nothing to register the proxy by, yet."""


@dataclass(slots=True, eq=False)
class Registered:
    """One stream of a proxy behind a WorkloadEntry."""

    proxy: Proxy
    identity: Identity | None
    key: ResourceKey
    since: datetime


@dataclass(slots=True)
class Registration:
    """``controller`` names this control plane in the entries of the proxies connected to it.

    What streams report is queued and written in order; ``run`` writes it. Belongs to one event
    loop.
    """

    store: Store
    now: Callable[[], datetime]
    controller: str = "clew"
    grace: timedelta = GRACE
    _streams: dict[ResourceKey, set[Registered]] = field(default_factory=dict)
    _work: asyncio.Queue[Callable[[], Awaitable[None]]] = field(default_factory=asyncio.Queue)

    async def connect(self, proxy: Proxy, identity: Identity | None) -> Registered | None:
        """Let a proxy stand behind its entry, made if need be; None: it has nothing to do with one.

        Raises: RegistrationRefused, NoSuchGroup.
        """
        if not proxy.auto_register_group and not proxy.workload_entry:
            return None
        name = entry_name(proxy) if proxy.auto_register_group else proxy.workload_entry
        key = ResourceKey(_GROUP, "WorkloadEntry", proxy.namespace, name)
        stream = Registered(proxy, identity, key, self.now())
        if not proxy.auto_register_group and not await self._is_health_checked(key):
            return None
        self._streams.setdefault(key, set()).add(stream)
        try:
            await self._register(stream)
        except BaseException:
            self.disconnect(stream)
            raise
        return stream

    def disconnect(self, stream: Registered) -> None:
        """A stream has ended. The entry stays if the proxy has another, or comes back in time."""
        streams = self._streams.get(stream.key, set())
        streams.discard(stream)
        if not streams:
            self._streams.pop(stream.key, None)
            self._work.put_nowait(partial(self._disconnect, stream.key, self.now()))

    def report_health(self, stream: Registered, problem: str | None) -> None:
        """The agent beside the proxy says how its workload is; None: well."""
        self._work.put_nowait(partial(self._report, stream.key, problem, self.now()))

    def take(self, changes: Sequence[Change]) -> None:
        """Register by groups that have come, and forget the entries of those that have gone."""
        for change in changes:
            if (change.key.group, change.key.kind) == (_GROUP, "WorkloadGroup"):
                follow = self._forget_group if change.stored is None else self._register_late
                self._work.put_nowait(partial(follow, change.key))

    async def run(self) -> None:
        """Write what has been reported, and clean up, until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._sweep_for_ever())
            while True:
                work = await self._work.get()
                try:
                    await work()
                except (RegistrationRefused, NoSuchGroup, ReadOnly) as error:
                    log.warning("not registered reason=%s", error)
                except Exception:
                    # The bulkhead: one entry's trouble is not another's.
                    log.exception("not written, everything else goes on")

    async def _is_health_checked(self, key: ResourceKey) -> bool:
        stored = await self.store.get(key)
        if stored is None:
            raise NoSuchGroup(f"the proxy says that it is {key}, which does not exist")
        return _entry(stored).health_checked

    async def _register(self, stream: Registered) -> None:
        try:
            await self._update(stream.key, lambda stored: self._as_connected(stored, stream))
        except NotFound:
            await self._create(stream)
        except ReadOnly as error:
            raise RegistrationRefused(f"{stream.key} cannot be written: {error}") from None

    def _as_connected(self, stored: Stored, stream: Registered) -> Manifest | None:
        if refusal := control_refusal(stream.identity, _entry(stored)):
            raise RegistrationRefused(refusal)
        return with_connection(stored.manifest, self.controller, stream.since)

    async def _create(self, stream: Registered) -> None:
        proxy = stream.proxy
        key = ResourceKey(_GROUP, "WorkloadGroup", proxy.namespace, proxy.auto_register_group)
        found = await self.store.get(key)
        if found is None or not isinstance(found.resource, WorkloadGroup):
            raise NoSuchGroup(f"there is no {key} to register the proxy by: create it")
        manifest = with_connection(
            entry_of_group(proxy, found.resource), self.controller, stream.since
        )
        assert manifest is not None
        entry = _parsed(manifest)
        if refusal := control_refusal(stream.identity, entry):
            raise RegistrationRefused(refusal)
        try:
            await self.store.apply(entry, manifest, author=AUTHOR, expected_revision=0)
        except Conflict:  # the proxy's other stream was faster
            await self._register(stream)
        except ReadOnly as error:
            raise RegistrationRefused(f"{stream.key} cannot be made: {error}") from None
        else:
            log.info("registered entry=%s group=%s", stream.key, key)

    async def _disconnect(self, key: ResourceKey, at: datetime) -> None:
        def change(stored: Stored) -> Manifest | None:
            return without_connection(stored.manifest, self.controller, at)

        if key not in self._streams and await self._update_if_there(key, change):
            later, work = self.grace.total_seconds(), partial(self._clean_up, key)
            asyncio.get_running_loop().call_later(later, self._work.put_nowait, work)

    async def _report(self, key: ResourceKey, problem: str | None, at: datetime) -> None:
        def change(stored: Stored) -> Manifest | None:
            entry = _entry(stored)
            controls = entry.metadata.annotations.get(WORKLOAD_CONTROLLER) == self.controller
            if not controls or not entry.health_checked:
                return None
            return with_health(stored.manifest, problem, at)

        if await self._update_if_there(key, change):
            log.info("health entry=%s healthy=%s reason=%s", key, problem is None, problem or "")

    async def _register_late(self, group: ResourceKey) -> None:
        for streams in list(self._streams.values()):
            for stream in list(streams):
                proxy = stream.proxy
                if (proxy.namespace, proxy.auto_register_group) == (group.namespace, group.name):
                    await self._register(stream)

    async def _forget_group(self, group: ResourceKey) -> None:
        """Source: Kubernetes deletes what a deleted object owns."""
        for stored in await self._entries():
            owner = stored.resource.metadata.annotations.get(AUTO_REGISTRATION_GROUP)
            if (stored.key.namespace, owner) == (group.namespace, group.name):
                await self._delete(stored)

    async def _sweep_for_ever(self) -> None:
        """What an earlier run of the control plane left, and whatever else was missed."""
        await asyncio.sleep(self.grace.total_seconds())
        self._work.put_nowait(self._sweep)
        while True:
            await asyncio.sleep(self.grace.total_seconds() * _SWEEP_GRACES)
            self._work.put_nowait(self._sweep)

    async def _sweep(self) -> None:
        for stored in await self._entries():
            # It was connected to an earlier run and has not come back within the grace period.
            lost = stored.key not in self._streams and is_connected_to(
                _entry(stored), self.controller
            )
            if lost or is_abandoned(_entry(stored), self.now(), self.grace):
                await self._forget(stored)

    async def _clean_up(self, key: ResourceKey) -> None:
        stored = await self.store.get(key)
        if stored is not None and is_abandoned(_entry(stored), self.now(), self.grace):
            await self._forget(stored)

    async def _forget(self, stored: Stored) -> None:
        """Delete what was registered; of an entry that a user wrote, only what is known of it."""
        if is_auto_registered(_entry(stored)):
            await self._delete(stored)
        elif _entry(stored).health_checked:
            await self._update_if_there(stored.key, lambda found: without_health(found.manifest))

    async def _delete(self, stored: Stored) -> None:
        try:
            await self.store.delete(stored.key, author=AUTHOR, expected_revision=stored.revision)
            log.info("removed entry=%s", stored.key)
        except (Conflict, NotFound):
            return  # its proxy has come back, or somebody else deleted it

    async def _entries(self) -> list[Stored]:
        _, objects = await self.store.list()
        return [stored for stored in objects if isinstance(stored.resource, WorkloadEntry)]

    async def _update_if_there(
        self, key: ResourceKey, change: Callable[[Stored], Manifest | None]
    ) -> bool:
        try:
            return await self._update(key, change)
        except NotFound:
            return False

    async def _update(self, key: ResourceKey, change: Callable[[Stored], Manifest | None]) -> bool:
        """Write what ``change`` makes of the entry; None: nothing to write. Raises: NotFound."""
        for _ in range(_ATTEMPTS):
            stored = await self.store.get(key)
            if stored is None:
                raise NotFound(f"there is no {key}")
            manifest = change(stored)
            if manifest is None:
                return False
            try:
                await self.store.apply(
                    _parsed(manifest), manifest, author=AUTHOR, expected_revision=stored.revision
                )
                return True
            except Conflict:
                continue
        raise Conflict(f"{key} changes faster than it can be written")


def _entry(stored: Stored) -> WorkloadEntry:
    assert isinstance(stored.resource, WorkloadEntry)
    return stored.resource


def _parsed(manifest: Manifest) -> WorkloadEntry:
    resource = parse_manifest(manifest).resource
    assert isinstance(resource, WorkloadEntry)
    return resource
