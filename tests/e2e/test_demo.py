"""The guided canary, as the README starts it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.e2e.mesh import needs_root


@pytest.mark.timeout(360)
@pytest.mark.parametrize("capture", [pytest.param("netns", marks=needs_root), "env"])
def test_every_step_of_the_canary_holds_and_no_request_fails(capture: str) -> None:
    with TemporaryDirectory(prefix="clew-") as home:
        command = [sys.executable, "-m", "clew", "demo", "--exit", "--capture", capture]
        command += ["--mesh", f"demo-{capture}"]
        environ = {**os.environ, "CLEW_HOME": home, "COLUMNS": "120"}
        run = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=300)
        assert run.returncode == 0, run.stdout + run.stderr
        assert "8 of 8 steps held; 0 failed requests" in run.stdout
        assert not list(Path(home).glob("*/*.sock"))
