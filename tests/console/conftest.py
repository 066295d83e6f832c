"""A browser before the console of a mesh, as a person opens it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import uvicorn
from playwright.sync_api import Browser, ConsoleMessage, Page, ViewportSize, expect, sync_playwright

from clew.api.client import Client
from clew.local.dashboard import Door, api_client, build_door, listen_on
from clew.server.directory import Directory
from tests.e2e.mesh import Mesh, running_mesh
from tests.server.api_server import server_thread
from tests.server.shop import ROUTES, SHOP

CHROMIUM = shutil.which("chromium")
DESK: ViewportSize = {"width": 1280, "height": 800}
PHONE: ViewportSize = {"width": 390, "height": 844}
# What a page may wait for; a loaded machine is slow.
PATIENCE = 20_000
expect.set_options(timeout=PATIENCE)

ALL_TO_V1 = """\
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: reviews}
spec:
  hosts: [reviews]
  http:
  - route:
    - {destination: {host: reviews, subset: v1}}
"""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if CHROMIUM is None:
        skip = pytest.mark.skip(reason="no chromium here: tests/setup-host installs it as root")
        for item in items:
            if "tests/console/" in item.nodeid and "page" in getattr(item, "fixturenames", ()):
                item.add_marker(skip)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """While it is there, so is its event loop: tests that run their own are in other modules."""
    with (
        sync_playwright() as playwright,
        playwright.chromium.launch(executable_path=CHROMIUM) as running,
    ):
        yield running


@dataclass(slots=True)
class Console:
    """A served mesh. ``url`` is where its console is, ``directory`` knows its proxies."""

    home: Path
    url: str
    client: Client
    directory: Directory


@pytest.fixture
def console() -> Iterator[Console]:
    """The console of a mesh that holds the shop and its routes."""
    found: list[Directory] = []
    with (
        tempfile.TemporaryDirectory(prefix="clew") as directory,
        server_thread(Path(directory), on_directory=found.append) as socket,
        Client(socket) as client,
        opened(socket) as url,
    ):
        for text in (SHOP, ROUTES):
            report = client.apply(text, author="ada")
            assert all(item.result == "created" for item in report.items), report
        yield Console(Path(directory), url, client, found[0])


@contextmanager
def opened(socket: Path) -> Iterator[str]:
    """The door of ``clew dashboard``, in a thread; yields the address that lets one browser in."""
    with listen_on(0) as listener:
        door = Door(port=listener.getsockname()[1])
        app = build_door(door, api_client(socket), author="grace")
        server = uvicorn.Server(uvicorn.Config(app, log_config=None, timeout_graceful_shutdown=1))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            yield door.url
        finally:
            server.should_exit = True
            thread.join()


@contextmanager
def dashboard(home: Path, mesh: str = "default") -> Iterator[str]:
    """``clew dashboard``; yields the address that lets one browser in."""
    environ = {**os.environ, "CLEW_HOME": str(home), "CLEW_MESH": mesh, "CLEW_AUTHOR": "grace"}
    command = [sys.executable, "-m", "clew", "dashboard", "--no-browser", "-o", "json"]
    with subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        try:
            yield json.loads("".join(running.stdout.readline() for _ in range(3)))["url"]
        finally:
            running.send_signal(signal.SIGINT)


@pytest.fixture(scope="package")
def mesh() -> Iterator[Mesh]:
    """A whole mesh with Bookinfo, whose requests for reviews all go to v1; tests leave it so."""
    with running_mesh("seen", capture="netns") as running:
        applied = running.clew("apply", "--wait", "-f", "-", text=ALL_TO_V1)
        assert applied.returncode == 0, applied.stderr
        yield running


@pytest.fixture
def mesh_page(browser: Browser, mesh: Mesh) -> Iterator[Page]:
    """A page of it that has been let in, at the overview."""
    with (
        dashboard(mesh.directory.parent, mesh.name) as url,
        entered(browser, url) as found,
    ):
        yield found


@pytest.fixture
def page(browser: Browser, console: Console) -> Iterator[Page]:
    """A page that has been let in, at the overview. It fails a test that logs errors."""
    with entered(browser, console.url) as found:
        yield found


@contextmanager
def entered(browser: Browser, url: str) -> Iterator[Page]:
    errors: list[str] = []
    with browser.new_context(viewport=DESK, base_url=url.partition("/enter")[0]) as context:
        found = context.new_page()
        found.set_default_timeout(PATIENCE)
        found.on("console", lambda message: _note(message, errors))
        found.on("pageerror", lambda error: errors.append(str(error)))
        found.goto(url)
        found.get_by_role("heading", level=1).wait_for()
        yield found
    assert errors == []


def _note(message: ConsoleMessage, errors: list[str]) -> None:
    # The browser reports each answer that is no success; the page deals with those itself.
    if message.type == "error" and "Failed to load resource" not in message.text:
        errors.append(message.text)
