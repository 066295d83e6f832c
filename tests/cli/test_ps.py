from __future__ import annotations

import json
from pathlib import Path

import pytest

from clew.agent.spec import Capture
from clew.local.state import ProcessId, ReplicaState, RunState, write_state
from clew.local.workloads import RUN_BY
from tests.cli.mesh import Shell, shell

PODS = f"""\
apiVersion: v1
kind: Pod
metadata: {{name: web-0}}
spec: {{containers: [{{name: web}}]}}
status: {{phase: Running, podIP: 10.0.0.9, conditions: [{{type: Ready, status: "True"}}]}}
---
apiVersion: v1
kind: Pod
metadata: {{name: guest-7, namespace: shop, annotations: {{{RUN_BY}: '7:1'}}}}
spec: {{containers: [{{name: app}}]}}
"""
ME = ProcessId(pid=5, started=1)
STATE = RunState(
    mesh="default",
    supervisor=ME,
    capture=Capture.ENV,
    http_port=8081,
    replicas=(
        ReplicaState(
            namespace="default",
            name="web-0",
            workload="web",
            ip="10.0.0.9",
            capture=Capture.ENV,
            process=ProcessId(pid=6, started=1),
            agent_restarts=2,
        ),
    ),
    problems=("Deployment default/db: no program",),
)


@pytest.fixture
def filled(mesh: Shell) -> Shell:
    mesh.good("apply", "-f", "-", input=PODS)
    write_state(mesh.home / "default", STATE)
    return mesh


def test_replicas_are_listed_with_what_keeps_others_from_running(filled: Shell) -> None:
    header, web, guest, _, problem = filled.good("ps").splitlines()
    assert header.split() == ["NAMESPACE", "NAME", "READY", "STATUS", "RESTARTS", "AGE", "IP"]
    assert [*web.split()[:5], web.split()[6]] == [
        "default", "web-0", "1/1", "Running", "0", "10.0.0.9",
    ]  # fmt: skip
    assert guest.split()[:4] == ["shop", "guest-7", "0/1", "Pending"]
    assert problem == "Deployment default/db: no program"


def test_programs_are_told_the_same_as_people_and_more(filled: Shell) -> None:
    printed = json.loads(filled.good("ps", "-o", "json"))
    assert printed["url"] == "http://127.0.0.1:8081"
    web, guest = printed["replicas"]
    assert (web["workload"], web["pid"], web["proxyRestarts"]) == ("web", 6, 2)
    assert (guest["workload"], guest["pid"]) == ("clew run", 7)
    assert len(json.loads(filled.good("ps", "-n", "shop", "-o", "json"))["replicas"]) == 1


def test_an_empty_mesh_says_so(mesh: Shell) -> None:
    assert mesh.clew("ps").stderr == "Nothing runs.\n"


@pytest.mark.parametrize(
    "arguments", [("ps",), ("logs", "web"), ("run", "--name", "a", "--", "true")]
)
def test_without_a_mesh_a_command_says_how_to_start_one(
    home: Path, arguments: tuple[str, ...]
) -> None:
    result = shell(home).clew(*arguments)
    assert result.exit_code == 1
    assert 'no mesh "default" is running' in result.stderr
    assert "clew up" in result.stderr


def test_down_without_a_mesh_is_no_error(home: Path) -> None:
    assert shell(home).good("down") == "The mesh default is not running.\n"


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (("logs",), "name a workload"),
        (("run", "--name", "../a", "--", "true"), "'../a' is not a name"),
        (("run", "--name", "a", "--port", "x", "--", "true"), "as in 9080 or tcp:5432"),
        (("run", "--name", "a", "--port", "foo:1", "--", "true"), "'foo' is not one of"),
        (("run", "--name", "a", "--label", "k", "--", "true"), "'k' is not NAME=VALUE"),
        (("run", "--name", "a"), "Missing argument"),
        (("up", "--image", "a"), "is not IMAGE=CMD"),
    ],
)
def test_wrong_arguments_get_reasons(home: Path, arguments: tuple[str, ...], problem: str) -> None:
    result = shell(home).clew(*arguments)
    assert result.exit_code == 2
    assert problem in result.stderr


def test_a_program_that_is_not_there_is_not_started(home: Path) -> None:
    result = shell(home).clew("run", "--name", "a", "--", "no-such-program")
    assert result.exit_code == 1
    assert "there is no program 'no-such-program'" in result.stderr
