from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from clew.stores.sqlite import SqliteStore
from clew.stores.store import Expired
from tests.stores.objects import config_map, key, next_batch, noon, put


def test_objects_history_and_revisions_survive_a_restart(tmp_path: Path) -> None:
    async def scenario() -> None:
        path = tmp_path / "objects.db"
        store = SqliteStore.open(path, now=noon)
        first = await put(store, config_map(a="1"))
        await put(store, config_map("gone"))
        await store.delete(key("gone"), author="ada")
        await store.close()

        store = SqliteStore.open(path, now=noon)
        assert await store.list() == (3, [first])
        assert (await put(store, config_map(a="2"))).revision == 4
        assert [entry.revision for entry in await store.history(key())] == [4, 1]
        assert [entry.action for entry in await store.history(key("gone"))] == ["delete", "create"]
        await store.close()

    asyncio.run(scenario())


def test_a_watcher_that_missed_the_restart_lists_again(tmp_path: Path) -> None:
    async def scenario() -> None:
        store = SqliteStore.open(tmp_path / "objects.db", now=noon)
        for name in ("a", "b"):
            await put(store, config_map(name))
        await store.close()
        store = SqliteStore.open(tmp_path / "objects.db", now=noon)
        with pytest.raises(Expired, match="list again"):
            await next_batch(store.watch(1))
        up_to_date = store.watch(2)
        await put(store, config_map("c"))
        assert [change.key for change in await next_batch(up_to_date)] == [key("c")]
        await store.close()

    asyncio.run(scenario())


WRITER = """
import asyncio, sys
from pathlib import Path
from clew.stores.sqlite import SqliteStore
from tests.stores.objects import config_map, noon, put

async def main():
    store = SqliteStore.open(Path(sys.argv[1]), now=noon)
    for n in range(100_000):
        stored = await put(store, config_map(a=str(n)))
        print(stored.revision, flush=True)

asyncio.run(main())
"""


def test_what_was_acknowledged_survives_kill_9(tmp_path: Path) -> None:
    path = tmp_path / "objects.db"
    root = Path(__file__).parents[2]
    command = [sys.executable, "-c", WRITER, str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=root) as writer:
        assert writer.stdout is not None
        acknowledged = 0
        while acknowledged < 50:
            acknowledged = int(writer.stdout.readline())
        os.kill(writer.pid, signal.SIGKILL)
        acknowledged = max([acknowledged, *map(int, writer.stdout.read().split("\n")[:-1])])

    async def scenario() -> None:
        store = SqliteStore.open(path, now=noon)
        # The last change may have been stored without being acknowledged.
        assert acknowledged <= await store.revision() <= acknowledged + 1
        entries = await store.history(key())
        assert [entry.revision for entry in entries] == list(range(len(entries), 0, -1))
        await store.close()

    asyncio.run(scenario())


def modes(directory: Path) -> set[int]:
    return {stat.S_IMODE(path.stat().st_mode) for path in directory.iterdir()}


def test_only_the_owner_may_read_the_file(tmp_path: Path) -> None:
    async def scenario() -> None:
        store = SqliteStore.open(tmp_path / "objects.db", now=noon)
        await put(store, config_map(a="1"))
        assert modes(tmp_path) == {0o600}
        await store.close()

    asyncio.run(scenario())


def test_a_second_control_plane_of_the_same_mesh_fails_and_says_so(tmp_path: Path) -> None:
    async def scenario() -> None:
        store = SqliteStore.open(tmp_path / "objects.db", now=noon)
        with pytest.raises(OSError, match="another control plane serves this mesh"):
            SqliteStore.open(tmp_path / "objects.db", now=noon)
        await store.close()

    asyncio.run(scenario())


def test_a_file_that_is_no_database_is_refused_with_its_path(tmp_path: Path) -> None:
    path = tmp_path / "objects.db"
    path.write_text("not a database, but long enough to be looked at by SQLite" * 20)
    with pytest.raises(OSError, match=r"objects\.db as the store of a mesh.*move it away"):
        SqliteStore.open(path, now=noon)


def test_a_file_of_a_newer_clew_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "objects.db"
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(OSError, match="its format is 99"):
        SqliteStore.open(path, now=noon)


def test_an_object_that_this_clew_does_not_understand_is_reported(tmp_path: Path) -> None:
    async def scenario() -> None:
        path = tmp_path / "objects.db"
        store = SqliteStore.open(path, now=noon)
        await put(store, config_map("good"))
        await put(store, config_map("bad"))
        await store.close()
        connection = sqlite3.connect(path)
        connection.execute(
            "UPDATE objects SET manifest = ? WHERE name = 'bad'",
            (b'{"apiVersion":"v1","kind":"Novelty","metadata":{"name":"bad"}}',),
        )
        connection.commit()
        connection.close()
        store = SqliteStore.open(path, now=noon)
        assert [stored.key.name for stored in (await store.list())[1]] == ["good"]
        assert 'unknown kind "Novelty"' in str(store.problems()[0])
        await store.close()

    asyncio.run(scenario())
