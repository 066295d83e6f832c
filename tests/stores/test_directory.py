from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from clew.model.base import ResourceKey
from clew.stores.directory import DirectoryStore
from clew.stores.store import ReadOnly
from tests.stores.objects import config_map, key, next_batch, put

GOOD = """\
apiVersion: v1
kind: ConfigMap
metadata: {name: NAME}
data: {a: "VALUE"}
"""
ROUTE = """\
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: reviews}
spec:
  hosts: [reviews]
  http:
  - route: [{destination: {host: reviews}}]
"""


def text(name: str = "settings", value: str = "1") -> str:
    return GOOD.replace("NAME", name).replace("VALUE", value)


def followed(directory: Path, scenario: Callable[[DirectoryStore], Awaitable[None]]) -> None:
    async def run() -> None:
        store = DirectoryStore(directory)
        following = asyncio.ensure_future(store.run())
        try:
            await scenario(store)
        finally:
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)

    asyncio.run(run())


async def names(store: DirectoryStore) -> set[str]:
    return {stored.key.name for stored in (await store.list())[1]}


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(15):
        while not await condition():  # noqa: ASYNC110  # the kernel and a thread set no Event
            await asyncio.sleep(0.02)


async def data(store: DirectoryStore, name: str = "settings") -> object:
    stored = await store.get(key(name))
    return stored and stored.manifest["data"]


def test_the_files_of_a_directory_are_its_objects(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "a.yaml").write_text(text("a") + "---\n" + text("b"))
    (tmp_path / "sub" / "c.yml").write_text(text("c"))
    (tmp_path / "notes.txt").write_text("no configuration")
    (tmp_path / ".hidden.yaml").write_text(text("hidden"))

    async def scenario() -> None:
        store = DirectoryStore(tmp_path)
        assert await names(store) == {"a", "b", "c"}
        assert await store.revision() == 3
        assert store.problems() == ()
        stored = await store.get(key("a"))
        assert stored is not None
        assert stored.resource.metadata.namespace == "default"
        assert stored.resource.metadata.generation == 1

    asyncio.run(scenario())


def test_two_readings_of_the_same_files_give_the_same_objects(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(text("a") + "---\n" + text("b"))

    async def scenario() -> None:
        assert await DirectoryStore(tmp_path).list() == await DirectoryStore(tmp_path).list()

    asyncio.run(scenario())


def test_the_api_cannot_write(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(text())

    async def scenario() -> None:
        store = DirectoryStore(tmp_path)
        with pytest.raises(ReadOnly, match=f"the files in {tmp_path}; change those"):
            await put(store, config_map())
        with pytest.raises(ReadOnly):
            await store.delete(key(), author="ada")
        assert await store.history(key()) == ()

    asyncio.run(scenario())


def test_changes_of_files_are_watched(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(text("a"))

    async def scenario(store: DirectoryStore) -> None:
        batches = store.watch(await store.revision())
        (tmp_path / "b.yaml").write_text(text("b"))
        assert [change.key for change in await next_batch(batches)] == [key("b")]
        (tmp_path / "b.yaml").write_text(text("b", "2"))
        (change,) = await next_batch(batches)
        assert change.stored is not None
        assert change.stored.resource.metadata.generation == 2
        (tmp_path / "b.yaml").unlink()
        (change,) = await next_batch(batches)
        assert (change.key, change.stored) == (key("b"), None)

    followed(tmp_path, scenario)


def test_a_bad_file_is_reported_and_the_good_ones_are_served(tmp_path: Path) -> None:
    (tmp_path / "bad.yaml").write_text("kind: [unclosed")
    (tmp_path / "good.yaml").write_text(text("good"))

    async def scenario() -> None:
        store = DirectoryStore(tmp_path)
        assert await names(store) == {"good"}
        (problem,) = store.problems()
        assert str(problem).startswith(f"{tmp_path}/bad.yaml:2:1: Error")

    asyncio.run(scenario())


def test_an_object_that_turns_bad_keeps_its_last_good_version(tmp_path: Path) -> None:
    file = tmp_path / "route.yaml"
    file.write_text(ROUTE)
    reviews = ResourceKey("networking.istio.io", "VirtualService", "default", "reviews")

    async def scenario(store: DirectoryStore) -> None:
        good = await store.get(reviews)

        async def is_reported() -> bool:
            return bool(store.problems())

        async def is_well() -> bool:
            return not store.problems()

        subjects: list[ResourceKey | None] = []
        for bad in (ROUTE.replace("route:", "rout:"), "kind: [unclosed", "\0"):
            file.write_text(bad)
            await until(is_reported)
            assert await store.get(reviews) == good
            subjects.append(store.problems()[0].place.resource)
            file.write_text(ROUTE)
            await until(is_well)
        assert await store.get(reviews) == good
        assert subjects == [reviews, None, None]

    followed(tmp_path, scenario)


def test_a_good_document_beside_a_bad_one_takes_effect(tmp_path: Path) -> None:
    file = tmp_path / "all.yaml"
    file.write_text(text("a") + "---\n" + text("b"))

    async def scenario(store: DirectoryStore) -> None:
        file.write_text(text("a", "2") + "---\n" + text("b").replace("kind:", "kinds:"))

        async def is_new() -> bool:
            return await data(store, "a") == {"a": "2"}

        await until(is_new)
        assert await data(store, "b") == {"a": "1"}
        assert len(store.problems()) == 1

    followed(tmp_path, scenario)


def test_the_first_of_two_files_that_declare_the_same_object_wins(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(text(value="first"))
    (tmp_path / "b.yaml").write_text(text(value="second"))

    async def scenario(store: DirectoryStore) -> None:
        assert await data(store) == {"a": "first"}
        (problem,) = store.problems()
        assert f"is declared already in {tmp_path}/a.yaml" in str(problem)
        (tmp_path / "a.yaml").unlink()

        async def is_second() -> bool:
            return await data(store) == {"a": "second"}

        await until(is_second)
        assert store.problems() == ()

    followed(tmp_path, scenario)


def test_an_object_that_moves_to_another_file_is_not_deleted_meanwhile(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(text())

    async def scenario(store: DirectoryStore) -> None:
        batches = store.watch(await store.revision())
        os.rename(tmp_path / "a.yaml", tmp_path / "z.yaml")
        (tmp_path / "b.yaml").write_text(text("b"))
        assert [change.key for change in await next_batch(batches)] == [key("b")]

    followed(tmp_path, scenario)


def test_a_file_that_cannot_be_decoded_is_reported(tmp_path: Path) -> None:
    (tmp_path / "latin.yaml").write_bytes(b"kind: \xe9")

    async def scenario() -> None:
        (problem,) = DirectoryStore(tmp_path).problems()
        assert "cannot be read" in str(problem)

    asyncio.run(scenario())


def test_a_directory_that_vanishes_takes_nothing_with_it(tmp_path: Path) -> None:
    directory = tmp_path / "config"
    directory.mkdir()
    (directory / "a.yaml").write_text(text("a"))

    async def scenario(store: DirectoryStore) -> None:
        async def is_reported() -> bool:
            return any("the directory is gone" in str(found) for found in store.problems())

        async def is_back() -> bool:
            return await names(store) == {"b"}

        async def is_followed() -> bool:
            return await names(store) == {"a", "c"}

        (directory / "c.yaml").write_text(text("c"))
        await until(is_followed)
        directory.rename(tmp_path / "elsewhere")
        await until(is_reported)
        assert await names(store) == {"a", "c"}
        directory.mkdir()
        (directory / "b.yaml").write_text(text("b"))
        await until(is_back)

    followed(directory, scenario)


def test_a_path_that_is_no_directory_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NotADirectoryError, match="is not a directory"):
        DirectoryStore(tmp_path / "absent")
