"""Which labels make many series."""

from __future__ import annotations

from clew.agent.cardinality import cardinality


def page(paths: int) -> str:
    lines = ["# TYPE istio_requests_total counter"]
    for number in range(paths):
        labels = f'reporter="source",path="/{number}",response_code="{200 + number % 2}"'
        lines += [f"istio_requests_total{{{labels}}} 1"]
        lines += [f'istio_request_bytes_bucket{{{labels},le="1"}} 1']
        lines += [
            f"istio_request_bytes_sum{{{labels}}} 1",
            f"istio_request_bytes_count{{{labels}}} 1",
        ]
    return "\n".join([*lines, "envoy_server_live{} 1"])


def test_series_are_counted_by_metric_and_labels_by_their_values() -> None:
    found = cardinality(page(3))
    assert found.series == {"istio_request_bytes": 3, "istio_requests_total": 3}
    assert found.values == (
        ("path", 3, "/0"),
        ("response_code", 2, "200"),
        ("reporter", 1, "source"),
    )
    assert 'clew_metric_series{metric="istio_requests_total"} 3' in list(found.lines())
    assert 'clew_label_values{label="path"} 3' in list(found.lines())
    assert found.warning == ""


def test_a_label_with_endless_values_is_named_before_series_are_lost() -> None:
    warning = cardinality(page(1_900)).warning
    assert "1900 series" in warning
    assert 'label path, which has 1900 values, such as "/0"' in warning


def test_there_may_be_nothing_to_count() -> None:
    assert cardinality("").warning == ""
