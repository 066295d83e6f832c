"""An agent as a process of its own, beside programs written here."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from clew.agent.spec import AgentSpec, AppSpec, Capture, encode
from tests.agent.control_plane import ControlPlane

SERVER = (
    "import os, signal, sys, http.server\n"
    "signal.signal(signal.SIGTERM, lambda *_: (print('asked to end', flush=True), sys.exit(0)))\n"
    "print('started', flush=True)\n"
    "http.server.HTTPServer(('127.0.0.1', int(os.environ['PORT'])),"
    " http.server.SimpleHTTPRequestHandler).serve_forever()\n"
)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def specification(plane: ControlPlane, program: str, **changes: object) -> AgentSpec:
    port = free_port()
    spec = AgentSpec(
        mesh="test",
        type="sidecar",
        name="reviews-v1-0",
        namespace="default",
        workload="reviews-v1",
        ip="127.0.0.1",
        capture=Capture.ENV,
        xds=plane.xds,
        ca=plane.ca,
        api=plane.api,
        directory=str(plane.directory / "workload"),
        readiness_port=free_port(),
        prometheus_port=free_port(),
        status_port=free_port(),
        app_ports={"9080": port},
        app=AppSpec(
            command=(sys.executable, "-c", program),
            env={"PATH": os.environ["PATH"]},
            ports={"http": 9080},
        ),
    )
    return msgspec.structs.replace(spec, **changes)


def with_app(spec: AgentSpec, **changes: object) -> AgentSpec:
    assert spec.app is not None
    return msgspec.structs.replace(spec, app=msgspec.structs.replace(spec.app, **changes))


@dataclass
class Agent:
    process: asyncio.subprocess.Process
    directory: Path
    said: str = ""
    ended: asyncio.Event = field(default_factory=asyncio.Event)

    def output(self) -> str:
        file = self.directory / "app.log"
        return file.read_text() if file.exists() else ""

    async def ends(self) -> int:
        _, said = await asyncio.wait_for(self.process.communicate(), 30)
        self.said = said.decode()
        assert self.process.returncode is not None
        return self.process.returncode

    def children(self) -> dict[str, int]:
        """The process ids of what the agent runs, by program."""
        pid = self.process.pid
        found = {}
        for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
            found[Path(f"/proc/{child}/comm").read_text().strip()] = int(child)
        return found


@asynccontextmanager
async def agent(spec: AgentSpec, within: tuple[str, ...] = ()) -> AsyncIterator[Agent]:
    file = Path(spec.directory).with_suffix(".json")
    file.write_bytes(encode(spec))
    process = await asyncio.create_subprocess_exec(
        *(*within, sys.executable, "-m", "clew", "agent", "--spec", str(file)),
        stderr=asyncio.subprocess.PIPE,
        start_new_session=True,
    )
    try:
        yield Agent(process, Path(spec.directory))
    finally:
        if process.returncode is None:
            process.kill()
            await process.communicate()


async def until(condition: Callable[[], object], seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        await asyncio.sleep(0.02)


def alive(pid: int) -> bool:
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


async def page(port: int, path: str) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".encode())
    answer = await reader.read()
    writer.close()
    return answer
