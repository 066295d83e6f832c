"""Envoy's page of metrics with Istio's names and labels in it.

Source: the Prometheus text format; ``clew.model.metrics`` for what Envoy's one label holds.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from clew.model.metrics import (
    ABSENT,
    DURATION,
    PEER_TAG,
    REMOVED_TAG,
    REQUESTS,
    REQUESTS_AND_DURATION,
    UNKNOWN,
    Own,
    istio_labels,
)

# How Envoy calls what the stats access logger counts in the scope "istio".
_PREFIX = "envoy_istio_"
_TYPE = f"# TYPE {_PREFIX}"
_LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\.)*)"')
_ESCAPED = {'\\"': '"', "\\\\": "\\", "\\n": "\n"}
_ANY_ESCAPED = re.compile(r'\\["\\n]')
_TO_ESCAPE = str.maketrans({'"': '\\"', "\\": "\\\\", "\n": "\\n"})
_PARTS = ("_bucket", "_sum", "_count")


@dataclass(slots=True)
class Family:
    """One metric: its kind, and its samples by ``_bucket``, ``_sum``, ``_count`` or ``""``, labels
    as text, and bucket.
    """

    kind: str
    samples: dict[tuple[str, str, str], str] = field(default_factory=dict)

    def add(self, part: str, labels: str, bucket: str, value: str) -> None:
        """Add a sample. Series that differ in nothing but labels that are left out are one."""
        key = (part, labels, bucket)
        if (before := self.samples.get(key)) is not None:
            value = f"{float(before) + float(value):.15g}"
        self.samples[key] = value


def istio_page(text: str, own: Own) -> str:
    """Return Envoy's page as Istio's proxies have theirs: the rest of it stays as it is."""
    rest: list[str] = []
    families: dict[str, Family] = {}
    for line in text.splitlines():
        if line.startswith(_TYPE):
            name, _, kind = line.removeprefix(_TYPE).partition(" ")
            _declare(families, name, kind)
        elif line.startswith(_PREFIX):
            _take(families, line.removeprefix(_PREFIX), own)
        else:
            rest.append(line)
    return "\n".join([*_written(families), *rest, ""])


def _declare(families: dict[str, Family], name: str, kind: str) -> None:
    if name == REQUESTS_AND_DURATION:
        families.setdefault(REQUESTS, Family("counter"))
        name = DURATION
    families.setdefault(name, Family(kind))


def _take(families: Mapping[str, Family], line: str, own: Own) -> None:
    series, _, value = line.rpartition(" ")
    name, _, labels = series.rstrip("}").partition("{")
    part, bucket = "", ""
    if name not in families:
        name, part = _split(name)
        if part == "_bucket":
            labels, _, bucket = labels.rpartition(',le="')
            bucket = bucket.rstrip('"')
    both = name == REQUESTS_AND_DURATION
    text = _labels(labels, own, tcp=name.startswith("istio_tcp_"))
    if both and part == "_count":
        families[REQUESTS].add("", text, "", value)
    family = families.get(DURATION if both else name)
    if family is not None:
        family.add(part, text, bucket, value)


def _split(name: str) -> tuple[str, str]:
    for part in _PARTS:
        if name.endswith(part):
            return name.removesuffix(part), part
    return name, ""


def _labels(text: str, own: Own, *, tcp: bool) -> str:
    """Istio's labels as text, given Envoy's."""
    given = {name: _plain(value) for name, value in _LABEL.findall(text)}
    found = istio_labels(own, given.pop(PEER_TAG, ""), tcp=tcp)
    removed = given.pop(REMOVED_TAG, "").split(",")
    more = {name: UNKNOWN if value in ("", ABSENT) else value for name, value in given.items()}
    labels = {name: value for name, value in (found | more).items() if name not in removed}
    return ",".join(f'{name}="{value.translate(_TO_ESCAPE)}"' for name, value in labels.items())


def _plain(value: str) -> str:
    if "\\" not in value:
        return value
    return _ANY_ESCAPED.sub(lambda match: _ESCAPED[match[0]], value)


def _written(families: Mapping[str, Family]) -> Iterator[str]:
    for name, family in families.items():
        if family.samples:
            yield f"# TYPE {name} {family.kind}"
        for (part, labels, bucket), value in family.samples.items():
            more = f',le="{bucket}"' if bucket else ""
            yield f"{name}{part}{{{labels}{more}}} {value}"


def joined(pages: Iterable[str]) -> str:
    """Return several pages as one. What ends a page of OpenMetrics ends none of the others."""
    lines = (line for page in pages for line in page.splitlines() if line and line != "# EOF")
    return "\n".join([*lines, ""])
