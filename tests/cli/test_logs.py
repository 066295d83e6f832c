from __future__ import annotations

import time
from pathlib import Path

import pytest

from clew.agent.spec import AgentSpec, encode
from clew.local.state import SERVER_LOG, SPEC, agent_directory, lock
from tests.cli.mesh import Shell, shell


def test_explanations_are_of_access_logs(mesh: Shell) -> None:
    result = mesh.clew("logs", "reviews", "--explain")
    assert result.exit_code == 2
    assert "add --access" in result.output


def test_without_an_access_log_it_is_said_how_there_is_one(home: Path) -> None:
    place = agent_directory(home / "default", "shop", "web-0")
    place.mkdir(parents=True)
    spec = AgentSpec(
        mesh="default",
        type="sidecar",
        name="web-0",
        namespace="shop",
        workload="web",
        ip="10.0.0.1",
        directory=str(place),
    )
    (place / SPEC).write_bytes(encode(spec))
    silent = shell(home).clew("logs", "web", "--access")
    assert silent.exit_code == 0
    assert "accessLogFile" in silent.stderr
    (place / "envoy.log").write_text('[2026-03-01T12:00:00.000Z] "GET / HTTP/1.1" 200\n')
    told = shell(home).clew("logs", "web", "--access")
    assert (told.stdout.count("GET /"), told.stderr) == (1, "")


def test_ctrl_c_is_how_following_ends(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(seconds: float) -> None:
        raise KeyboardInterrupt

    (home / "default").mkdir()
    (home / "default" / SERVER_LOG).write_text("started\n")
    monkeypatch.setattr(time, "sleep", interrupted)
    with lock(home / "default"):
        found = shell(home).clew("logs", "--control-plane", "-f")
    assert (found.exit_code, found.stdout, found.stderr) == (0, "started\n", "")
