"""Istio's standard metrics, counted by Envoy's access logger for statistics.

Envoy has one label with all that it knows of a request, and the agent makes Istio's labels of it
(see ``clew.model.metrics``).

Source: https://istio.io/latest/docs/reference/config/metrics/
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from clew._pb.envoy.config.accesslog.v3.accesslog_pb2 import (
    AccessLog,
    AccessLogFilter,
    AndFilter,
    HeaderFilter,
    LogTypeFilter,
    OrFilter,
    ResponseFlagFilter,
)
from clew._pb.envoy.config.route.v3.route_components_pb2 import HeaderMatcher
from clew._pb.envoy.data.accesslog.v3.accesslog_pb2 import AccessLogType
from clew._pb.envoy.extensions.access_loggers.stats.v3.stats_pb2 import Config as Stats
from clew._pb.envoy.type.matcher.v3.string_pb2 import StringMatcher
from clew._pb.envoy.type.v3.scope_pb2 import Scope
from clew.compile.typed_config import typed_config
from clew.model import metrics
from clew.model.telemetry import IstioMetric
from clew.snapshot.telemetries import MetricInForce, Tags
from clew.snapshot.telemetry_findings import is_only_istios, value_of

_LOGGER = "envoy.access_loggers.stats"
# The scope's name comes before each metric's; the inclusion list of the bootstrap lets it pass.
_SCOPE = "istio"
# Series of one metric in one filter chain. A tag with endless values must not fill its memory.
MOST_SERIES = 2_000

_SERVER_TAG = (
    metrics.DESTINATION,
    "%DOWNSTREAM_PEER_OTHERNAME_SAN%",  # see clew.ca.named_peer
    "%CLUSTER_METADATA(istio:service)%",
    "%RESPONSE_CODE%",
    "%RESPONSE_FLAGS%",
    "%GRPC_STATUS_NUMBER%",
    "%DOWNSTREAM_PEER_URI_SAN%",
)
_CLIENT_TAG = (
    metrics.SOURCE,
    "%UPSTREAM_METADATA(istio:workload)%",
    "%UPSTREAM_CLUSTER_RAW%;%CLUSTER_METADATA(istio:namespace)%",
    "%RESPONSE_CODE%",
    "%RESPONSE_FLAGS%",
    "%GRPC_STATUS_NUMBER%",
    "%UPSTREAM_PEER_URI_SAN%",
)
# Connections have neither response codes nor gRPC statuses.
_OF_REQUESTS = ("%RESPONSE_CODE%", "%GRPC_STATUS_NUMBER%")

_HISTOGRAMS = {
    IstioMetric.REQUEST_DURATION: (metrics.DURATION, "%DURATION%", Stats.Histogram.Milliseconds),
    IstioMetric.REQUEST_SIZE: (metrics.REQUEST_BYTES, "%BYTES_RECEIVED%", Stats.Histogram.Bytes),
    IstioMetric.RESPONSE_SIZE: (metrics.RESPONSE_BYTES, "%BYTES_SENT%", Stats.Histogram.Bytes),
}

_MAY_HAVE_BODY = AccessLogFilter(
    header_filter=HeaderFilter(
        header=HeaderMatcher(
            name=":method", string_match=StringMatcher(exact="GET"), invert_match=True
        )
    )
)
_CONNECTED = LogTypeFilter(types=[AccessLogType.TcpUpstreamConnected])
_ENDED = LogTypeFilter(types=[AccessLogType.TcpConnectionEnd])
# Of a connection that nobody was found for, only the end is ever told.
_NEVER_CONNECTED = ResponseFlagFilter(flags=["NR", "NC", "UH", "UF", "UO", "URX"])
_OPENED_WHEN = AccessLogFilter(
    or_filter=OrFilter(
        filters=[
            AccessLogFilter(log_type_filter=_CONNECTED),
            AccessLogFilter(
                and_filter=AndFilter(
                    filters=[
                        AccessLogFilter(log_type_filter=_ENDED),
                        AccessLogFilter(response_flag_filter=_NEVER_CONNECTED),
                    ]
                )
            ),
        ]
    )
)
_CLOSED_WHEN = AccessLogFilter(log_type_filter=_ENDED)


def request_stats(found: Sequence[MetricInForce], *, server: bool) -> tuple[AccessLog, ...]:
    """The loggers that count requests; none if none of the metrics is in force.

    What is labelled alike is counted together, since each statistic costs every request: nearly
    all requests are by GET and have no body, so their sizes are known without one.
    """
    tags = {each.metric: each.tags for each in found}
    count = tags.get(IstioMetric.REQUEST_COUNT)
    alike = {metric for metric, own in tags.items() if count is not None and own == count}
    config, bodies = _config(), _config()
    names = {metric: name for metric, (name, _, _) in _HISTOGRAMS.items()}
    if count is not None and IstioMetric.REQUEST_DURATION not in alike:
        config.counters.append(_counter(metrics.REQUESTS, _tags(count, server=server)))
    elif count is not None and IstioMetric.REQUEST_SIZE in alike:
        names[IstioMetric.REQUEST_DURATION] = metrics.REQUESTS_AND_SIZES
        names[IstioMetric.REQUEST_SIZE] = metrics.REQUEST_BODIES
    elif count is not None:
        names[IstioMetric.REQUEST_DURATION] = metrics.REQUESTS_AND_DURATION
    for metric, (_, value, unit) in _HISTOGRAMS.items():
        if metric in tags:
            stat = Stats.Stat(name=names[metric], tags=_tags(tags[metric], server=server))
            histogram = Stats.Histogram(stat=stat, unit=unit, value_format=value)
            of_bodies = names[metric] == metrics.REQUEST_BODIES
            (bodies if of_bodies else config).histograms.append(histogram)
    return (*_logger(config), *_logger(bodies, _MAY_HAVE_BODY))


def connection_stats(found: Sequence[MetricInForce], *, server: bool) -> tuple[AccessLog, ...]:
    """The loggers that count connections: one as they begin, one as they end.

    Envoy tells how many bytes a connection has carried in all, so they are counted at its end.
    """
    tags = {
        each.metric: _tags(each.tags, server=server, connections=True)
        for each in found
        if each.metric.startswith("TCP_")
    }
    opened, closed = _config(), _config()
    if IstioMetric.TCP_OPENED_CONNECTIONS in tags:
        opened.counters.append(
            _counter(metrics.TCP_OPENED, tags[IstioMetric.TCP_OPENED_CONNECTIONS])
        )
    for metric, name, value in (
        (IstioMetric.TCP_CLOSED_CONNECTIONS, metrics.TCP_CLOSED, ""),
        (IstioMetric.TCP_SENT_BYTES, metrics.TCP_SENT, "%BYTES_SENT%"),
        (IstioMetric.TCP_RECEIVED_BYTES, metrics.TCP_RECEIVED, "%BYTES_RECEIVED%"),
    ):
        if metric in tags:
            closed.counters.append(_counter(name, tags[metric], value))
    return (*_logger(opened, _OPENED_WHEN), *_logger(closed, _CLOSED_WHEN))


def _config() -> Stats:
    return Stats(stats_scope=Scope(prefix=_SCOPE, enable_eviction=True))


def _logger(config: Stats, when: AccessLogFilter | None = None) -> tuple[AccessLog, ...]:
    if not config.counters and not config.histograms:
        return ()
    scope = config.stats_scope
    scope.max_counters.value = MOST_SERIES * len(config.counters)
    scope.max_histograms.value = MOST_SERIES * len(config.histograms)
    return (AccessLog(name=_LOGGER, filter=when, typed_config=typed_config(config)),)


def _counter(name: str, tags: Iterable[Stats.Tag], value: str = "") -> Stats.Counter:
    counter = Stats.Counter(stat=Stats.Stat(name=name, tags=tags), value_format=value)
    if not value:
        counter.value_fixed.value = 1
    return counter


def _tags(tags: Tags, *, server: bool, connections: bool = False) -> list[Stats.Tag]:
    parts = list(_SERVER_TAG if server else _CLIENT_TAG)
    removed = [name for name, expression in tags if expression is None]
    if connections:
        parts = [metrics.ABSENT if part in _OF_REQUESTS else part for part in parts]
    if "response_code" in removed:
        parts[3] = metrics.ABSENT
    if "response_flags" in removed:
        parts[4] = metrics.ABSENT
    found = [Stats.Tag(name=metrics.PEER_TAG, value_format=metrics.SEPARATOR.join(parts))]
    if removed:
        found.append(Stats.Tag(name=metrics.REMOVED_TAG, value_format=",".join(removed)))
    return [*found, *_upserted(tags)]


def _upserted(tags: Tags) -> Iterator[Stats.Tag]:
    for name, expression in tags:
        value = None if expression is None else operator_of(expression)
        if value is not None:
            yield Stats.Tag(name=name, value_format=value)


# What Envoy has at hand needs no evaluation for each request.
_ATTRIBUTES = {
    "request.host": "%REQ(:AUTHORITY)%",
    "request.method": "%REQ(:METHOD)%",
    "request.path": "%REQ(:PATH)%",
    "request.url_path": "%PATH(NQ)%",
    "request.scheme": "%REQ(:SCHEME)%",
    "request.useragent": "%REQ(USER-AGENT)%",
    "request.protocol": "%PROTOCOL%",
    "response.code": "%RESPONSE_CODE%",
    "response.code_details": "%RESPONSE_CODE_DETAILS%",
    "response.flags": "%RESPONSE_FLAGS%",
    "response.grpc_status": "%GRPC_STATUS_NUMBER%",
    "connection.requested_server_name": "%REQUESTED_SERVER_NAME%",
    "xds.route_name": "%ROUTE_NAME%",
    "xds.cluster_name": "%UPSTREAM_CLUSTER_RAW%",
}
_HEADER = re.compile(r"""(request|response)\.headers\[(['"])([A-Za-z0-9:_-]+)\2\]""")
_TEXT = re.compile(r"""(['"])([^'"\\%]*)\1""")


def operator_of(expression: str) -> str | None:
    """What gives the value of an expression of CEL; None if stock Envoy has nothing for it."""
    text = value_of(expression)
    if text in _ATTRIBUTES:
        return _ATTRIBUTES[text]
    if header := _HEADER.fullmatch(text):
        return f"%{'REQ' if header[1] == 'request' else 'RESP'}({header[3]})%"
    if literal := _TEXT.fullmatch(text):
        return literal[2]
    if is_only_istios(text):
        return None
    return f"%CEL({text})%"
