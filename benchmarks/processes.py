"""``clew server`` and ``clew agent`` as processes, as a user has them."""

from __future__ import annotations

import http.client
import socket
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from benchmarks.load import ANY_CORE, running
from clew.agent.directory import ADMIN_SOCKET
from clew.agent.spec import AgentSpec, Capture, encode
from clew.api.client import Client
from clew.api.location import API_SOCKET, CA_SOCKET, XDS_SOCKET, is_served

CLEW = (sys.executable, "-m", "clew")
START_SECONDS = 60.0


class NotStarted(Exception):
    """A process is not ready in time; its log says why."""


@contextmanager
def control_plane(state: Path) -> Iterator[Client]:
    """Run ``clew server`` and yield a client of its API."""
    log = state / "server.log"
    with running((*CLEW, "server", "--state-dir", str(state)), ANY_CORE, log):
        wait_until(lambda: is_served(state / API_SOCKET), log)
        with Client(state / API_SOCKET) as client:
            wait_until(client.ready, log)
            yield client


def apply(mesh: Client, manifests: str) -> None:
    """Raises: ValueError if an object is refused."""
    refused = [item for item in mesh.apply(manifests).items if item.result == "refused"]
    if refused:
        raise ValueError(refused)


def spec_of(state: Path, name: str, ip: str, **fields: object) -> AgentSpec:
    """Describe a sidecar without an application, and by default without traffic capture."""
    known: dict[str, object] = {
        "mesh": "benchmark",
        "type": "sidecar",
        "name": f"{name}-0",
        "namespace": "default",
        "workload": name,
        "ip": ip,
        "labels": {"app": name},
        "capture": Capture.ENV,
        "xds": f"unix:{state / XDS_SOCKET}",
        "ca": f"unix:{state / CA_SOCKET}",
        "directory": str(state / name),
        "readiness_port": 0,
        "prometheus_port": 0,
        "status_port": 0,
    }
    return AgentSpec(**(known | fields))  # type: ignore[arg-type]  # a table of its fields


@contextmanager
def sidecar(spec: AgentSpec, core: str = ANY_CORE, prefix: Sequence[str] = ()) -> Iterator[int]:
    """Run ``clew agent``, wait until its Envoy is ready, and yield Envoy's pid."""
    folder = Path(spec.directory)
    folder.mkdir(mode=0o700)
    (folder / "spec.json").write_bytes(encode(spec))
    command = (*prefix, *CLEW, "agent", "--spec", str(folder / "spec.json"))
    log = folder / "agent.log"
    with running(command, core, log) as pid:
        wait_until(lambda: admin_page(folder, "/ready").startswith("LIVE"), log)
        yield _envoy_of(pid)


def admin_page(folder: Path, path: str) -> str:
    """Return a page of Envoy's admin interface, "" while it cannot be had."""
    with suppress(OSError, http.client.HTTPException):
        connection = http.client.HTTPConnection("envoy")
        connection.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        with closing(connection):
            connection.sock.connect(str(folder / ADMIN_SOCKET))
            connection.request("GET", path)
            return connection.getresponse().read().decode()
    return ""


def wait_until(condition: Callable[[], bool], log: Path) -> None:
    """Raises: NotStarted."""
    end = time.monotonic() + START_SECONDS
    while not condition():
        if time.monotonic() > end:
            raise NotStarted(log.read_text()[-2000:])
        time.sleep(0.01)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _envoy_of(agent: int) -> int:
    [envoy] = Path(f"/proc/{agent}/task/{agent}/children").read_text().split()
    return int(envoy)
