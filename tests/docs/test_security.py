"""What the page about security claims is held by tests that are there."""

from __future__ import annotations

import re

import pytest

from tests.docs.commands import ROOT

PAGE = ROOT / "docs" / "security.md"
CLAIMS = re.findall(r"\]\(\.\./(tests/[^)#]+\.py)(?:#(\w+))?\)", PAGE.read_text())


@pytest.mark.parametrize(("file", "name"), CLAIMS, ids=lambda part: str(part).rpartition("/")[2])
def test_a_claim_is_held_by_a_test(file: str, name: str) -> None:
    assert name, f"the claim names {file}, but no test of it"
    assert re.search(rf"^def {name}\(", (ROOT / file).read_text(), re.MULTILINE)


def test_each_claim_has_a_test() -> None:
    rows = [line for line in PAGE.read_text().splitlines() if line.startswith("| ")]
    shown = [row for row in rows if row.count(" | ") == 2 and "](../tests/" in row]
    assert len(shown) > 25
    claims = PAGE.read_text().partition("## Identities")[2]
    for line in claims.splitlines():
        if line.startswith("| ") and not line.startswith("| what |"):
            assert "](../tests/" in line, line
