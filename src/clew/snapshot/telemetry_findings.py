"""What Telemetry objects ask for that cannot be: providers that are not there, and tags that only
Istio's own build of Envoy can tell.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from clew.model.diagnostic import Diagnostic
from clew.model.extension_providers import ExtensionProvider
from clew.model.status import REFERENCE_NOT_FOUND, object_warning
from clew.model.telemetry import Metrics, ProviderRef, Telemetry, TelemetrySpec
from clew.snapshot.authorization_policies import service_of
from clew.snapshot.objects import objects_of
from clew.snapshot.snapshot import MeshSnapshot
from clew.snapshot.telemetries import providers

# Attributes and functions of expressions that stock Envoy does not have.
_ISTIOS = re.compile(
    r"\b(istio_\w+|node\.|upstream_peer\b|downstream_peer\b|filter_state\.(up|down)stream_peer\b)"
    r"|\b(string|charAt|format|join|lowerAscii|replace|split|substring|trim|upperAscii)\("
)
_AS_TEXT = re.compile(r"\s*string\(([^()]*)\)\s*")
_METRICS = ("prometheus",)
_LOGS = ("envoy_file_access_log", "envoy_http_als", "envoy_tcp_als", "envoy_otel_als")
_TRACES = ("opentelemetry", "zipkin")


def value_of(expression: str) -> str:
    """The same without a conversion to text of the whole, as Envoy writes every tag as text:
    ``string(destination.port)`` → ``destination.port``.
    """
    found = _AS_TEXT.fullmatch(expression)
    return (found[1] if found else expression).strip()


def is_only_istios(expression: str) -> bool:
    """Whether an expression is about something that only Istio's build of Envoy knows."""
    return _ISTIOS.search(value_of(expression)) is not None


def telemetry_without_effect(snapshot: MeshSnapshot) -> Iterator[Diagnostic]:
    """Yield what of each Telemetry object is not in force, and why."""
    known = providers(snapshot.mesh)
    for telemetry in objects_of(Telemetry, snapshot.objects):
        for index, metrics in enumerate(telemetry.spec.metrics):
            yield from _tags(telemetry, metrics, f"spec.metrics[{index}]")
        for field, given, possible in _named(telemetry.spec):
            for position, (problem, hint) in _providers(given, known, possible, snapshot):
                yield object_warning(
                    telemetry.key,
                    f"{problem}: nothing is sent to it",
                    field=f"{field}.providers[{position}].name",
                    code=REFERENCE_NOT_FOUND,
                    hint=hint,
                )


def _named(spec: TelemetrySpec) -> Iterator[tuple[str, Sequence[ProviderRef], Sequence[str]]]:
    """Yield where providers are named, which, and the kinds that they may be of."""
    for index, metrics in enumerate(spec.metrics):
        yield f"spec.metrics[{index}]", metrics.providers, _METRICS
    for index, logging in enumerate(spec.access_logging):
        yield f"spec.accessLogging[{index}]", logging.providers, _LOGS
    for index, tracing in enumerate(spec.tracing):
        yield f"spec.tracing[{index}]", tracing.providers, _TRACES


def _providers(
    given: Sequence[ProviderRef],
    known: Mapping[str, ExtensionProvider],
    possible: Sequence[str],
    snapshot: MeshSnapshot,
) -> Iterator[tuple[int, tuple[str, str]]]:
    for position, reference in enumerate(given):
        provider = known.get(reference.name)
        if provider is None:
            names = ", ".join(sorted(known))
            problem = f'MeshConfig has no extension provider "{reference.name}"'
            yield position, (problem, f"it has {names}")
            continue
        declared = next((k for k in possible if getattr(provider, k) is not None), None)
        if declared is None:
            problem = f'extension provider "{reference.name}" is none that this can go to'
            yield position, (problem, "")
            continue
        service = getattr(getattr(provider, declared), "service", "")
        if service and not service_of(service, snapshot.services.by_host):
            problem = f'the mesh has no service "{service}", or several'
            yield position, (problem, "")


def _tags(telemetry: Telemetry, metrics: Metrics, field: str) -> Iterator[Diagnostic]:
    for index, override in enumerate(metrics.overrides):
        where = f"{field}.overrides[{index}]"
        if override.match is not None and override.match.custom_metric:
            yield object_warning(
                telemetry.key,
                "there are no metrics but the standard ones: the override has no effect",
                field=f"{where}.match.customMetric",
            )
        for name, tag in override.tag_overrides.items():
            if is_only_istios(tag.value):
                yield object_warning(
                    telemetry.key,
                    "stock Envoy does not know this: metrics do not have the tag",
                    field=f"{where}.tagOverrides.{name}.value",
                    hint="request.*, response.*, connection.*, source.*, destination.* and xds.* "
                    "are known, and the labels of both workloads are there anyway",
                )
