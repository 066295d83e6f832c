"""What admission says of an EnvoyFilter's patches."""

from __future__ import annotations

import pytest

from clew.config.parse import parse_documents
from clew.model.diagnostic import Diagnostic

LUA = "type.googleapis.com/envoy.extensions.filters.http.lua.v3.Lua"
HEAD = """
apiVersion: networking.istio.io/v1alpha3
kind: EnvoyFilter
metadata: {name: patches, namespace: default}
"""


def found(patch: str) -> Diagnostic | None:
    """The only finding about an EnvoyFilter with this patch, None if there is none."""
    [document] = parse_documents(f"{HEAD}spec: {{configPatches: [{patch}]}}")
    assert len(document.diagnostics) < 2, document.diagnostics
    return document.diagnostics[0] if document.diagnostics else None


def of_filter(typed_config: str, name: str = "lua") -> str:
    value = f"{{name: {name}, typed_config: {{{typed_config}}}}}"
    return f"{{applyTo: HTTP_FILTER, patch: {{operation: INSERT_FIRST, value: {value}}}}}"


def of_cluster(value: str) -> str:
    return f"{{applyTo: CLUSTER, patch: {{operation: MERGE, value: {{{value}}}}}}}"


VALUE = "spec.configPatches[0].patch.value"


@pytest.mark.parametrize(
    "value",
    [
        "connect_timeout: 1s",
        "connectTimeout: 0.5s",
        "lb_policy: MAGLEV",
        "max_requests_per_connection: 3",
        "metadata: {filter_metadata: {ns: {any: [1, 2, {a: b}]}}}",
        "health_checks: [{timeout: 1s, interval: 1s, http_health_check: {path: /}}]",
    ],
)
def test_a_value_that_fits_envoys_schema_is_taken(value: str) -> None:
    assert found(of_cluster(value)) is None


@pytest.mark.parametrize(
    ("value", "at", "problem"),
    [
        ("name: false", "name", "expected string"),
        ("connect_timeout: soon", "connect_timeout", 'end with letter "s"'),
        ("lb_policy: MAGLEF", "lb_policy", "not a value of this field"),
        ("health_checks: {}", "health_checks", "expected a list"),
        ("upstream_config: {typed_config: {}}", "upstream_config.typed_config", '"@type" is'),
    ],
)
def test_a_value_of_the_wrong_type_is_refused(value: str, at: str, problem: str) -> None:
    diagnostic = found(of_cluster(value))
    assert diagnostic is not None
    assert diagnostic.severity.value == "Error"
    assert diagnostic.place.field == f"{VALUE}.{at}"
    assert problem in diagnostic.problem


def test_a_field_that_envoy_does_not_have_is_warned_of() -> None:
    diagnostic = found(of_filter(f'"@type": {LUA}, default_source_cod: {{inline_string: x}}'))
    assert diagnostic is not None
    assert diagnostic.severity.value == "Warning"
    assert diagnostic.place.field == f"{VALUE}.typed_config.default_source_cod"
    assert diagnostic.hint == 'did you mean "default_source_code"?'


def test_an_unknown_type_is_refused() -> None:
    diagnostic = found(of_filter(f'"@type": {LUA.replace("lua.v3", "luaa.v3")}'))
    assert diagnostic is not None
    assert diagnostic.severity.value == "Error"
    assert diagnostic.place.field == f"{VALUE}.typed_config.@type"
    assert diagnostic.hint == 'did you mean "envoy.extensions.filters.http.lua.v3.Lua"?'


@pytest.mark.parametrize(
    "config",
    [
        '"@type": type.googleapis.com/envoy.extensions.filters.http.golang.v3alpha.Config',
        '"@type": type.googleapis.com/stats.PluginConfig',
        '"@type": type.googleapis.com/udpa.type.v1.TypedStruct, '
        "type_url: type.googleapis.com/stats.PluginConfig",
    ],
)
def test_an_extension_that_this_envoy_does_not_have_is_warned_of(config: str) -> None:
    diagnostic = found(of_filter(config))
    assert diagnostic is not None
    assert diagnostic.severity.value == "Warning"
    assert "does not have" in diagnostic.problem


def test_an_old_name_of_a_filter_is_warned_of() -> None:
    diagnostic = found(of_filter(f'"@type": {LUA}', name="envoy.lua"))
    assert diagnostic is not None
    assert (diagnostic.severity.value, diagnostic.hint) == ("Warning", "envoy.filters.http.lua")
    diagnostic = found(removed("HTTP_FILTER", filter_match("envoy.router")))
    assert diagnostic is not None
    assert (diagnostic.severity.value, diagnostic.hint) == ("Warning", "envoy.filters.http.router")


def removed(apply_to: str, match: str) -> str:
    return f"{{applyTo: {apply_to}, match: {{{match}}}, patch: {{operation: REMOVE}}}}"


def filter_match(name: str) -> str:
    return f"listener: {{filterChain: {{filter: {{name: {name}}}}}}}"


@pytest.mark.parametrize(
    ("apply_to", "wanted", "others"),
    [
        ("HTTP_FILTER", "listener", ("routeConfiguration", "cluster")),
        ("FILTER_CHAIN", "listener", ("routeConfiguration", "cluster")),
        ("HTTP_ROUTE", "routeConfiguration", ("listener", "cluster")),
        ("CLUSTER", "cluster", ("listener", "routeConfiguration")),
    ],
)
def test_a_patch_is_matched_by_what_it_is_in(
    apply_to: str, wanted: str, others: tuple[str, ...]
) -> None:
    assert found(removed(apply_to, f"{wanted}: {{}}")) is None
    for other in others:
        diagnostic = found(removed(apply_to, f"{other}: {{}}"))
        assert diagnostic is not None
        assert diagnostic.severity.value == "Error"
        assert diagnostic.place.field == f"spec.configPatches[0].match.{other}"


@pytest.mark.parametrize(
    ("match", "taken"),
    [
        ("context: WAYPOINT, waypoint: {}", True),
        ("context: WAYPOINT", False),
        ("context: GATEWAY", True),
    ],
)
def test_a_context_of_waypoints_has_a_match_of_its_own(match: str, taken: bool) -> None:
    diagnostic = found(removed("HTTP_FILTER", match))
    assert (diagnostic is None or diagnostic.severity.value != "Error") is taken


def test_a_filter_that_a_whole_listener_is_matched_by_is_warned_of() -> None:
    diagnostic = found(removed("LISTENER", filter_match("a")))
    assert diagnostic is not None
    assert diagnostic.severity.value == "Warning"


def test_an_operation_that_changes_nothing_is_warned_of() -> None:
    diagnostic = found("{applyTo: ROUTE_CONFIGURATION, patch: {operation: REMOVE}}")
    assert diagnostic is not None
    assert diagnostic.severity.value == "Warning"
    assert diagnostic.place.field == "spec.configPatches[0].patch.operation"
