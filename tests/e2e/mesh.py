"""A whole mesh in a process of its own, as a user starts it, and its end."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkdtemp

import pytest
import yaml

from clew.demo.bookinfo.images import IMAGES
from clew.demo.guide import FILES, MANIFESTS
from clew.local.state import RunState, read_state

BOOKINFO = tuple(MANIFESTS / name for name in FILES if name != "tcp-echo.yaml")
REVIEWS = "/api/v1/products/0/reviews"

needs_root = pytest.mark.skipif(
    os.geteuid() != 0 or not shutil.which("nft", path="/usr/sbin:/sbin:" + os.environ["PATH"]),
    reason="network namespaces with nftables need root here",
)


@dataclass(frozen=True, slots=True)
class Mesh:
    """One running mesh. ``directory`` is its state directory."""

    name: str
    directory: Path
    process: subprocess.Popen[str]
    environ: dict[str, str]

    @property
    def state(self) -> RunState:
        state = read_state(self.directory)
        assert state is not None
        return state

    def clew(self, *arguments: str, text: str = "") -> subprocess.CompletedProcess[str]:
        """Run a command against this mesh."""
        command = [sys.executable, "-m", "clew", *arguments, "--mesh", self.name]
        return subprocess.run(
            command, input=text, capture_output=True, text=True, env=self.environ, timeout=60
        )

    def get(self, path: str) -> tuple[int, bytes]:
        """GET through the ingress gateway; status 0 if the connection failed."""
        url = f"http://127.0.0.1:{self.state.http_port}{path}"
        try:
            with urllib.request.urlopen(url, timeout=10) as response:
                return response.status, response.read()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read()
        except OSError as error:
            return 0, str(error).encode()


def eventually(condition: Callable[[], object], *, seconds: float = 40.0, what: str) -> None:
    """Wait until ``condition`` holds, or fail saying ``what`` was waited for."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"waited {seconds:.0f} s in vain: {what}"
        time.sleep(0.05)


@contextmanager
def running_mesh(
    name: str, *, capture: str, files: tuple[Path, ...] = BOOKINFO, served: str = REVIEWS
) -> Iterator[Mesh]:
    """Run ``clew up``, with Bookinfo if nothing else is said, until ``served`` is answered with
    200 at the gateway; at the end, stop it by SIGINT.
    """
    home = Path(mkdtemp(prefix="clew-"))  # the paths of sockets must be short
    environ = {**os.environ, "CLEW_HOME": str(home)}
    images = home / "images.yaml"
    images.write_text(yaml.safe_dump({k: list(v) for k, v in IMAGES.items()}))
    command = [sys.executable, "-m", "clew", "up", "--mesh", name, "--capture", capture]
    command += ["--images", str(images), *map(str, files)]
    process = subprocess.Popen(
        command, env=environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    mesh = Mesh(name, home / name, process, environ)
    try:
        eventually(lambda: _is_served(mesh, served), seconds=120, what=f"{served} of mesh {name}")
        yield mesh
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=60)
        print(output)
        shutil.rmtree(home, ignore_errors=True)


def _is_served(mesh: Mesh, path: str) -> bool:
    assert mesh.process.poll() is None, mesh.process.communicate()[0]
    state = read_state(mesh.directory)
    return bool(state and state.up and mesh.get(path)[0] == 200)
