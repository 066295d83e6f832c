"""Plain tables, and the best of several runs."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence


def show(title: str, header: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print a Markdown table, so that its output can go into the documentation as it is."""
    cells = [[str(c) for c in row] for row in [header, *rows]]
    widths = [max(len(row[i]) for row in cells) for i in range(len(header))]
    print(f"\n### {title}\n")
    for number, row in enumerate(cells):
        print("| " + " | ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)) + " |")
        if number == 0:
            print("|" + "|".join("-" * (w + 2) for w in widths) + "|")


def best(run: Callable[[], object], times: int = 5) -> float:
    """Return the least CPU time of ``times`` runs, in milliseconds.

    For work that neither waits nor has threads: beside other programs it is what the clock would
    say without them.
    """
    return min(_milliseconds(run) for _ in range(times))


def _milliseconds(run: Callable[[], object]) -> float:
    start = time.process_time()
    run()
    return (time.process_time() - start) * 1000


def verdict(measured: float, budget: float, *, at_least: bool = False) -> str:
    good = measured >= budget if at_least else measured <= budget
    ratio = measured / budget
    return "yes" if good else f"no ({ratio:.{0 if ratio >= 10 else 2}f} times the budget)"
