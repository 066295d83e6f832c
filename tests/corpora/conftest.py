"""The table of how much of each corpus comes out as in Istio: ``make corpora``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import pytest

NAME = "corpus"


class Score(Protocol):
    def __call__(self, corpus: str, total: int, wrong: Sequence[str], reached: float) -> None:
        """Note the result, print what is ``wrong``, and fail below the share once ``reached``."""


@pytest.fixture
def score(record_property: Callable[[str, object], None]) -> Score:
    def noted(corpus: str, total: int, wrong: Sequence[str], reached: float) -> None:
        record_property(NAME, (corpus, total, len(wrong), reached))
        print(*(f"{corpus}: {each}" for each in wrong), sep="\n")
        assert (total - len(wrong)) / total >= reached, f"{len(wrong)} of {total} are wrong"

    return noted


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    results = [
        value
        for reports in terminalreporter.stats.values()
        for report in reports
        for name, value in getattr(report, "user_properties", ())
        if name == NAME and report.when == "call"
    ]
    if results:
        terminalreporter.write_sep("=", "as in Istio")
    for corpus, total, wrong, reached in sorted(results):
        share = (total - wrong) / total
        terminalreporter.write_line(
            f"{corpus:32} {total - wrong:5} of {total:5}  {share:6.1%}  (at least {reached:.1%})"
        )
