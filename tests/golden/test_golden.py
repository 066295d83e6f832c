"""What Envoy gets, held against files that people have read; refresh them with ``make golden``."""

from __future__ import annotations

from pathlib import Path

import pytest

from clew.compile.check import check_published
from tests.envoy.validate import validate
from tests.golden.case import CASES, Case


@pytest.fixture(params=CASES, ids=lambda case: case.folder.name)
def case(request: pytest.FixtureRequest) -> Case:
    found = request.param
    assert isinstance(found, Case)
    return found


def test_envoy_gets_what_is_expected(case: Case, refresh: bool) -> None:
    if refresh:
        case.write()
    expected = {path.name: path.read_text() for path in case.expected.iterdir()}
    assert case.files() == expected, "if the difference is wanted: make golden"


def test_nothing_that_envoy_insists_on_is_missing(case: Case) -> None:
    assert check_published(case.published()) == ()


def test_envoy_takes_it(case: Case, tmp_path: Path) -> None:
    assert validate(case.compiled(), tmp_path) == ""
