"""What a workload's proxy tells of its traffic: metrics, access logs and traces of each side.

Source: istio ``pilot/pkg/model/telemetry.go``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TypeVar

from clew.model import names
from clew.model.base import Resource, age_order
from clew.model.extension_providers import (
    EnvoyFileAccessLogProvider,
    ExtensionProvider,
    OpenTelemetryTracingProvider,
    PrometheusMetricsProvider,
    ZipkinTracingProvider,
)
from clew.model.mesh_config import MeshConfig
from clew.model.proxy import Proxy
from clew.model.telemetry import (
    AccessLogging,
    CustomTag,
    IstioMetric,
    Metrics,
    ProviderRef,
    TagOperation,
    Telemetry,
    Tracing,
    WorkloadMode,
)
from clew.snapshot.policy_targets import binds

T = TypeVar("T")

# Source: the default of Istio's chart. Who wants none says so with a Telemetry.
_DEFAULT_METRICS = ("prometheus",)
TRACES_OF_CONTROL_PLANE = ExtensionProvider(
    name="clew", opentelemetry=OpenTelemetryTracingProvider(service=names.CONTROL_PLANE_CLUSTER)
)
# Source: the providers that Istio's MeshConfig always has, and clew's own receiver of traces.
_BUILT_IN = (
    ExtensionProvider(name="prometheus", prometheus=PrometheusMetricsProvider()),
    TRACES_OF_CONTROL_PLANE,
    ExtensionProvider(
        name="envoy", envoy_file_access_log=EnvoyFileAccessLogProvider(path="/dev/stdout")
    ),
)
STANDARD_METRICS = tuple(each for each in IstioMetric if each is not IstioMetric.ALL_METRICS)

# By tag: the expression that gives its value, None to leave it out. Sorted.
Tags = tuple[tuple[str, str | None], ...]


@dataclass(frozen=True, slots=True)
class MetricInForce:
    metric: IstioMetric
    tags: Tags = ()


@dataclass(frozen=True, slots=True)
class AccessLogInForce:
    """``filter``: the expression that is true of what is logged, "" for everything."""

    provider: ExtensionProvider
    filter: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TracingInForce:
    """``sampling``: percent of requests; None: what the proxy's own settings say."""

    provider: ExtensionProvider | None = None
    disabled: bool = False
    sampling: float | None = None
    custom_tags: Mapping[str, CustomTag] = field(default_factory=dict)
    sample_by_request_id: bool = True
    istio_tags: bool | None = None
    propagates_context: bool = True


NO_TRACING = TracingInForce(disabled=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class SideTelemetry:
    """What a proxy tells of the traffic on one side of it.

    ``access_logs`` None: what MeshConfig's ``accessLogFile`` says.
    """

    metrics: tuple[MetricInForce, ...] = ()
    access_logs: tuple[AccessLogInForce, ...] | None = None
    tracing: TracingInForce = NO_TRACING


SILENCE = SideTelemetry()


@dataclass(frozen=True, slots=True, kw_only=True)
class TelemetryInForce:
    """``client``: of requests that the workload makes, and of all that pass a gateway."""

    client: SideTelemetry = SILENCE
    server: SideTelemetry = SILENCE


NO_TELEMETRY = TelemetryInForce()


def applicable(
    telemetries: Mapping[str, Mapping[str, Resource]], proxy: Proxy, root_namespace: str
) -> tuple[Telemetry, ...]:
    """Return the Telemetry objects that a proxy heeds, from general to special.

    The root namespace's, the namespace's, and those that choose the workload; of several without
    a choice in one namespace the oldest.
    """
    found: list[Telemetry] = []
    for namespace in dict.fromkeys((root_namespace, proxy.namespace)):
        whole = (each for each in _of(telemetries, namespace) if not _chooses(each))
        found += [*whole][:1]
    chosen = (each for each in _of(telemetries, proxy.namespace) if _chooses(each))
    return (*found, *(each for each in chosen if binds(each, proxy, proxy.namespace)))


def _of(telemetries: Mapping[str, Mapping[str, Resource]], namespace: str) -> list[Telemetry]:
    named = telemetries.get(namespace, {}).values()
    return sorted((each for each in named if isinstance(each, Telemetry)), key=age_order)


def _chooses(telemetry: Telemetry) -> bool:
    spec = telemetry.spec
    selector = spec.selector is not None and bool(spec.selector.match_labels)
    return selector or bool(spec.target_refs) or spec.target_ref is not None


def telemetry_in_force(
    mesh: MeshConfig, *telemetries: Telemetry, trace_sampling: float = 0.0
) -> TelemetryInForce:
    """Return what the objects come to, the first being the most general.

    ``trace_sampling``: in percent, for the control plane's own receiver of traces, where neither
    they nor the mesh's settings name another provider or share.
    """
    of_mesh = _tracing_of(mesh, trace_sampling)
    return TelemetryInForce(
        client=_side(mesh, telemetries, WorkloadMode.CLIENT, of_mesh),
        server=_side(mesh, telemetries, WorkloadMode.SERVER, of_mesh),
    )


def _side(
    mesh: MeshConfig, telemetries: Sequence[Telemetry], side: WorkloadMode, of_mesh: TracingInForce
) -> SideTelemetry:
    find = partial(_providers, providers(mesh))
    return SideTelemetry(
        metrics=_metrics(mesh, [m for t in telemetries for m in t.spec.metrics], side, find),
        access_logs=_access_logs(mesh, [t.spec.access_logging for t in telemetries], side, find),
        tracing=_tracing(
            of_mesh, [each for t in telemetries for each in t.spec.tracing], side, find
        ),
    )


_Find = Callable[[Iterable[str]], Iterator[ExtensionProvider]]


def providers(mesh: MeshConfig) -> dict[str, ExtensionProvider]:
    """Return the mesh's providers by name, those that are always there included."""
    return {each.name: each for each in (*_BUILT_IN, *mesh.extension_providers)}


def _providers(
    known: Mapping[str, ExtensionProvider], names: Iterable[str]
) -> Iterator[ExtensionProvider]:
    return (known[name] for name in names if name in known)


def _names(references: Sequence[ProviderRef]) -> tuple[str, ...]:
    return tuple(each.name for each in references)


def _concerns(mode: WorkloadMode | None, side: WorkloadMode) -> bool:
    return mode in (None, WorkloadMode.CLIENT_AND_SERVER, side)


def _metrics(
    mesh: MeshConfig, given: Sequence[Metrics], side: WorkloadMode, find: _Find
) -> tuple[MetricInForce, ...]:
    """Later overrides add to earlier ones, for each of the providers that they are for."""
    declared = mesh.default_providers.metrics if mesh.default_providers else ()
    names = declared or _DEFAULT_METRICS
    overrides: dict[str, dict[IstioMetric, _Override]] = {} if given else {n: {} for n in names}
    for metrics in given:
        names = _names(metrics.providers) or names
        for name in names:
            _override(overrides.setdefault(name, {}), metrics, side)
    prometheus = (p for p in find(overrides) if p.prometheus is not None)
    of_provider = next((overrides[provider.name] for provider in prometheus), None)
    if of_provider is None:
        return ()
    every = ((metric, of_provider.get(metric, _NO_OVERRIDE)) for metric in STANDARD_METRICS)
    return tuple(
        MetricInForce(metric, tuple(sorted(override.tags.items())))
        for metric, override in every
        if not override.disabled
    )


@dataclass(frozen=True, slots=True)
class _Override:
    disabled: bool = False
    tags: Mapping[str, str | None] = field(default_factory=dict)


_NO_OVERRIDE = _Override()


def _override(found: dict[IstioMetric, _Override], given: Metrics, side: WorkloadMode) -> None:
    for each in given.overrides:
        match = each.match
        if match is not None and (match.custom_metric or not _concerns(match.mode, side)):
            continue
        every = match is None or match.metric in (None, IstioMetric.ALL_METRICS)
        tags = {
            name: None if tag.operation is TagOperation.REMOVE else tag.value
            for name, tag in each.tag_overrides.items()
        }
        for metric in STANDARD_METRICS:
            if every or (match is not None and match.metric is metric):
                old = found.get(metric, _NO_OVERRIDE)
                disabled = old.disabled if each.disabled is None else each.disabled
                found[metric] = _Override(disabled, {**old.tags, **tags})


def _access_logs(
    mesh: MeshConfig, levels: Sequence[Sequence[AccessLogging]], side: WorkloadMode, find: _Find
) -> tuple[AccessLogInForce, ...] | None:
    """The providers of the most special level that names some are in force, and no others."""
    default = mesh.default_providers.access_logging if mesh.default_providers else ()
    levels = [level for level in levels if level]
    if not levels:
        logs = tuple(AccessLogInForce(each) for each in find(default))
        return logs if default else None
    in_scope = set(default)
    for level in levels:
        named = (_names(e.providers) for e in level if _concerns(_mode(e), side))
        in_scope = {name for names in named for name in names} or in_scope
    found = {name: "" for name in default if name in in_scope}
    names: Sequence[str] = default
    for each in (each for level in levels for each in level):
        names = _names(each.providers) or names
        for name in names:
            if name not in in_scope or not _concerns(_mode(each), side):
                continue
            if each.disabled:
                found.pop(name, None)
            else:
                found[name] = each.filter.expression if each.filter else found.get(name, "")
    return tuple(AccessLogInForce(p, found[p.name]) for p in find(found))


def _mode(given: AccessLogging | Tracing) -> WorkloadMode | None:
    return given.match.mode if given.match else None


def _tracing_of(mesh: MeshConfig, trace_sampling: float) -> TracingInForce:
    """What is so without any Telemetry."""
    default = mesh.default_providers.tracing if mesh.default_providers else ()
    provider = next(_providers(providers(mesh), default), None) or _own_provider(mesh)
    if provider is not None or default or not trace_sampling or not mesh.enable_tracing:
        return TracingInForce(provider=provider)
    said = mesh.default_config.tracing if mesh.default_config else None
    share = trace_sampling if said is None or said.sampling is None else said.sampling
    return TracingInForce(provider=TRACES_OF_CONTROL_PLANE, sampling=share)


def _tracing(
    of_mesh: TracingInForce, given: Sequence[Tracing], side: WorkloadMode, find: _Find
) -> TracingInForce:
    """Later settings replace earlier ones one by one; custom tags are replaced as a whole."""
    found = of_mesh
    for each in given:
        if not _concerns(_mode(each), side):
            continue
        if names := _names(each.providers):
            found = replace(found, provider=next(find(names[:1]), None))
        found = _overridden(found, each)
    return found if found.provider is not None else replace(found, disabled=True)


def _own_provider(mesh: MeshConfig) -> ExtensionProvider | None:
    """The provider of the proxy's own settings, which name an address and no provider."""
    settings = mesh.default_config.tracing if mesh.default_config else None
    if settings is None or settings.zipkin is None or not mesh.enable_tracing:
        return None
    host, _, port = settings.zipkin.address.rpartition(":")
    zipkin = ZipkinTracingProvider(service=host, port=int(port) if port.isdigit() else 0)
    return ExtensionProvider(name="defaultConfig.tracing.zipkin", zipkin=zipkin)


def _overridden(base: TracingInForce, given: Tracing) -> TracingInForce:
    return TracingInForce(
        provider=base.provider,
        disabled=_said(given.disable_span_reporting, base.disabled),
        sampling=_said(given.random_sampling_percentage, base.sampling),
        custom_tags=given.custom_tags or base.custom_tags,
        sample_by_request_id=_said(
            given.use_request_id_for_trace_sampling, base.sample_by_request_id
        ),
        istio_tags=_said(given.enable_istio_tags, base.istio_tags),
        propagates_context=base.propagates_context
        if given.disable_context_propagation is None
        else not given.disable_context_propagation,
    )


def _said(given: T | None, otherwise: T) -> T:
    return otherwise if given is None else given
