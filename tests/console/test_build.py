"""What is committed is what the sources make, and their unit tests hold. Needs node."""

from __future__ import annotations

import gzip
import shutil
import subprocess
from pathlib import Path

import pytest

from clew.server.console import FILES

SOURCES = Path(__file__).parents[2] / "console"

pytestmark = pytest.mark.skipif(
    not shutil.which("node") or not (SOURCES / "node_modules" / "esbuild").is_dir(),
    reason="the console's sources are not set up here: make console",
)


def node(*command: str) -> None:
    done = subprocess.run(command, cwd=SOURCES, capture_output=True, text=True, timeout=150)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_committed_console_is_what_its_sources_make(tmp_path: Path) -> None:
    node("node", "build.mjs", str(tmp_path))
    assert _contents(tmp_path) == _contents(FILES)


def _contents(directory: Path) -> dict[str, bytes]:
    """By name, unpacked: another zlib may pack in another way."""
    files = directory.rglob("*.gz")
    return {str(f.relative_to(directory)): gzip.decompress(f.read_bytes()) for f in files}


def test_the_sources_have_their_types() -> None:
    node("node", "node_modules/typescript/bin/tsc", "--noEmit")


def test_the_pure_parts_do_what_they_say() -> None:
    node("node", "test.mjs")
