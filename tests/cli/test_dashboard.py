"""``clew dashboard`` from a terminal."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import httpx2

from clew.local.dashboard import listen_on
from tests.cli.mesh import shell
from tests.server.api_server import server_thread


def test_it_prints_an_address_that_opens_the_console_and_ends_quietly(home: Path) -> None:
    environ = {**os.environ, "CLEW_HOME": str(home), "CLEW_MESH": ""}
    command = [sys.executable, "-m", "clew", "dashboard", "--no-browser", "-o", "json"]
    with (
        server_thread(home),
        subprocess.Popen(
            command, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as running,
    ):
        assert running.stdout is not None
        url = json.loads("".join(running.stdout.readline() for _ in range(3)))["url"]
        assert urlsplit(url).hostname == "127.0.0.1"
        with httpx2.Client(follow_redirects=True) as browser:
            page = browser.get(url, headers={"Accept": "text/html"})
            assert page.status_code == 200
            assert "<script" in page.text
        running.send_signal(signal.SIGINT)
        _, errors = running.communicate(timeout=20)
        assert (running.returncode, errors) == (0, "")


def test_a_port_that_is_taken_is_said_so(home: Path) -> None:
    with server_thread(home), listen_on(0) as listener:
        port = str(listener.getsockname()[1])
        result = shell(home).clew("dashboard", "--no-browser", "--port", port)
    assert result.exit_code == 1
    assert f"port {port} of 127.0.0.1 is taken" in result.output


def test_without_a_mesh_there_is_nothing_to_open(home: Path) -> None:
    result = shell(home).clew("dashboard", "--no-browser")
    assert result.exit_code == 1
    assert "clew up" in result.output
