"""A whole mesh with programs that change while it runs, from a user's terminal."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import pytest

from clew.local.state import read_state
from tests.e2e.mesh import eventually, needs_root

WEB = """\
import http.server, os, signal, sys, time
while not os.path.exists(os.environ.get("STARTS_WITH", "/")):
    time.sleep(0.02)
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(os.environ["GREETING"].encode())
http.server.ThreadingHTTPServer(("0.0.0.0", int(os.environ["PORT"])), Handler).serve_forever()
"""
MANIFESTS = """\
apiVersion: v1
kind: Service
metadata: {name: web}
spec:
  selector: {app: web}
  ports: [{name: http, port: 80, targetPort: 9000}]
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 1
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
      - name: web
        image: acme/web:1
        env: [{name: GREETING, value: hello}]
        ports: [{containerPort: 9000}]
"""
ASK = "import urllib.request as r; print(r.urlopen('http://web.default/').read().decode())"

CAPTURES = [pytest.param("netns", marks=needs_root), "env"]


@dataclass(frozen=True, slots=True)
class Terminal:
    """Where `clew` is typed. ``mesh`` is the process of `clew up`."""

    home: Path
    mesh: subprocess.Popen[str]

    @property
    def environ(self) -> dict[str, str]:
        return {**os.environ, "CLEW_HOME": str(self.home)}

    def clew(self, *arguments: str, text: str = "") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "clew", *arguments],
            input=text,
            capture_output=True,
            text=True,
            env=self.environ,
            timeout=60,
        )

    def ask(self) -> subprocess.CompletedProcess[str]:
        """What a client in the mesh gets from the Service web."""
        client = ("--quiet", "--name", "client", "--", sys.executable, "-c", ASK)
        return self.clew("run", *client)

    def wait_until_up(self) -> None:
        """Read what `clew up` says, until it says that the mesh is up."""
        assert self.mesh.stdout is not None
        said = ""
        while "Ctrl-C stops it" not in said:
            line = self.mesh.stdout.readline()
            assert line, said
            said += line

    def replicas(self) -> list[dict[str, Any]]:
        listed = json.loads(self.clew("ps", "-n", "default", "-o", "json").stdout)
        return list(listed["replicas"])

    def ready(self) -> set[str]:
        return {row["name"] for row in self.replicas() if row["ready"] == "1/1"}


@contextmanager
def started(capture: str) -> Iterator[Terminal]:
    with starting(capture, MANIFESTS) as terminal:
        terminal.wait_until_up()
        yield terminal


@contextmanager
def starting(capture: str, manifests: str) -> Iterator[Terminal]:
    home = Path(mkdtemp(prefix="clew-"))
    (home / "web.py").write_text(WEB)
    image = f"acme/web={sys.executable} {home / 'web.py'}"
    command = [sys.executable, "-m", "clew", "up", "-", "--image", image, "--capture", capture]
    mesh = subprocess.Popen(
        command,
        env={**os.environ, "CLEW_HOME": str(home)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert mesh.stdin is not None
    try:
        mesh.stdin.write(manifests)
        mesh.stdin.close()
        yield Terminal(home, mesh)
    finally:
        if mesh.poll() is None:
            mesh.send_signal(signal.SIGINT)
        with mesh:
            mesh.wait(60)
        shutil.rmtree(home, ignore_errors=True)


def processes_of(directory: Path) -> list[str]:
    """The command lines that name something in the directory of a mesh."""
    found = []
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            text = file.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if str(directory) in text:
            found.append(text)
    return found


@pytest.mark.parametrize("capture", CAPTURES)
def test_deployments_follow_what_is_applied_and_down_leaves_nothing(capture: str) -> None:
    with started(capture) as terminal:
        assert terminal.ask().stdout == "hello\n"
        assert '"GET / HTTP' in terminal.clew("logs", "web", "--tail", "1").stdout
        (first,) = terminal.ready()

        terminal.clew("apply", "-f", "-", text=MANIFESTS.replace("replicas: 1", "replicas: 2"))
        eventually(lambda: len(terminal.ready()) == 2, what="a second replica")

        changed = MANIFESTS.replace("value: hello", "value: changed")
        terminal.clew("apply", "-f", "-", text=changed)
        eventually(lambda: len(terminal.replicas()) == 1, what="the end of the old replicas")
        (second,) = terminal.ready()
        assert second != first
        assert terminal.ask().stdout == "changed\n"

        terminal.clew("delete", "pod", second)
        eventually(lambda: terminal.ready(), what="a new Pod for the deleted one")

        terminal.clew("delete", "deployment", "web")
        eventually(lambda: not terminal.replicas(), what="no replica")

        down = terminal.clew("down")
        assert down.stdout == "The mesh default is down.\n"
        assert terminal.mesh.wait(5) == 0
        assert processes_of(terminal.home / "default") == []


@pytest.mark.parametrize("capture", CAPTURES)
def test_any_program_joins_and_leaves(capture: str) -> None:
    with started(capture) as terminal:
        failing = (sys.executable, "-c", "print('out'); raise SystemExit(7)")
        left = terminal.clew("run", "--name", "job", "--", *failing)
        assert (left.returncode, left.stdout) == (7, "out\n")

        serving = (sys.executable, str(terminal.home / "web.py"))
        command = [sys.executable, "-m", "clew", "run", "--name", "guest", "--port", "9000"]
        guest = subprocess.Popen(
            [*command, "--env", "GREETING=guest", "--", *serving], env=terminal.environ
        )
        with guest:
            eventually(
                lambda: any(name.startswith("guest-") for name in terminal.ready()),
                what="the guest to be ready",
            )
            ask = ASK.replace("web.default", "guest.default:9000")
            client = ("--quiet", "--name", "client", "--", sys.executable, "-c", ask)
            assert terminal.clew("run", *client).stdout == "guest\n"
            guest.terminate()
            assert guest.wait(20) == 0
        assert {row["workload"] for row in terminal.replicas()} == {"web"}
        assert terminal.clew("get", "service", "guest").returncode == 1


def test_a_mesh_is_up_once_its_slowest_program_serves(tmp_path: Path) -> None:
    signal_file = tmp_path / "start"
    late = MANIFESTS.replace("name: web}", "name: late}").replace("app: web}", "app: late}")
    late = late.replace("env: [", f"env: [{{name: STARTS_WITH, value: {signal_file}}}, ")
    with starting("env", f"{MANIFESTS}---\n{late}") as terminal:

        def is_up() -> bool:
            state = read_state(terminal.home / "default")
            return state is not None and state.up

        eventually(lambda: terminal.clew("ps").returncode == 0, what="a mesh that answers")
        eventually(lambda: len(terminal.ready()) == 1, what="the replica that starts at once")
        assert not is_up()
        signal_file.touch()
        eventually(is_up, what="the mesh to be up")
        assert len(terminal.ready()) == 2
        statuses = json.loads(terminal.clew("status", "-o", "json").stdout)["proxies"]
        assert {t["state"] for proxy in statuses for t in proxy["types"].values()} == {"acked"}
        terminal.wait_until_up()


def test_a_killed_mesh_leaves_nothing_that_runs_and_starts_again() -> None:
    with started("env") as terminal:
        again = terminal.clew("up")
        assert again.returncode == 1
        assert "is running already. Nothing was changed." in again.stderr
        directory = terminal.home / "default"
        state = read_state(directory)
        assert state is not None
        os.kill(state.supervisor.pid, signal.SIGKILL)
        eventually(lambda: not processes_of(directory), what="the end of all processes")
        assert "what it left behind is removed" in terminal.clew("down").stdout
        assert read_state(directory) is None


def test_a_program_that_is_not_there_is_told_before_anything_starts(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "clew", "up", "-", "--image", "acme/web=no-such-program"]
    up = subprocess.run(
        command,
        input=MANIFESTS,
        env={**os.environ, "CLEW_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert up.returncode == 1
    assert "<stdin>:16:7: Error Deployment default/web" in up.stderr
    assert "Nothing was started." in up.stderr
    assert list(tmp_path.iterdir()) == []
