import os
import subprocess
import sys
from pathlib import Path

import pytest

from clew.agent.spec import Capture
from clew.local.shutdown import Outcome, stop_mesh
from clew.local.state import (
    MeshRuns,
    ProcessId,
    RunState,
    format_process,
    is_alive,
    is_locked,
    lock,
    parse_process,
    process_id,
    read_state,
    write_state,
)


def me() -> ProcessId:
    found = process_id(os.getpid())
    assert found is not None
    return found


def state(**fields: object) -> RunState:
    given: dict[str, object] = {"mesh": "m", "supervisor": me(), "capture": Capture.ENV}
    return RunState(**{**given, **fields})  # type: ignore[arg-type]  # fields by name


def test_one_up_per_mesh_and_the_lock_ends_with_its_holder(tmp_path: Path) -> None:
    directory = tmp_path / "m"
    assert not is_locked(directory)
    with lock(directory):
        assert is_locked(directory)
        with pytest.raises(MeshRuns, match="m"):
            lock(directory)
    assert not is_locked(directory)
    assert directory.stat().st_mode & 0o777 == 0o700


def test_state_is_read_as_it_was_written_and_is_private(tmp_path: Path) -> None:
    assert read_state(tmp_path) is None
    write_state(tmp_path, state(http_port=8080))
    assert read_state(tmp_path) == state(http_port=8080)
    assert (tmp_path / "run.json").stat().st_mode & 0o777 == 0o600


def test_state_of_another_version_is_no_state(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text('{"mesh": 3}')
    assert read_state(tmp_path) is None


def test_a_process_is_known_by_its_start_too() -> None:
    mine = me()
    assert is_alive(mine)
    assert not is_alive(ProcessId(pid=mine.pid, started=mine.started + 1))
    assert not is_alive(None)
    assert parse_process(format_process(mine)) == mine
    assert parse_process("no process") is None


def test_down_says_when_there_is_nothing_to_stop(tmp_path: Path) -> None:
    assert stop_mesh(tmp_path / "m", now=False, seconds=1) is Outcome.NOTHING


def test_down_ends_and_removes_what_a_killed_mesh_left(tmp_path: Path) -> None:
    left = subprocess.Popen([sys.executable, "-c", "input()"], stdin=-1, start_new_session=True)
    with left:
        (tmp_path / "agents" / "default" / "web-0").mkdir(parents=True)
        write_state(tmp_path, state(server=process_id(left.pid)))
        assert stop_mesh(tmp_path, now=False, seconds=1) is Outcome.CLEANED
        assert left.wait(10) == -9
    assert not (tmp_path / "agents").exists()
    assert read_state(tmp_path) is None
