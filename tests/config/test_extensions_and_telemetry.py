"""Istio's admission rules for Telemetry, WasmPlugin, TrafficExtension and ProxyConfig."""

from __future__ import annotations

from typing import Any

import pytest

from clew.config.validate.expressions import check_expression
from tests.config.admission import errors, warnings


@pytest.mark.parametrize(
    ("spec", "wrong"),
    [
        ({"tracing": [{"randomSamplingPercentage": 101}]}, ["tracing[0].randomSamplingPercentage"]),
        ({"tracing": [{"providers": [{"name": ""}]}]}, ["tracing[0].providers[0].name"]),
        (
            {"tracing": [{"customTags": {"": {"literal": {"value": "a"}}}}]},
            ["tracing[0].customTags"],
        ),
        ({"tracing": [{"customTags": {"a": {}}}]}, []),
        (
            {
                "tracing": [
                    {"customTags": {"a": {"literal": {"value": "b"}, "header": {"name": "c"}}}}
                ]
            },
            ["tracing[0].customTags.a"],
        ),
        (
            {"tracing": [{"customTags": {"a": {"literal": {"value": ""}}}}]},
            ["tracing[0].customTags.a.literal.value"],
        ),
        (
            {"tracing": [{"customTags": {"a": {"header": {"name": ""}}}}]},
            ["tracing[0].customTags.a.header.name"],
        ),
        (
            {"tracing": [{"customTags": {"a": {"environment": {"name": ""}}}}]},
            ["tracing[0].customTags.a.environment.name"],
        ),
        ({"metrics": [{"providers": [{"name": ""}]}]}, ["metrics[0].providers[0].name"]),
        (
            {"metrics": [{"overrides": [{"match": {"customMetric": ""}}]}]},
            ["metrics[0].overrides[0].match.customMetric"],
        ),
        (
            {"metrics": [{"overrides": [{"tagOverrides": {"a": {}}}]}]},
            ["metrics[0].overrides[0].tagOverrides.a"],
        ),
        (
            {"metrics": [{"overrides": [{"tagOverrides": {"a": {"operation": "REMOVE"}}}]}]},
            [],
        ),
        ({"metrics": [{"reportingInterval": "1us"}]}, ["metrics[0].reportingInterval"]),
        ({"accessLogging": [{"filter": {"expression": "response.code >= 400"}}]}, []),
        (
            {"accessLogging": [{"filter": {"expression": "response.code >="}}]},
            ["accessLogging[0].filter.expression"],
        ),
        (
            {"accessLogging": [{"providers": [{"name": ""}]}]},
            ["accessLogging[0].providers[0].name"],
        ),
        ({"selector": {"matchLabels": {"a": "*"}}}, ["selector.matchLabels.a"]),
    ],
)
def test_telemetry_names_what_it_means(spec: dict[str, Any], wrong: list[str]) -> None:
    assert errors("Telemetry", spec) == wrong


def test_what_of_telemetry_is_not_used_is_warned_of() -> None:
    assert warnings("Telemetry", {"tracing": [{}, {}]}) == ["tracing"]
    two = [{"name": "a"}, {"name": "b"}]
    assert warnings("Telemetry", {"tracing": [{"providers": two}]}) == ["tracing[0].providers"]
    overrides = [{"tagOverrides": {"": {"value": "a"}}}]
    assert warnings("Telemetry", {"metrics": [{"overrides": overrides}]}) == [
        "metrics[0].overrides[0].tagOverrides"
    ]


@pytest.mark.parametrize(
    "text",
    [
        "response.code >= 400 && !(request.method in ['GET', \"HEAD\",])",
        "has(request.headers) ? size({'a': 1, 'b': 2u}) > 0x1F : -1.5e3 < .5",
        "a.b[0].c(x, y).exists(z, z == r'\\d')",
        ".google.rpc.Status{code: 5} == null // a comment",
        "'''several\nlines''' != b\"bytes\"",
        "- - a",
    ],
)
def test_an_expression_of_cel_is_known_by_its_syntax(text: str) -> None:
    assert list(check_expression(text, ())) == []


@pytest.mark.parametrize(
    "text",
    ["", "a ==", "a b", "a $ b", "(a", "a)", "[a", "a ? b", "{a}", "a.", "a..b", "'a", "in", "a,"],
)
def test_other_texts_are_none(text: str) -> None:
    assert len(list(check_expression(text, ()))) == 1


def test_an_expression_of_a_thousand_brackets_is_refused_in_time() -> None:
    assert len(list(check_expression("(" * 1000 + "a" + ")" * 1000, ()))) == 1
    assert list(check_expression("!" * 10_000 + "a", ())) == []


@pytest.mark.parametrize(
    ("fields", "wrong"),
    [
        ({}, []),
        ({"url": ""}, ["url"]),
        ({"url": "registry.example.com:5000/plugin:v1"}, []),
        ({"url": "ftp://a"}, ["url"]),
        ({"sha256": "a" * 63}, ["sha256"]),
        ({"sha256": "a" * 64}, []),
        ({"pluginName": ""}, ["pluginName"]),
        ({"pluginName": "a" * 257}, ["pluginName"]),
        ({"imagePullSecret": "a" * 254}, ["imagePullSecret"]),
        ({"match": [{"ports": [{"number": 0}]}]}, ["match[0].ports[0].number"]),
        ({"match": [{"ports": [{"number": 1}, {"number": 1}]}]}, ["match[0].ports[1].number"]),
        ({"vmConfig": {"env": [{"name": "A"}, {"name": "A"}]}}, ["vmConfig.env[1].name"]),
        ({"vmConfig": {"env": [{"name": ""}]}}, ["vmConfig.env[0].name"]),
        (
            {"vmConfig": {"env": [{"name": "A", "value": "b", "valueFrom": "HOST"}]}},
            ["vmConfig.env[0].value"],
        ),
        ({"vmConfig": {"env": [{"name": "A", "value": "b" * 2049}]}}, ["vmConfig.env[0].value"]),
    ],
)
def test_a_plugin_comes_from_somewhere(fields: dict[str, Any], wrong: list[str]) -> None:
    assert errors("WasmPlugin", {"url": "oci://a/b", **fields}) == wrong


@pytest.mark.parametrize(
    ("spec", "wrong"),
    [
        ({"lua": {"inlineCode": "a"}}, []),
        ({"lua": {"inlineCode": ""}}, ["lua.inlineCode"]),
        ({"lua": {"inlineCode": "a" * 65_537}}, ["lua.inlineCode"]),
        ({"wasm": {"url": "oci://a"}}, []),
        ({"wasm": {"url": "ftp://a"}}, ["wasm.url"]),
        ({}, ["spec"]),
        ({"lua": {"inlineCode": "a"}, "wasm": {"url": "oci://a"}}, ["spec"]),
        (
            {"lua": {"inlineCode": "a"}, "match": [{"ports": [{"number": 65536}]}]},
            ["match[0].ports[0].number"],
        ),
    ],
)
def test_an_extension_is_lua_or_wasm(spec: dict[str, Any], wrong: list[str]) -> None:
    assert errors("TrafficExtension", spec) == wrong


def test_proxies_have_a_number_of_threads_that_can_be() -> None:
    assert errors("ProxyConfig", {"concurrency": 0}) == []
    assert errors("ProxyConfig", {"concurrency": -1}) == ["concurrency"]
    assert errors("ProxyConfig", {"environmentVariables": {"A": "b" * 2049}}) == [
        "environmentVariables.A"
    ]
