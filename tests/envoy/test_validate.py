from __future__ import annotations

from pathlib import Path

from tests.envoy.validate import validate


def test_envoys_complaint_is_passed_on(tmp_path: Path) -> None:
    nonsense = {"name": "a", "type": "STATIC", "connect_timeout": "-1s"}
    compiled = {"listeners": [], "routes": [], "clusters": [nonsense], "endpoints": []}
    assert "Invalid duration" in validate(compiled, tmp_path)
