"""What Envoy has counted, read from its own page, and what is new of it."""

from __future__ import annotations

import json
from collections import Counter

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clew.agent.envoy_counts import Sample, denied_since, read_sample, since
from clew.api.traffic_report import Counted, bins_of, durations_of
from clew.model.histogram import bin_of
from clew.model.metrics import REQUESTS_AND_SIZES

TAG = "source~reviews-v1;default;reviews;v1;Kubernetes~outbound|9080||reviews.d.svc.x;~200~-~~-"
SERIES = TAG.replace("~200~", "~~")


def page(*stats: object, histograms: object = ()) -> bytes:
    return json.dumps({"stats": [*stats, {"histograms": {"details": histograms}}]}).encode()


def histogram(metric: str, **buckets: int) -> dict[str, object]:
    """``_12=3``: three values from 12 on."""
    totals = [
        {"lower_bound": int(name[1:]), "width": 1, "count": count}
        for name, count in buckets.items()
    ]
    return {"name": f"istio.{metric}.clew_peer.{TAG}", "totals": totals, "intervals": []}


PAGE = page(
    {"name": f"istio.istio_tcp_connections_opened_total.clew_peer.{TAG}", "value": 4},
    {"name": f"istio.istio_tcp_sent_bytes_total.clew_peer.{TAG}", "value": 900},
    {"name": "http.inbound_0.0.0.0_9080;.rbac.denied", "value": 2},
    {"name": "tcp.rbac.denied", "value": 1},
    {"name": "http.inbound_0.0.0.0_9080;.jwt_authn.denied", "value": 4},
    histograms=[
        histogram("istio_requests_and_sizes_milliseconds", _0=5, _120=1),
        histogram("istio_response_bytes", _190=6),
    ],
)


def test_a_page_is_read_by_metric_and_tag() -> None:
    (counted,) = since(Sample(), read_sample(PAGE))
    assert counted == Counted(
        tag=SERIES,
        requests={200: 6},
        durations=durations_of({0: 5, bin_of(120): 1}),
        response_bytes=1170,
        opened=4,
        sent=900,
    )
    assert denied_since(Sample(), read_sample(PAGE)) == (6, 1)


def test_endpoints_that_are_left_alone_are_read_by_cluster() -> None:
    of = "outbound|9080|v1|reviews.default.svc.x"
    found = read_sample(
        page(
            {"name": f"cluster.{of};.outlier_detection.ejections_active", "value": 2},
            {"name": "cluster.other;.outlier_detection.ejections_active", "value": 0},
        )
    )
    assert found.ejected == {of: 2}


@pytest.mark.parametrize("tens", range(10, 100))
def test_bins_are_read_as_envoy_writes_them(tens: int) -> None:
    totals = [{"lower_bound": tens / 10 * 100, "width": 10, "count": 1}]
    each = {**histogram("istio_request_duration_milliseconds"), "totals": totals}
    (counted,) = since(Sample(), read_sample(page(histograms=[each])))
    assert bins_of(counted.durations) == {bin_of(tens * 10): 1}


def test_only_what_is_new_counts() -> None:
    sample = read_sample(PAGE)
    assert since(sample, sample) == ()


def test_an_envoy_that_began_anew_counts_from_nothing() -> None:
    later = page(
        {"name": "http.inbound_0.0.0.0_9080;.rbac.denied", "value": 1},
        histograms=[histogram("istio_requests_and_sizes_milliseconds", _0=2, _120=1, _900=3)],
    )
    before, after = read_sample(PAGE), read_sample(later)
    (counted,) = since(before, after)
    assert counted.requests == {200: 6}
    assert bins_of(counted.durations) == {0: 2, bin_of(120): 1, bin_of(900): 3}
    assert denied_since(before, after) == (1, 0)


def test_durations_that_are_not_counted_together_with_requests_are_told_by_themselves() -> None:
    sample = read_sample(
        page(
            {"name": f"istio.istio_requests_total.clew_peer.{TAG}", "value": 7},
            histograms=[histogram("istio_request_duration_milliseconds", _12=7)],
        )
    )
    (counted,) = since(Sample(), sample)
    assert (counted.requests, bins_of(counted.durations)) == ({200: 7}, {12: 7})


def test_response_codes_of_one_series_are_told_together() -> None:
    tags = {code: TAG.replace("~200~", f"~{code}~") for code in ("200", "503", "-", "9999")}
    metric, opened = "istio_requests_and_sizes_milliseconds", "istio_tcp_connections_opened_total"
    sample = Sample(
        counters={(opened, "odd"): 1},
        histograms={(metric, tag): {len(code): 2} for code, tag in tags.items()},
    )
    found = {each.tag: each for each in since(Sample(), sample)}
    assert found.keys() == {SERIES, "odd"}
    assert found[SERIES].requests == {200: 2, 503: 2, 0: 4}
    assert bins_of(found[SERIES].durations) == {3: 4, 1: 2, 4: 2}


@pytest.mark.parametrize("body", [b"", b"{}", b"no admin", b'{"stats": 3}'])
def test_what_is_no_page_of_envoy_is_said_to_be_none(body: bytes) -> None:
    with pytest.raises((ValueError, msgspec.MsgspecError)):
        read_sample(body)


@given(st.lists(st.dictionaries(st.integers(0, 300), st.integers(1, 50)), max_size=8))
def test_all_that_is_new_adds_up_to_all(steps: list[dict[int, int]]) -> None:
    before, all_bins, told = Sample(), Counter[int](), Counter[int]()
    for step in steps:
        all_bins.update(step)
        after = Sample(histograms={(REQUESTS_AND_SIZES, TAG): dict(all_bins)})
        for counted in since(before, after):
            told.update(bins_of(counted.durations))
        before = after
    assert told == all_bins
