"""Where the acceptance corpora are: beside the project, not inside it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(__file__).parents[3] / "shared" / "corpora"


def cases(name: str) -> list[dict[str, Any]]:
    """Return the cases of a corpus; without the corpora the test is skipped."""
    path = FOLDER / f"{name}.json"
    if not path.is_file():
        pytest.skip(f"the acceptance corpora are not beside this clone ({path.name})")
    return list(json.loads(path.read_text())["cases"])


def support(name: str) -> dict[str, Any]:
    """Return one of the fixtures that the corpora share."""
    return dict(json.loads((FOLDER / "support" / f"{name}.json").read_text()))
