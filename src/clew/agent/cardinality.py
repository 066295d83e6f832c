"""How many series the metrics of a proxy have, and which labels they come from."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

_SERIES = re.compile(r"^(istio_\w+?)(?:_sum|_count)?\{(.*)\} \S+$")
_LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\.)*)"')
# Of the labels, those with the most values.
_NAMED = 5
# Source: ``clew.compile.stats``: at 2,000 a filter chain of Envoy begins no more series.
_MANY = 1_800


@dataclass(frozen=True, slots=True)
class Cardinality:
    """``series`` by metric; ``values``: how many a label has, and one of them, the most first."""

    series: Mapping[str, int]
    values: tuple[tuple[str, int, str], ...]

    @property
    def warning(self) -> str:
        """What is to be said of metrics that have, or will soon have, too many series; or ""."""
        metric, count = max(self.series.items(), key=lambda each: each[1], default=("", 0))
        if count < _MANY:
            return ""
        label, values, example = self.values[0]
        return (
            f"{metric} has {count} series, and what is beyond 2,000 in one filter chain is not "
            f"counted; most come from the label {label}, which has {values} values, such as "
            f'"{example}". Let a Telemetry remove it, or give it fewer'
        )

    def lines(self) -> Iterator[str]:
        yield "# TYPE clew_metric_series gauge"
        for metric, count in self.series.items():
            yield f'clew_metric_series{{metric="{metric}"}} {count}'
        yield "# TYPE clew_label_values gauge"
        for label, count, _ in self.values:
            yield f'clew_label_values{{label="{label}"}} {count}'


def cardinality(page: str) -> Cardinality:
    """Read a page with Istio's metrics."""
    series: dict[str, set[str]] = {}
    for line in page.splitlines():
        match = _SERIES.match(line) if line.startswith("istio_") else None
        if match is not None and not match[1].endswith("_bucket"):
            series.setdefault(match[1], set()).add(match[2])
    values: dict[str, set[str]] = {}
    for labels in set().union(*series.values()):
        for name, value in _LABEL.findall(labels):
            values.setdefault(name, set()).add(value)
    most = sorted(values.items(), key=lambda each: (-len(each[1]), each[0]))[:_NAMED]
    return Cardinality(
        {metric: len(found) for metric, found in sorted(series.items())},
        tuple((name, len(found), min(found)) for name, found in most),
    )
