"""Envoy's page of metrics with Istio's names and labels in it.

Source: the Prometheus text format; ``clew.model.metrics`` for what Envoy's one label holds.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache, partial

from clew.model.metrics import (
    ABSENT,
    DURATION,
    PEER_TAG,
    REMOVED_TAG,
    REQUEST_BODIES,
    REQUEST_BYTES,
    REQUESTS,
    REQUESTS_AND_DURATION,
    REQUESTS_AND_SIZES,
    UNKNOWN,
    Own,
    istio_labels,
)

# How Envoy calls what the stats access logger counts in the scope "istio": all of Istio's names.
_PREFIX, _ISTIOS = "envoy_istio_", "envoy_istio_istio_"
_TYPE, _ISTIOS_TYPE = f"# TYPE {_PREFIX}", f"# TYPE {_ISTIOS}"
_LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\.)*)"')
_ESCAPED = {'\\"': '"', "\\\\": "\\", "\\n": "\n"}
_ANY_ESCAPED = re.compile(r'\\["\\n]')
_TO_ESCAPE = str.maketrans({'"': '\\"', "\\": "\\\\", "\n": "\\n"})
_PARTS = ("_bucket", "_sum", "_count")
# What Istio does not have.
_JOINT = frozenset({REQUESTS_AND_DURATION, REQUESTS_AND_SIZES, REQUEST_BODIES})


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
    # Envoy repeats a series' labels for each of its buckets.
    labels = cache(partial(_labels, own))
    for line in text.splitlines():
        if line.startswith(_ISTIOS_TYPE):
            name, _, kind = line.removeprefix(_TYPE).partition(" ")
            families.setdefault(name, Family(kind))
        elif line.startswith(_ISTIOS):
            _take(families, line.removeprefix(_PREFIX), labels)
        else:
            rest.append(line)
    return "\n".join([*_written(_told_apart(families)), *rest, ""])


def _take(families: Mapping[str, Family], line: str, labels_of: Callable[[str, bool], str]) -> None:
    series, _, value = line.rpartition(" ")
    name, _, labels = series.rstrip("}").partition("{")
    part, bucket = "", ""
    if name not in families:
        name, part = _split(name)
        if part == "_bucket":
            labels, _, bucket = labels.rpartition(',le="')
            bucket = bucket.rstrip('"')
    if name in families:
        text = labels_of(labels, name.startswith("istio_tcp_"))
        families[name].add(part, text, bucket, value)


def _told_apart(families: Mapping[str, Family]) -> Mapping[str, Family]:
    """Istio's metrics where Envoy counts several together."""
    found = {name: each for name, each in families.items() if name not in _JOINT}
    for name in (REQUESTS_AND_DURATION, REQUESTS_AND_SIZES):
        joint = families.get(name)
        if joint is None:
            continue
        requests = found.setdefault(REQUESTS, Family("counter"))
        durations = found.setdefault(DURATION, Family("histogram"))
        for (part, labels, bucket), value in joint.samples.items():
            durations.add(part, labels, bucket, value)
            if part == "_count":
                requests.add("", labels, "", value)
        if name == REQUESTS_AND_SIZES:
            bodies = families.get(REQUEST_BODIES, Family("histogram"))
            found[REQUEST_BYTES] = _with_empty(bodies, joint)
    return found


def _with_empty(bodies: Family, requests: Family) -> Family:
    """``bodies``, and no bytes for each of the other ``requests``."""
    sizes = Family("histogram")
    told = {labels: value for (p, labels, _), value in bodies.samples.items() if p == "_count"}
    counts = {labels: value for (p, labels, _), value in requests.samples.items() if p == "_count"}
    for part, labels, bucket in requests.samples:
        value = bodies.samples.get((part, labels, bucket), "0")
        if part != "_sum":
            empty = int(counts[labels]) - int(told.get(labels, "0"))
            value = str(int(value) + max(empty, 0))
        sizes.add(part, labels, bucket, value)
    return sizes


def _split(name: str) -> tuple[str, str]:
    for part in _PARTS:
        if name.endswith(part):
            return name.removesuffix(part), part
    return name, ""


def _labels(own: Own, text: str, tcp: bool) -> str:
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
