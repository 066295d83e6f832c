"""What Envoy has counted of traffic, read from its admin page, and what is new of it.

Source: Envoy's ``/stats``: histograms in detail, as how many values each of their bins has.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import msgspec

from clew.api.traffic_report import Counted, durations_of
from clew.model.histogram import bin_of, total
from clew.model.metrics import (
    DURATION,
    PEER_TAG,
    REQUEST_BODIES,
    REQUEST_BYTES,
    REQUESTS,
    REQUESTS_AND_DURATION,
    REQUESTS_AND_SIZES,
    RESPONSE_BYTES,
    SEPARATOR,
    TCP_CLOSED,
    TCP_OPENED,
    TCP_RECEIVED,
    TCP_SENT,
)

STATS_PATH = (
    "/stats?format=json&usedonly&histogram_buckets=detailed"
    "&filter=%5Eistio%5C.istio_|(rbac|jwt_authn)%5C.denied$|outlier_detection%5C.ejections_active$"
)
_OF_ALL_REQUESTS = (REQUESTS_AND_DURATION, REQUESTS_AND_SIZES)
_SCOPE, _TAG, _DENIED = "istio.", f".{PEER_TAG}.", ("rbac.denied", "jwt_authn.denied")
# Of all listeners together.
_DENIED_CONNECTIONS = "tcp.rbac.denied"
_CLUSTER, _EJECTED = "cluster.", ".outlier_detection.ejections_active"
_FIELDS = {TCP_OPENED: "opened", TCP_CLOSED: "closed", TCP_SENT: "sent", TCP_RECEIVED: "received"}

Bins = Mapping[int, int]


class _Bucket(msgspec.Struct):
    lower_bound: float
    count: int


class _Histogram(msgspec.Struct):
    name: str
    totals: list[_Bucket]


class _Histograms(msgspec.Struct):
    details: list[_Histogram] = []


class _Stat(msgspec.Struct):
    """A counter, or all histograms together."""

    name: str = ""
    value: int = 0
    histograms: _Histograms | None = None


class _Page(msgspec.Struct):
    stats: list[_Stat]


_decoder = msgspec.json.Decoder(_Page)


@dataclass(frozen=True, slots=True)
class Sample:
    """All that has been counted since Envoy began, by metric and value of `PEER_TAG`.

    ``denied``, ``denied_connections``: requests and connections that policies refused. ``ejected``:
    how many endpoints of each cluster are left alone now, because they failed.
    """

    counters: Mapping[tuple[str, str], int] = field(default_factory=dict)
    histograms: Mapping[tuple[str, str], Bins] = field(default_factory=dict)
    denied: int = 0
    denied_connections: int = 0
    ejected: Mapping[str, int] = field(default_factory=dict)


def read_sample(page: bytes) -> Sample:
    """Raises: ValueError, if this is not what Envoy answers."""
    counters: dict[tuple[str, str], int] = {}
    histograms: dict[tuple[str, str], Bins] = {}
    ejected: dict[str, int] = {}
    denied = denied_connections = 0
    for stat in _decoder.decode(page).stats:
        if stat.histograms is not None:
            for each in stat.histograms.details:
                histograms[_key(each.name)] = _bins(each.totals)
        elif stat.name == _DENIED_CONNECTIONS:
            denied_connections = stat.value
        elif stat.name.endswith(_DENIED):
            denied += stat.value
        elif stat.name.endswith(_EJECTED):
            if stat.value:
                name = stat.name.removeprefix(_CLUSTER).removesuffix(_EJECTED)
                ejected[name.removesuffix(";")] = stat.value
        else:
            counters[_key(stat.name)] = stat.value
    return Sample(counters, histograms, denied, denied_connections, ejected)


def _bins(buckets: Iterable[_Bucket]) -> Bins:
    """Ours, of Envoy's; of whole numbers, though Envoy may say 229.99999999999997."""
    found: dict[int, int] = {}
    for bucket in buckets:
        number = bin_of(round(bucket.lower_bound))
        found[number] = found.get(number, 0) + bucket.count
    return found


def _key(name: str) -> tuple[str, str]:
    metric, _, tag = name.removeprefix(_SCOPE).partition(_TAG)
    return metric, tag


def denied_since(before: Sample, after: Sample) -> tuple[int, int]:
    """How many requests and how many connections policies refused between two samples."""
    connections = _new(before.denied_connections, after.denied_connections)
    return _new(before.denied, after.denied), connections


def since(before: Sample, after: Sample) -> tuple[Counted, ...]:
    """What has been counted between two samples, by series.

    What is less than before began anew: Envoy did, or it had forgotten a series.
    """
    found: dict[str, _New] = {}
    for (metric, tag), bins_after in after.histograms.items():
        if bins := _new_bins(before.histograms.get((metric, tag), {}), bins_after):
            series, code = _series(tag)
            _count(found.setdefault(series, _New()), metric, code, bins)
    for (metric, tag), value in after.counters.items():
        number = _new(before.counters.get((metric, tag), 0), value)
        if number and (metric == REQUESTS or metric in _FIELDS):
            series, code = _series(tag)
            new = found.setdefault(series, _New())
            if metric == REQUESTS:
                new.requests[code] += number
            else:
                new.sums[_FIELDS[metric]] += number
    return tuple(
        Counted(tag=t, requests=new.requests, durations=durations_of(new.durations), **new.sums)
        for t, new in found.items()
    )


@dataclass(slots=True)
class _New:
    """Of one series: by response code, by bin, by field of `Counted`."""

    requests: Counter[int] = field(default_factory=Counter)
    durations: Counter[int] = field(default_factory=Counter)
    sums: Counter[str] = field(default_factory=Counter)


def _count(new: _New, metric: str, code: int, bins: Bins) -> None:
    if metric in _OF_ALL_REQUESTS:
        new.requests[code] += sum(bins.values())
    if metric in (*_OF_ALL_REQUESTS, DURATION):
        new.durations.update(bins)
    elif metric in (REQUEST_BYTES, REQUEST_BODIES):
        new.sums["request_bytes"] += round(total(bins))
    elif metric == RESPONSE_BYTES:
        new.sums["response_bytes"] += round(total(bins))


def _series(tag: str) -> tuple[str, int]:
    """The tag without its response code, and that code."""
    parts = tag.split(SEPARATOR, 4)
    if len(parts) < 5:
        return tag, 0
    code = parts[3]
    parts[3] = ""
    return SEPARATOR.join(parts), int(code) if code.isdecimal() and len(code) <= 3 else 0


def _new(before: int, after: int) -> int:
    return after - before if after >= before else after


def _new_bins(before: Bins, after: Bins) -> dict[int, int]:
    if any(after.get(number, 0) < count for number, count in before.items()):
        before = {}
    new = {number: count - before.get(number, 0) for number, count in after.items()}
    return {number: count for number, count in new.items() if count}
