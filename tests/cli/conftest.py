from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.mesh import Shell, shell
from tests.server.api_server import server_thread


@pytest.fixture
def home() -> Iterator[Path]:
    """A state directory whose path is short enough for sockets."""
    with tempfile.TemporaryDirectory(prefix="clew") as directory:
        yield Path(directory)


@pytest.fixture
def mesh(home: Path) -> Iterator[Shell]:
    """A terminal beside a running, empty mesh called default."""
    with server_thread(home):
        yield shell(home)
