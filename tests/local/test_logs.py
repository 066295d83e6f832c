from pathlib import Path

import pytest

from clew.agent.spec import AgentSpec, AppSpec, encode
from clew.local.logs import Reader, logs_of, replica_specs, select, start_of_last_lines
from clew.local.state import agent_directory


def add(directory: Path, name: str, workload: str, *, app: bool = True) -> None:
    place = agent_directory(directory, "shop", name)
    place.mkdir(parents=True)
    spec = AgentSpec(
        mesh="m",
        type="sidecar" if app else "router",
        name=name,
        namespace="shop",
        workload=workload,
        ip="10.0.0.1",
        labels={"app": workload.partition("-")[0]},
        directory=str(place),
        app=AppSpec(command=("a",)) if app else None,
    )
    (place / "spec.json").write_bytes(encode(spec))


def test_a_name_is_a_replica_or_a_workload_or_an_app(tmp_path: Path) -> None:
    for name, workload in (("web-v1-0", "web-v1"), ("web-v2-0", "web-v2"), ("web-v2-1", "web-v2")):
        add(tmp_path, name, workload)
    specs = replica_specs(tmp_path)
    assert [s.name for s in select(specs, "web-v2-1")] == ["web-v2-1"]
    assert [s.name for s in select(specs, "web-v2")] == ["web-v2-0", "web-v2-1"]
    assert len(select(specs, "web")) == 3
    assert select(specs, "other") == ()
    assert replica_specs(tmp_path, "elsewhere") == ()


def test_a_gateway_has_only_its_proxys_logs(tmp_path: Path) -> None:
    add(tmp_path, "web-0", "web")
    add(tmp_path, "gate-0", "gate", app=False)
    gate, web = sorted(replica_specs(tmp_path), key=lambda s: s.name)
    assert [log.path.name for log in logs_of(web, proxy=False)] == ["app.log"]
    assert [log.path.name for log in logs_of(web, proxy=True)] == ["agent.log", "envoy.log"]
    assert logs_of(gate, proxy=False) == logs_of(gate, proxy=True)


@pytest.mark.parametrize("count", [0, 1, 2, 3, 9])
def test_the_last_lines_are_found_from_the_end(tmp_path: Path, count: int) -> None:
    lines = [b"a" * 100_000 + b"\n", b"\n", b"last\n"]
    file = tmp_path / "log"
    file.write_bytes(b"".join(lines))
    rest = file.read_bytes()[start_of_last_lines(file, count) :]
    assert rest == b"".join(lines[len(lines) - min(count, 3) :])


def test_a_reader_yields_complete_lines_as_they_come(tmp_path: Path) -> None:
    file = tmp_path / "log"
    reader = Reader(file, last=None)
    assert list(reader.lines()) == []
    file.write_bytes(b"one\ntw")
    assert list(reader.lines()) == [b"one"]
    with file.open("ab") as more:
        more.write(b"o\nthree")
    assert list(reader.lines()) == [b"two"]
    assert list(reader.rest()) == [b"three"]


def test_a_file_that_begins_anew_is_read_anew(tmp_path: Path) -> None:
    file = tmp_path / "log"
    file.write_bytes(b"a long first line\n")
    reader = Reader(file, last=None)
    assert len(list(reader.lines())) == 1
    file.write_bytes(b"new\n")
    assert list(reader.lines()) == [b"new"]
