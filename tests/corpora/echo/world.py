"""A running echo world: a mesh by `clew up`, whose workloads make the calls they are asked for."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

from clew.api.client import Client
from clew.api.location import API_SOCKET
from clew.api.messages import ProxyStatus
from clew.local.state import read_state
from tests.certificates import self_signed
from tests.corpora.echo.manifests import HEALTH_PORT, App, Port, world_manifests

ROOT = Path(__file__).parents[3]
APP = "app.json"
CERTIFICATE = "certificate.pem"
_LOG = "up.log"
_START_SECONDS = 120.0
_PUBLISH_SECONDS = 20.0

Call = dict[str, Any]
Result = dict[str, Any]


@dataclass(slots=True)
class World:
    """One running mesh. ``addresses``: of each workload, by the name of its app, with and without
    its namespace. ``virtual``: of its service, by the address of the workload. ``unsettled``: not
    every proxy may know yet that objects are gone.
    """

    home: Path
    directory: Path
    process: subprocess.Popen[str]
    client: Client
    apps: tuple[App, ...]
    pods: dict[str, str] = field(default_factory=dict)
    addresses: dict[str, str] = field(default_factory=dict)
    virtual: dict[str, str] = field(default_factory=dict)
    sockets: dict[str, socket.socket] = field(default_factory=dict)
    refusals: list[str] = field(default_factory=list)
    unsettled: bool = False

    def calls(self, app: str, calls: Iterable[Call]) -> list[Result]:
        """Let a workload make these calls, all at once."""
        if self.unsettled:
            self.settle()
        channel = self._channel(app)
        channel.sendall(json.dumps(list(calls)).encode() + b"\n")
        with channel.makefile("rb") as answers:
            line = answers.readline()
        assert line, f"the workload {app} went away"
        return list(json.loads(line))

    def _channel(self, app: str) -> socket.socket:
        if app not in self.sockets:
            channel = socket.socket(socket.AF_UNIX)
            channel.settimeout(60.0)
            channel.connect(str(self.home / f"{self.addresses[app]}.sock"))
            self.sockets[app] = channel
        return self.sockets[app]

    def ingress(self, port: int) -> tuple[str, int]:
        """Return where this port of the ingress gateway's service is on this machine."""
        state = read_state(self.directory)
        assert state is not None
        numbers = {80: state.http_port, 443: state.https_port, 31400: state.tcp_port}
        return "127.0.0.1", numbers[port]

    @contextmanager
    def configured(self, text: str, namespace: str) -> Iterator[list[str]]:
        """Have these objects in the mesh, and all proxies know them; yields what was refused."""
        report = self.client.apply(text, namespace=namespace) if text.strip("- \n") else None
        items = report.items if report else ()
        refused = [item.error or item.diagnostics[0].text for item in items if not item.revision]
        keys = [item.key.resource_key() for item in items if item.revision]
        try:
            if keys or self.unsettled:
                self.settle()
            yield refused
        finally:
            self.unsettled = bool(keys)
            for key in reversed(keys):
                self.client.delete(key)

    def settle(self) -> None:
        """Wait until every proxy has acknowledged what the store holds now."""
        eventually(self._have_addresses, seconds=_PUBLISH_SECONDS, what="addresses of services")
        revision = self.client.list(kinds=("Namespace",)).revision

        deadline = time.monotonic() + _PUBLISH_SECONDS
        while late := list(self._not_yet_at(revision)):
            assert time.monotonic() < deadline, f"no acknowledgement of {', '.join(late)}"
            time.sleep(0.01)
        self.unsettled = False

    def _have_addresses(self) -> bool:
        specs = [service["spec"] for service in self.client.list(kinds=("Service",)).items]
        return all(spec.get("clusterIP") or spec.get("type") == "ExternalName" for spec in specs)

    def _not_yet_at(self, revision: int) -> Iterator[str]:
        listed = self.client.proxies()
        self._note_refusals(listed.proxies)
        if listed.revision < revision:
            yield f"revision {revision} by the control plane"
        for proxy in listed.proxies:
            pending = [kind for kind, s in proxy.types.items() if s.state == "pending"]
            if proxy.connected and pending:
                yield f"{' '.join(pending)} by {proxy.name}"

    def _note_refusals(self, proxies: Iterable[ProxyStatus]) -> None:
        for proxy in proxies:
            for kind, status in proxy.types.items():
                if status.state == "nacked":
                    text = f"{proxy.name} {kind} {' '.join(status.resources)}: {status.error}"
                    if text not in self.refusals:
                        self.refusals.append(text)


def eventually(condition: Callable[[], object], *, seconds: float, what: str) -> None:
    """Wait until ``condition`` holds, or fail saying ``what`` was waited for."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"waited {seconds:.0f} s in vain: {what}"
        time.sleep(0.01)


@contextmanager
def running_world(
    apps: Iterable[App],
    ports: Iterable[Port],
    *,
    manifests: Iterable[str] = (),
    names: Iterable[str] = (),
) -> Iterator[World]:
    """Run a mesh of these apps, each with these ports, until all are ready; end it after that.

    ``manifests``: texts of more objects that are there from the beginning. ``names``: that the
    certificate of the apps' TLS ports has, beside those of the apps.
    """
    apps = tuple(apps)
    home = Path(mkdtemp(prefix="echo-"))  # the paths of sockets must be short
    try:
        with ExitStack() as stack:
            certificate = home / CERTIFICATE
            chain, key = self_signed("echo", *(app.host for app in apps), *names)
            certificate.write_text(key + chain)
            world = _start(home, apps, [_health(), *ports], tuple(manifests))
            stack.callback(_stop, world)
            _wait_until_ready(world)
            yield world
    finally:
        shutil.rmtree(home, ignore_errors=True)


def _health() -> Port:
    return {"name": "health", "service_port": None, "workload_port": HEALTH_PORT}


def _start(
    home: Path, apps: tuple[App, ...], ports: list[Port], manifests: tuple[str, ...]
) -> World:
    settings = {"certificate": str(home / CERTIFICATE), "ports": [dict(port) for port in ports]}
    (home / APP).write_text(json.dumps(settings))
    command = (sys.executable, "-m", "tests.corpora.echo.app")
    listed = [port for port in ports if port["workload_port"] != HEALTH_PORT]
    text = world_manifests(apps, listed, command, str(home / APP))
    (home / "world.yaml").write_text("\n---\n".join([text, *manifests]))
    environ = {**os.environ, "CLEW_HOME": str(home), "PYTHONPATH": f"{ROOT}:{ROOT / 'src'}"}
    up = (sys.executable, "-m", "clew", "up", "--mesh", "echo", "--capture", "netns")
    with (home / _LOG).open("w") as log:
        process = subprocess.Popen(
            (*up, str(home / "world.yaml")),
            env=environ,
            cwd=ROOT,
            stdout=log,
            stderr=subprocess.STDOUT,
            text=True,
        )
    directory = home / "echo"
    return World(home, directory, process, Client(directory / API_SOCKET), apps)


def _wait_until_ready(world: World) -> None:
    log = world.home / _LOG

    def is_up() -> bool:
        assert world.process.poll() is None, log.read_text()
        return "Ctrl-C" in log.read_text()

    eventually(is_up, seconds=_START_SECONDS, what=f"the echo world:\n{log.read_text()}")
    for pod in world.client.list(kinds=("Pod",)).items:
        name = pod["metadata"].get("labels", {}).get("app", "")
        for known_as in (name, f"{pod['metadata']['namespace']}/{name}"):
            world.pods[known_as] = pod["metadata"]["name"]
            world.addresses[known_as] = pod["status"]["podIP"]
    world.settle()
    _note_virtual_addresses(world)


def _note_virtual_addresses(world: World) -> None:
    services = {}
    for service in world.client.list(kinds=("Service",)).items:
        named = service["metadata"]["namespace"], service["metadata"]["name"]
        services[named] = service["spec"].get("clusterIP", "None")
    for pod in world.client.list(kinds=("Pod",)).items:
        named = pod["metadata"]["namespace"], pod["metadata"].get("labels", {}).get("app", "")
        if (address := services.get(named, "None")) != "None":
            world.virtual[pod["status"]["podIP"]] = address


def _stop(world: World) -> None:
    for channel in world.sockets.values():
        channel.close()
    world.client.close()
    if world.process.poll() is None:
        world.process.send_signal(signal.SIGINT)
    world.process.wait(timeout=60)
