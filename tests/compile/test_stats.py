"""What Envoy counts of requests and connections."""

from __future__ import annotations

import pytest

from clew._pb.envoy.config.accesslog.v3.accesslog_pb2 import AccessLog
from clew._pb.envoy.extensions.access_loggers.stats.v3.stats_pb2 import Config as Stats
from clew.compile.stats import connection_stats, operator_of, request_stats
from clew.model.telemetry import IstioMetric
from clew.snapshot.telemetries import STANDARD_METRICS, MetricInForce, Tags


def counted(logs: tuple[AccessLog, ...]) -> dict[str, dict[str, str]]:
    """The tags of each statistic by its name."""
    found = {}
    for log in logs:
        config = Stats()
        assert log.typed_config.Unpack(config)
        stats = [c.stat for c in config.counters] + [h.stat for h in config.histograms]
        for stat in stats:
            found[stat.name] = {tag.name: tag.value_format for tag in stat.tags}
    return found


def rules(tags: Tags = (), *, but: IstioMetric | None = None) -> list[MetricInForce]:
    """All standard metrics, ``tags`` on those of requests' number, without ``but``."""
    return [
        MetricInForce(each, tags if each is IstioMetric.REQUEST_COUNT else ())
        for each in STANDARD_METRICS
        if each is not but
    ]


def test_one_histogram_counts_requests_and_measures_them() -> None:
    every, with_bodies = request_stats(rules(), server=False)
    assert set(counted((every,))) == {
        "istio_requests_and_sizes_milliseconds",
        "istio_response_bytes",
    }
    assert set(counted((with_bodies,))) == {"istio_request_bodies_bytes"}
    assert with_bodies.filter.header_filter.header.name == ":method"
    assert set(counted(request_stats(rules(but=IstioMetric.REQUEST_SIZE), server=False))) == {
        "istio_requests_and_duration_milliseconds",
        "istio_response_bytes",
    }


def test_requests_are_counted_by_themselves_where_durations_are_labelled_otherwise() -> None:
    found = counted(request_stats(rules((("host", "request.host"),)), server=True))
    assert found["istio_requests_total"]["host"] == "%REQ(:AUTHORITY)%"
    assert "host" not in found["istio_request_duration_milliseconds"]


@pytest.mark.parametrize(
    ("metric", "left"),
    [
        (IstioMetric.REQUEST_COUNT, "istio_request_duration_milliseconds"),
        (IstioMetric.REQUEST_DURATION, "istio_requests_total"),
    ],
)
def test_either_goes_without_the_other(metric: IstioMetric, left: str) -> None:
    found = counted(request_stats(rules(but=metric), server=True))
    assert left in found
    assert not any("requests_and" in name for name in found)


def test_nothing_is_counted_where_nothing_is_in_force() -> None:
    assert request_stats((), server=True) == connection_stats((), server=True) == ()
    assert connection_stats([MetricInForce(IstioMetric.REQUEST_SIZE)], server=True) == ()


def test_connections_are_counted_as_they_begin_and_end() -> None:
    opened, closed = connection_stats(rules(), server=True)
    assert set(counted((opened,))) == {"istio_tcp_connections_opened_total"}
    assert set(counted((closed,))) == {
        "istio_tcp_connections_closed_total",
        "istio_tcp_sent_bytes_total",
        "istio_tcp_received_bytes_total",
    }


def test_envoy_is_not_asked_for_what_is_left_out() -> None:
    tags = (("response_code", None), ("response_flags", None))
    found = counted(request_stats(rules(tags), server=False))["istio_requests_total"]
    assert found["clew_removed"] == "response_code,response_flags"
    assert "%RESPONSE_" not in found["clew_peer"]


@pytest.mark.parametrize(
    ("expression", "operator"),
    [
        ("request.host", "%REQ(:AUTHORITY)%"),
        (" request.url_path ", "%PATH(NQ)%"),
        ("request.headers['x-user']", "%REQ(x-user)%"),
        ('response.headers["x-user"]', "%RESP(x-user)%"),
        ("xds.route_name", "%ROUTE_NAME%"),
        ("'fixed'", "fixed"),
        ("string(destination.port)", "%CEL(destination.port)%"),
        ("string(response.code)", "%RESPONSE_CODE%"),
        ("string(response.code) + 'x'", None),
        ("request.url_path.split('/')[1]", None),
        ("has(request.host) ? request.host : 'x'", "%CEL(has(request.host) ? request.host : 'x')%"),
        ("upstream_peer.labels['app'].value", None),
        ("node.metadata['ISTIO_VERSION']", None),
        ("istio_operationId", None),
    ],
)
def test_expressions_become_operators_of_envoy(expression: str, operator: str | None) -> None:
    assert operator_of(expression) == operator
