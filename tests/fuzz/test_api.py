"""Requests to the admin API as schemathesis makes them up from its OpenAPI document."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from clew.api.openapi import OPERATIONS
from tests.cli.mesh import shell
from tests.server.test_api_port import control_plane

# These never end by themselves.
_STREAMS = tuple(each.path for each in OPERATIONS if each.media_type != "application/json")
# What an answer must be. That each request of the right form is also accepted cannot be said in
# a document: which objects there are, and what a label selector is.
_CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_schema_conformance",
    "unsupported_method",
)


@pytest.mark.timeout(1200)
def test_the_api_answers_whatever_is_asked_as_its_document_says() -> None:
    pytest.importorskip(
        "schemathesis", reason="the dependencies of the group `fuzz` are not installed"
    )
    with tempfile.TemporaryDirectory(prefix="clew") as directory:
        home = Path(directory)
        with control_plane(home) as server:
            made = shell(home).good("token", "create", "--role", "admin").strip()
            command = [
                *(sys.executable, "-m", "schemathesis.cli", "run", f"{server}/v1/openapi.json"),
                *("-H", f"Authorization: Bearer {made.partition('.')[0]}", "--tls-verify=false"),
                *(f"--exclude-path={path}" for path in _STREAMS),
                *("--checks", ",".join(_CHECKS), "--phases=coverage,fuzzing"),
                *(
                    "--workers=4",
                    "--max-examples=8",
                    "--seed=1",
                    "--no-color",
                    "--suppress-health-check=all",
                ),
            ]
            done = subprocess.run(command, cwd=home, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
