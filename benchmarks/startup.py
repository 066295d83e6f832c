"""``clew up`` of Bookinfo: from the command to the first answers through its sidecars."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.request import urlopen

import yaml

from benchmarks.load import ANY_CORE, running
from benchmarks.processes import CLEW, free_port, wait_until
from benchmarks.table import show, verdict
from clew.demo.bookinfo.images import IMAGES
from clew.demo.guide import FILES, MANIFESTS

BUDGET = 8


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        home, port = Path(name), free_port()
        log, start = home / "up.log", time.monotonic()
        with clew_home(home), running(bookinfo_up(home, port), ANY_CORE, log):
            wait_until(lambda: page_of(port) != "", log)
            first = time.monotonic() - start
            # A page is shown even while a service behind it does not answer yet.
            wait_until(lambda: "unavailable" not in (page_of(port) or "unavailable"), log)
            whole, stop = time.monotonic() - start, time.monotonic()
        stopped = time.monotonic() - stop
    rows = [
        ("the first page through the gateway", first, f"< {BUDGET} s", verdict(first, BUDGET)),
        ("the first page with all services on it", whole, "", ""),
        ("down again, from the signal to the end", stopped, "", ""),
    ]
    table = [(what, f"{seconds:.1f} s", *budget) for what, seconds, *budget in rows]
    show("`clew up` of Bookinfo with sidecars", ("until", "took", "budget", "met"), table)


def bookinfo_up(home: Path, port: int) -> tuple[str, ...]:
    images = home / "images.yaml"
    images.write_text(yaml.safe_dump({image: list(command) for image, command in IMAGES.items()}))
    files = [str(MANIFESTS / name) for name in FILES]
    return (*CLEW, "up", "--mesh", "b", "--port", str(port), "--images", str(images), *files)


def page_of(port: int) -> str:
    """Return Bookinfo's page, "" while it cannot be had."""
    try:
        with urlopen(f"http://127.0.0.1:{port}/productpage", timeout=5) as response:
            return str(response.read().decode())
    except OSError:
        return ""


@contextmanager
def clew_home(home: Path) -> Iterator[None]:
    """Keep the mesh apart from the user's own ones."""
    before = os.environ.get("CLEW_HOME")
    os.environ["CLEW_HOME"] = str(home)
    try:
        yield
    finally:
        if before is None:
            del os.environ["CLEW_HOME"]
        else:
            os.environ["CLEW_HOME"] = before
