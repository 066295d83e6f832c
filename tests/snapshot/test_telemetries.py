"""What of several Telemetry objects is in force for a workload."""

from __future__ import annotations

from dataclasses import replace

import pytest

from clew.config.parse import parse_mesh_config
from clew.model.mesh_config import MeshConfig
from clew.model.proxy import Proxy, ProxyType
from clew.model.telemetry import IstioMetric, Telemetry
from clew.snapshot.objects import index_objects
from clew.snapshot.scope_builder import counts_requests
from clew.snapshot.snapshot import build_snapshot
from clew.snapshot.telemetries import (
    STANDARD_METRICS,
    SideTelemetry,
    TelemetryInForce,
    applicable,
    telemetry_in_force,
)
from tests.manifests import resources_of

ROOT = "istio-system"
MESH = """
extensionProviders:
- {name: otel, opentelemetry: {service: collector.default.svc.cluster.local, port: 4317}}
- {name: zipkin, zipkin: {service: zipkin.default.svc.cluster.local, port: 9411}}
- {name: file, envoyFileAccessLog: {path: /tmp/a.log}}
"""


def mesh_config(more: str = "") -> MeshConfig:
    mesh, _ = parse_mesh_config(MESH + more)
    assert mesh.extension_providers
    return mesh


def telemetry(name: str, spec: str, namespace: str = "default", created: str = "") -> str:
    when = f", creationTimestamp: {created}" if created else ""
    return (
        "---\napiVersion: telemetry.istio.io/v1\nkind: Telemetry\n"
        f"metadata: {{name: {name}, namespace: {namespace}{when}}}\nspec: {{{spec}}}\n"
    )


WEB = Proxy(
    type=ProxyType.SIDECAR, name="a", namespace="default", ip="10.0.0.1", labels=(("app", "web"),)
)
GATEWAY = Proxy(
    type=ProxyType.ROUTER,
    name="g",
    namespace="default",
    ip="10.0.0.2",
    labels=(("gateway.networking.k8s.io/gateway-name", "shop"),),
)


def in_force(*objects: str, mesh: str = "", proxy: Proxy = WEB) -> TelemetryInForce:
    found = index_objects(resources_of("".join(objects))).get(Telemetry, {})
    chosen = applicable(found, proxy, ROOT)
    return telemetry_in_force(mesh_config(mesh), *chosen)


def metrics(side: SideTelemetry) -> set[IstioMetric]:
    return {each.metric for each in side.metrics}


def logs(side: SideTelemetry) -> dict[str, str] | None:
    if side.access_logs is None:
        return None
    return {each.provider.name: each.filter for each in side.access_logs}


def test_without_an_object_all_standard_metrics_are_counted() -> None:
    found = in_force()
    assert metrics(found.client) == metrics(found.server) == set(STANDARD_METRICS)
    assert found.client.access_logs is None
    assert found.client.tracing.disabled


def test_general_objects_come_before_special_ones() -> None:
    selector = "selector: {matchLabels: {app: web}}"
    found = index_objects(
        resources_of(
            telemetry("workload", selector)
            + telemetry("other", "selector: {matchLabels: {app: db}}")
            + telemetry("namespace", "metrics: []", created="2026-01-01T00:00:00Z")
            + telemetry("younger", "metrics: []", created="2026-02-01T00:00:00Z")
            + telemetry("elsewhere", "metrics: []", namespace="other")
            + telemetry("mesh", "metrics: []", namespace=ROOT)
            + telemetry("chosen-by-root", selector, namespace=ROOT)
        )
    )[Telemetry]
    names = [each.metadata.name for each in applicable(found, WEB, ROOT)]
    assert names == ["mesh", "namespace", "workload"]


@pytest.mark.parametrize("field", ["targetRef: {}", "targetRefs: [{}]"])
def test_an_object_for_a_gateway_is_for_its_router_only(field: str) -> None:
    target = "{group: gateway.networking.k8s.io, kind: Gateway, name: shop}"
    object_ = telemetry(
        "a", field.replace("{}", target) + ", metrics: [{overrides: [{disabled: true}]}]"
    )
    assert metrics(in_force(object_).client) == set(STANDARD_METRICS)
    assert not in_force(object_, proxy=GATEWAY).client.metrics


def test_metrics_are_disabled_one_by_one_and_for_one_side() -> None:
    found = in_force(
        telemetry(
            "a",
            "metrics: [{overrides: ["
            "{match: {metric: REQUEST_COUNT}, disabled: true},"
            "{match: {metric: TCP_SENT_BYTES, mode: SERVER}, disabled: true}]}]",
        )
    )
    both = set(STANDARD_METRICS) - {IstioMetric.REQUEST_COUNT}
    assert metrics(found.client) == both
    assert metrics(found.server) == both - {IstioMetric.TCP_SENT_BYTES}


def test_what_the_mesh_disables_a_namespace_may_enable_again() -> None:
    found = in_force(
        telemetry("a", "metrics: [{overrides: [{disabled: true}]}]", namespace=ROOT),
        telemetry(
            "b",
            "metrics: [{overrides: ["
            "{match: {metric: REQUEST_COUNT, mode: CLIENT}, disabled: false}]}]",
        ),
    )
    assert metrics(found.client) == {IstioMetric.REQUEST_COUNT}
    assert not found.server.metrics


def test_tags_of_all_levels_are_joined_and_the_most_special_one_wins() -> None:
    found = in_force(
        telemetry(
            "a",
            "metrics: [{overrides: [{tagOverrides: "
            "{host: {value: request.host}, method: {value: request.method}}}]}]",
            namespace=ROOT,
        ),
        telemetry(
            "b",
            "metrics: [{overrides: [{match: {metric: REQUEST_COUNT}, tagOverrides: "
            "{method: {operation: REMOVE}}}]}]",
        ),
    )
    tags = {each.metric: each.tags for each in found.client.metrics}
    assert tags[IstioMetric.REQUEST_COUNT] == (("host", "request.host"), ("method", None))
    assert tags[IstioMetric.REQUEST_SIZE] == (
        ("host", "request.host"),
        ("method", "request.method"),
    )


def test_metrics_of_providers_other_than_prometheus_are_not_counted() -> None:
    assert not in_force(telemetry("a", "metrics: [{providers: [{name: otel}]}]")).client.metrics
    assert in_force(telemetry("a", "metrics: [{providers: [{name: prometheus}]}]")).client.metrics


def test_default_providers_of_access_logs_hold_without_an_object() -> None:
    found = in_force(mesh="defaultProviders: {accessLogging: [file]}")
    assert logs(found.client) == logs(found.server) == {"file": ""}


def test_the_most_special_level_that_names_providers_of_access_logs_counts() -> None:
    found = in_force(
        telemetry("a", "accessLogging: [{providers: [{name: envoy}]}]", namespace=ROOT),
        telemetry(
            "b",
            "accessLogging: [{providers: [{name: file}], match: {mode: SERVER},"
            " filter: {expression: 'response.code >= 400'}}]",
        ),
    )
    assert logs(found.client) == {"envoy": ""}
    assert logs(found.server) == {"file": "response.code >= 400"}


def test_access_logs_are_disabled_for_one_side_or_both() -> None:
    mesh = "defaultProviders: {accessLogging: [envoy]}"
    one = in_force(
        telemetry("a", "accessLogging: [{disabled: true, match: {mode: CLIENT}}]"), mesh=mesh
    )
    assert (logs(one.client), logs(one.server)) == ({}, {"envoy": ""})
    both = in_force(telemetry("a", "accessLogging: [{disabled: true}]"), mesh=mesh)
    assert (logs(both.client), logs(both.server)) == ({}, {})


def test_settings_of_traces_are_replaced_one_by_one_and_custom_tags_as_a_whole() -> None:
    found = in_force(
        telemetry(
            "a",
            "tracing: [{providers: [{name: otel}], randomSamplingPercentage: 5,"
            " customTags: {a: {literal: {value: '1'}}, b: {literal: {value: '2'}}}}]",
            namespace=ROOT,
        ),
        telemetry("b", "tracing: [{customTags: {c: {literal: {value: '3'}}}}]"),
        telemetry(
            "c",
            "selector: {matchLabels: {app: web}},"
            " tracing: [{match: {mode: SERVER}, randomSamplingPercentage: 0.5,"
            " disableContextPropagation: true, useRequestIdForTraceSampling: false}]",
        ),
    )
    client, server = found.client.tracing, found.server.tracing
    assert client.provider is not None
    assert client.provider.name == "otel"
    assert (client.sampling, server.sampling) == (5, 0.5)
    assert set(client.custom_tags) == {"c"}
    assert (client.propagates_context, server.propagates_context) == (True, False)
    assert (client.sample_by_request_id, server.sample_by_request_id) == (True, False)


def test_spans_are_not_reported_where_they_are_disabled_or_have_nowhere_to_go() -> None:
    mesh = "defaultProviders: {tracing: [zipkin]}"
    default = in_force(mesh=mesh).client.tracing
    assert default.provider is not None
    assert not default.disabled
    off = in_force(telemetry("a", "tracing: [{disableSpanReporting: true}]"), mesh=mesh)
    assert off.client.tracing.disabled
    nowhere = in_force(telemetry("a", "tracing: [{providers: [{name: jaeger}]}]"), mesh=mesh)
    assert nowhere.client.tracing.disabled


@pytest.mark.parametrize(
    ("mesh", "objects", "provider", "sampling"),
    [
        ("", "", "clew", 100.0),
        ("defaultConfig: {tracing: {sampling: 5}}", "", "clew", 5.0),
        ("", "randomSamplingPercentage: 7", "clew", 7.0),
        ("", "providers: [{name: otel}]", "otel", 100.0),
        ("enableTracing: false", "", None, None),
        ("defaultProviders: {tracing: [otel]}", "", "otel", None),
        ("defaultConfig: {tracing: {zipkin: {address: 'z:9411'}}}", "", "_", None),
    ],
)
def test_a_proxy_that_offers_its_spans_sends_them_to_the_control_plane_unless_told_otherwise(
    mesh: str, objects: str, provider: str | None, sampling: float | None
) -> None:
    given = [telemetry("a", f"tracing: [{{{objects}}}]")] if objects else []
    found = index_objects(resources_of("".join(given))).get(Telemetry, {})
    chosen = applicable(found, WEB, ROOT)
    tracing = telemetry_in_force(mesh_config(mesh), *chosen, trace_sampling=100.0).client.tracing
    named = tracing.provider.name if tracing.provider else None
    assert (named if provider != "_" else provider, tracing.sampling) == (provider, sampling)
    assert tracing.disabled is (provider is None)


@pytest.mark.parametrize(
    ("override", "counts"),
    [
        ("match: {metric: REQUEST_COUNT, mode: SERVER}, disabled: true", False),
        ("match: {metric: ALL_METRICS, mode: CLIENT_AND_SERVER}, disabled: true", False),
        ("match: {metric: ALL_METRICS, mode: CLIENT}, disabled: true", True),
        ("match: {metric: REQUEST_DURATION, mode: SERVER}, disabled: true", True),
    ],
)
def test_a_server_counts_requests_unless_a_telemetry_forbids_it(
    override: str, counts: bool
) -> None:
    spec = f"metrics: [{{providers: [{{name: prometheus}}], overrides: [{{{override}}}]}}]"
    snapshot = build_snapshot(resources_of(telemetry("a", spec)))
    assert counts_requests(snapshot, WEB) is counts
    assert counts_requests(snapshot, replace(WEB, namespace="elsewhere"))


def test_a_proxy_that_offers_nothing_sends_spans_to_the_control_plane_when_told_to() -> None:
    assert in_force().client.tracing.disabled
    tracing = in_force(telemetry("a", "tracing: [{providers: [{name: clew}]}]")).server.tracing
    assert tracing.provider is not None
    assert tracing.provider.name == "clew"
    assert not tracing.disabled
