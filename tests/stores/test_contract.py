"""What every store that can be written promises."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from clew.model.base import ResourceKey
from clew.stores.revise import EPHEMERAL_HISTORY_LIMITS
from clew.stores.sqlite import SqliteStore
from clew.stores.store import Change, Conflict, Expired, NotFound, Store, Stored
from tests.stores.memory import MemoryStore
from tests.stores.objects import config_map, key, next_batch, noon, pod, put

Scenario = Callable[[Store], Awaitable[None]]


def with_memory(scenario: Scenario) -> None:
    asyncio.run(_await(scenario, MemoryStore(now=noon)))


def with_sqlite(scenario: Scenario) -> None:
    async def run() -> None:
        with tempfile.TemporaryDirectory() as directory:
            store = SqliteStore.open(Path(directory) / "objects.db", now=noon)
            try:
                await scenario(store)
            finally:
                await store.close()

    asyncio.run(run())


async def _await(scenario: Scenario, store: Store) -> None:
    await scenario(store)


@pytest.fixture(params=[with_memory, with_sqlite], ids=["memory", "sqlite"])
def run(request: pytest.FixtureRequest) -> Callable[[Scenario], None]:
    chosen: Callable[[Scenario], None] = request.param
    return chosen


Run = Callable[[Scenario], None]


def test_a_new_object_gets_uid_creation_time_generation_and_revision(run: Run) -> None:
    async def scenario(store: Store) -> None:
        stored = await put(store, config_map(a="1"))
        meta = stored.resource.metadata
        assert meta.uid
        assert (meta.creation_timestamp, meta.generation) == ("2026-03-01T12:00:00Z", 1)
        assert meta.resource_version == "1" == str(stored.revision)
        assert stored.manifest["metadata"]["uid"] == meta.uid
        assert await store.get(key()) == stored
        assert await store.list() == (1, [stored])

    run(scenario)


def test_an_update_keeps_uid_and_creation_time_and_bumps_the_generation(run: Run) -> None:
    async def scenario(store: Store) -> None:
        first = await put(store, config_map(a="1"))
        second = await put(store, config_map(a="2"))
        assert second.resource.metadata.uid == first.resource.metadata.uid
        assert second.resource.metadata.generation == 2
        assert second.revision == first.revision + 1

    run(scenario)


def test_labels_change_the_object_but_not_its_generation(run: Run) -> None:
    async def scenario(store: Store) -> None:
        await put(store, config_map(a="1"))
        labelled = config_map(a="1")
        labelled["metadata"]["labels"] = {"app": "x"}
        stored = await put(store, labelled)
        assert (stored.revision, stored.resource.metadata.generation) == (2, 1)

    run(scenario)


def test_an_apply_that_changes_nothing_writes_nothing(run: Run) -> None:
    async def scenario(store: Store) -> None:
        first = await put(store, config_map(a="1"))
        again = await put(store, config_map(a="1"))
        read_back = await put(store, dict(first.manifest))
        assert first.revision == again.revision == read_back.revision == await store.revision()
        assert len(await store.history(key())) == 1

    run(scenario)


def test_a_write_that_expects_another_revision_conflicts_and_changes_nothing(run: Run) -> None:
    async def scenario(store: Store) -> None:
        await put(store, config_map(a="1"), expected_revision=0)
        with pytest.raises(Conflict, match="exists already, at revision 1"):
            await put(store, config_map(a="2"), expected_revision=0)
        await put(store, config_map(a="2"), expected_revision=1)
        with pytest.raises(Conflict, match="at revision 2, and the write expects 1"):
            await put(store, config_map(a="3"), expected_revision=1)
        with pytest.raises(Conflict):
            await store.delete(key(), author="ada", expected_revision=1)
        with pytest.raises(Conflict, match="does not exist"):
            await put(store, config_map("other"), expected_revision=7)
        assert await store.revision() == 2

    run(scenario)


def test_of_many_writers_that_saw_the_same_revision_one_wins(run: Run) -> None:
    async def scenario(store: Store) -> None:
        await put(store, config_map(a="0"))
        writes = [put(store, config_map(a=str(n)), expected_revision=1) for n in range(1, 20)]
        results = await asyncio.gather(*writes, return_exceptions=True)
        assert [type(result) for result in results].count(Stored) == 1
        assert await store.revision() == 2

    run(scenario)


def test_a_deleted_object_is_gone_and_its_history_stays(run: Run) -> None:
    async def scenario(store: Store) -> None:
        await put(store, config_map(a="1"))
        assert await store.delete(key(), author="bob") == 2
        assert await store.get(key()) is None
        with pytest.raises(NotFound, match="there is no ConfigMap default/settings"):
            await store.delete(key(), author="bob")
        reborn = await put(store, config_map(a="2"))
        assert reborn.resource.metadata.generation == 1
        entries = await store.history(key())
        assert [(e.revision, e.author, e.action) for e in entries] == [
            (3, "ada", "create"),
            (2, "bob", "delete"),
            (1, "ada", "create"),
        ]
        assert entries[1].manifest is None
        assert entries[2].manifest is not None
        assert entries[2].manifest["data"] == {"a": "1"}
        assert {entry.at for entry in entries} == {"2026-03-01T12:00:00Z"}

    run(scenario)


def test_the_newest_changes_of_all_objects_come_with_what_was_before(run: Run) -> None:
    async def check(store: Store) -> None:
        await put(store, config_map(color="red"))
        await put(store, config_map("other"))
        await put(store, pod("web-1"))
        await put(store, config_map(color="blue"), author="bob")
        await store.delete(key("other"), author="ada")
        recent = await store.recent(3)
        assert [(each.key.name, each.entry.action) for each in recent] == [
            ("other", "delete"), ("settings", "update"), ("other", "create"),
        ]  # fmt: skip
        assert recent[1].entry.author == "bob"
        assert recent[1].before is not None
        assert recent[1].before["data"] == {"color": "red"}
        assert recent[2].before is None

    run(check)


def test_the_history_calls_a_rollback_by_its_name(run: Run) -> None:
    async def scenario(store: Store) -> None:
        await put(store, config_map(a="1"))
        await put(store, config_map(a="2"))
        await put(store, config_map(a="1"), action="rollback")
        actions = [entry.action for entry in await store.history(key())]
        assert actions == ["rollback", "update", "create"]

    run(scenario)


def test_status_reports_are_watched_but_are_no_history(run: Run) -> None:
    async def scenario(store: Store) -> None:
        await put(store, pod("web-1"))
        for n in range(30):
            await put(store, pod("web-1", ip=f"10.0.0.{n}"))
        stored = await store.get(key("web-1", "Pod"))
        assert stored is not None
        assert (stored.revision, stored.resource.metadata.generation) == (31, 1)
        assert len(await store.history(key("web-1", "Pod"))) == 1

    run(scenario)


def test_pods_keep_a_short_history_that_ends_with_them(run: Run) -> None:
    async def scenario(store: Store) -> None:
        for n in range(30):
            manifest = pod("web-1")
            manifest["metadata"]["labels"] = {"n": str(n)}
            await put(store, manifest)
        assert len(await store.history(key("web-1", "Pod"))) == EPHEMERAL_HISTORY_LIMITS["Pod"]
        await store.delete(key("web-1", "Pod"), author="ada")
        assert await store.history(key("web-1", "Pod")) == ()

    run(scenario)


def test_a_watch_tells_what_changed_since_a_revision(run: Run) -> None:
    async def scenario(store: Store) -> None:
        await put(store, config_map("a"))
        b = await put(store, config_map("b"))
        batches = store.watch(1)
        assert await next_batch(batches) == (Change(key("b"), 2, b),)
        await store.delete(key("a"), author="ada")
        assert await next_batch(batches) == (Change(key("a"), 3, None),)

    run(scenario)


def test_a_watcher_that_waits_is_woken_by_a_write(run: Run) -> None:
    async def scenario(store: Store) -> None:
        waiting = asyncio.ensure_future(next_batch(store.watch(0)))
        await asyncio.sleep(0)
        assert not waiting.done()
        stored = await put(store, config_map())
        assert await waiting == (Change(key(), 1, stored),)

    run(scenario)


def test_a_slow_watcher_sees_each_object_once_as_it_is_now(run: Run) -> None:
    async def scenario(store: Store) -> None:
        for n in range(5):
            last = await put(store, config_map(a=str(n)))
        assert await next_batch(store.watch(0)) == (Change(key(), 5, last),)

    run(scenario)


def test_a_watch_from_a_revision_of_the_future_has_expired(run: Run) -> None:
    async def scenario(store: Store) -> None:
        with pytest.raises(Expired, match="list again"):
            await next_batch(store.watch(7))

    run(scenario)


def test_a_cancelled_writer_leaves_store_and_watchers_agreeing(run: Run) -> None:
    async def scenario(store: Store) -> None:
        writing = asyncio.ensure_future(put(store, config_map("a")))
        await asyncio.sleep(0)
        writing.cancel()
        await asyncio.gather(writing, return_exceptions=True)
        await put(store, config_map("b"))
        revision, objects = await store.list()
        assert revision == len(objects)

    run(scenario)


Step = tuple[str, str, str]
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["put", "delete", "read"]),
        st.sampled_from(["a", "b", "c"]),
        st.sampled_from(["1", "2"]),
    ),
    max_size=25,
)


async def mirror_follows(store: Store, steps: Sequence[Step]) -> None:
    mirror: dict[ResourceKey, Stored] = {}
    since = 0

    async def read() -> int:
        revision = since
        while revision < await store.revision():
            batches: Any = store.watch(revision)
            for change in await next_batch(batches):
                assert change.revision > revision
                revision = change.revision
                if change.stored is None:
                    mirror.pop(change.key, None)
                else:
                    mirror[change.key] = change.stored
            await batches.aclose()
        return revision

    for action, name, value in steps:
        if action == "put":
            await put(store, config_map(name, a=value))
        elif action == "delete" and await store.get(key(name)):
            await store.delete(key(name), author="ada")
        else:
            since = await read()
    since = await read()
    revision, objects = await store.list()
    assert since == revision
    assert mirror == {stored.key: stored for stored in objects}


@given(STEPS)
@settings(max_examples=100, deadline=None)
def test_a_mirror_fed_by_watch_equals_the_list_of_a_memory_store(steps: list[Step]) -> None:
    with_memory(lambda store: mirror_follows(store, steps))


@given(STEPS)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_a_mirror_fed_by_watch_equals_the_list_of_a_sqlite_store(steps: list[Step]) -> None:
    with_sqlite(lambda store: mirror_follows(store, steps))
