"""Random changes under load through real Envoys: no request fails that no configuration would fail.

Each run prints its seed. ``CLEW_GAP_SEED`` repeats one, ``CLEW_GAP_SECONDS`` makes runs longer.
"""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from random import SystemRandom
from tempfile import mkdtemp

import pytest

from tests.e2e.publishing.run import Plan, Report, run_plan

CHANGES = 25
SECONDS = float(os.environ.get("CLEW_GAP_SECONDS", "5"))
SEED = int(os.environ.get("CLEW_GAP_SEED", "0")) or SystemRandom().randrange(1, 10**6)


@pytest.fixture
def folder() -> Iterator[Path]:
    """A directory with a short path, as sockets need."""
    path = Path(mkdtemp(prefix="clew-"))
    yield path
    shutil.rmtree(path, ignore_errors=True)


def run(folder: Path, plan: Plan) -> Report:
    report = asyncio.run(run_plan(folder, plan))
    print(f"CLEW_GAP_SEED={plan.seed}", report.requests, "requests", report.changes, "changes")
    print(*report.violations[:20], *report.complaints[-20:], sep="\n")
    assert report.violations == []
    assert report.rejected == 0
    assert report.warming == 0
    assert report.changes >= plan.changes
    assert report.requests > 50 * plan.seconds
    return report


@pytest.mark.timeout(120 + SECONDS)
def test_changes_in_a_good_order_fail_no_request(folder: Path) -> None:
    run(folder, Plan(seed=SEED, seconds=SECONDS, changes=CHANGES))


@pytest.mark.timeout(120 + SECONDS)
def test_requests_fail_only_while_the_configuration_says_so(folder: Path) -> None:
    run(folder, Plan(seed=SEED, seconds=SECONDS, changes=CHANGES, harmless=1, breaking=2))


@pytest.mark.timeout(120 + SECONDS)
def test_nothing_fails_while_the_control_plane_is_killed_again_and_again(folder: Path) -> None:
    report = run(folder, Plan(seed=SEED, seconds=SECONDS, changes=CHANGES, breaking=1, kills=True))
    print(report.kills, "kills")
