"""Istio's admission rules for Telemetry."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from clew.config.finding import FieldPath, Finding
from clew.config.validate.expressions import check_expression
from clew.config.validate.scalars import check_duration, check_range
from clew.config.validate.selectors import check_targets
from clew.model.telemetry import CustomTag, Metrics, ProviderRef, TagOperation, Telemetry


def validate_telemetry(resource: Telemetry) -> Iterator[Finding]:
    spec = resource.spec
    yield from check_targets(spec)
    if len(spec.tracing) > 1:
        yield Finding(("spec", "tracing"), "only the first entry is used", warning=True)
    for index, tracing in enumerate(spec.tracing):
        path: FieldPath = ("spec", "tracing", index)
        percentage = tracing.random_sampling_percentage
        yield from check_range(percentage, 0, 100, (*path, "randomSamplingPercentage"))
        if len(tracing.providers) > 1:
            problem = "only the first provider is used"
            yield Finding((*path, "providers"), problem, warning=True)
        yield from _check_providers(tracing.providers, (*path, "providers"))
        for name, tag in tracing.custom_tags.items():
            if not name:
                yield Finding((*path, "customTags"), "the name of a tag is empty")
            yield from _check_tag(tag, (*path, "customTags", name))
    for index, metrics in enumerate(spec.metrics):
        yield from _check_metrics(metrics, ("spec", "metrics", index))
    for index, logging in enumerate(spec.access_logging):
        path = ("spec", "accessLogging", index)
        yield from _check_providers(logging.providers, (*path, "providers"))
        if logging.filter is not None:
            at = (*path, "filter", "expression")
            yield from check_expression(logging.filter.expression, at)


def _check_providers(providers: Sequence[ProviderRef], path: FieldPath) -> Iterator[Finding]:
    for index, provider in enumerate(providers):
        if not provider.name:
            yield Finding((*path, index, "name"), "the name is empty")


def _check_tag(tag: CustomTag, path: FieldPath) -> Iterator[Finding]:
    kinds = (tag.literal, tag.environment, tag.header, tag.formatter)
    if sum(kind is not None for kind in kinds) > 1:
        yield Finding(path, "set only one of literal, environment, header and formatter")
    if tag.literal is not None and not tag.literal.value:
        yield Finding((*path, "literal", "value"), "the value is empty")
    if tag.environment is not None and not tag.environment.name:
        yield Finding((*path, "environment", "name"), "the name is empty")
    if tag.header is not None and not tag.header.name:
        yield Finding((*path, "header", "name"), "the name is empty")
    if tag.formatter is not None and not tag.formatter.value:
        yield Finding((*path, "formatter", "value"), "the value is empty")


def _check_metrics(metrics: Metrics, path: FieldPath) -> Iterator[Finding]:
    yield from check_duration(metrics.reporting_interval, (*path, "reportingInterval"))
    yield from _check_providers(metrics.providers, (*path, "providers"))
    for index, override in enumerate(metrics.overrides):
        at = (*path, "overrides", index)
        if (match := override.match) is not None:
            if match.metric is not None and match.custom_metric is not None:
                yield Finding((*at, "match"), "metric and customMetric exclude each other")
            if match.custom_metric == "":
                yield Finding((*at, "match", "customMetric"), "the name is empty")
        for name, tag in override.tag_overrides.items():
            where = (*at, "tagOverrides", name)
            if not name:
                yield Finding((*at, "tagOverrides"), "the name of a tag is empty", warning=True)
            removes = tag.operation is TagOperation.REMOVE
            if removes and tag.value:
                yield Finding(where, "operation REMOVE takes no value")
            if not removes and not tag.value:
                yield Finding(where, "operation UPSERT needs a value")
