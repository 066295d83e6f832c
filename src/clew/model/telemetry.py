"""Telemetry: which traces, metrics and access logs proxies emit."""

from __future__ import annotations

from enum import StrEnum

from clew.model.base import Model, Resource
from clew.model.duration import Duration
from clew.model.selectors import PolicySelector, PolicyTargetReference


class ProviderRef(Model, frozen=True, kw_only=True):
    name: str


class WorkloadMode(StrEnum):
    CLIENT_AND_SERVER = "CLIENT_AND_SERVER"
    CLIENT = "CLIENT"
    SERVER = "SERVER"


class IstioMetric(StrEnum):
    ALL_METRICS = "ALL_METRICS"
    REQUEST_COUNT = "REQUEST_COUNT"
    REQUEST_DURATION = "REQUEST_DURATION"
    REQUEST_SIZE = "REQUEST_SIZE"
    RESPONSE_SIZE = "RESPONSE_SIZE"
    TCP_OPENED_CONNECTIONS = "TCP_OPENED_CONNECTIONS"
    TCP_CLOSED_CONNECTIONS = "TCP_CLOSED_CONNECTIONS"
    TCP_SENT_BYTES = "TCP_SENT_BYTES"
    TCP_RECEIVED_BYTES = "TCP_RECEIVED_BYTES"
    GRPC_REQUEST_MESSAGES = "GRPC_REQUEST_MESSAGES"
    GRPC_RESPONSE_MESSAGES = "GRPC_RESPONSE_MESSAGES"


class TagOperation(StrEnum):
    UPSERT = "UPSERT"
    REMOVE = "REMOVE"


class TagLiteral(Model, frozen=True, kw_only=True):
    value: str


class TagEnvironment(Model, frozen=True, kw_only=True):
    name: str
    default_value: str = ""


class TagHeader(Model, frozen=True, kw_only=True):
    name: str
    default_value: str = ""


class TagFormatter(Model, frozen=True, kw_only=True):
    value: str


class CustomTag(Model, frozen=True, kw_only=True):
    literal: TagLiteral | None = None
    environment: TagEnvironment | None = None
    header: TagHeader | None = None
    formatter: TagFormatter | None = None


class TelemetryMatch(Model, frozen=True, kw_only=True):
    mode: WorkloadMode | None = None


class Tracing(Model, frozen=True, kw_only=True):
    match: TelemetryMatch | None = None
    providers: tuple[ProviderRef, ...] = ()
    random_sampling_percentage: float | None = None
    disable_span_reporting: bool | None = None
    disable_context_propagation: bool | None = None
    custom_tags: dict[str, CustomTag] = {}
    enable_istio_tags: bool | None = None
    use_request_id_for_trace_sampling: bool | None = None


class MetricSelector(Model, frozen=True, kw_only=True):
    metric: IstioMetric | None = None
    custom_metric: str | None = None
    mode: WorkloadMode | None = None


class TagOverride(Model, frozen=True, kw_only=True):
    operation: TagOperation | None = None
    value: str = ""


class MetricsOverrides(Model, frozen=True, kw_only=True):
    match: MetricSelector | None = None
    disabled: bool | None = None
    tag_overrides: dict[str, TagOverride] = {}


class Metrics(Model, frozen=True, kw_only=True):
    providers: tuple[ProviderRef, ...] = ()
    overrides: tuple[MetricsOverrides, ...] = ()
    reporting_interval: Duration | None = None


class AccessLogFilter(Model, frozen=True, kw_only=True):
    expression: str = ""


class AccessLogging(Model, frozen=True, kw_only=True):
    match: TelemetryMatch | None = None
    providers: tuple[ProviderRef, ...] = ()
    disabled: bool | None = None
    filter: AccessLogFilter | None = None


class TelemetrySpec(Model, frozen=True, kw_only=True):
    selector: PolicySelector | None = None
    target_ref: PolicyTargetReference | None = None
    target_refs: tuple[PolicyTargetReference, ...] = ()
    tracing: tuple[Tracing, ...] = ()
    metrics: tuple[Metrics, ...] = ()
    access_logging: tuple[AccessLogging, ...] = ()


class Telemetry(Resource, frozen=True, kw_only=True):
    spec: TelemetrySpec = TelemetrySpec()
