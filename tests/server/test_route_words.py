"""Routes in words."""

from __future__ import annotations

import pytest
import yaml

from clew.config.parse import parse_manifest
from clew.model.virtual_service import HTTPRoute, VirtualService
from clew.server.route_words import actions, http_match


def route(text: str) -> HTTPRoute:
    manifest = {
        "apiVersion": "networking.istio.io/v1",
        "kind": "VirtualService",
        "metadata": {"name": "a", "namespace": "default"},
        "spec": {"hosts": ["a"], "http": [yaml.safe_load(text)]},
    }
    resource = parse_manifest(manifest).resource
    assert isinstance(resource, VirtualService)
    return resource.spec.http[0]


@pytest.mark.parametrize(
    ("match", "words"),
    [
        ("uri: {exact: /a}", "path is /a"),
        ("uri: {regex: /a.*}", "path matches /a.*"),
        ("headers: {x: {}}", "header x is present"),
        ("method: {exact: GET}, port: 80", "method is GET, port 80"),
        ("withoutHeaders: {x: {exact: y}}", "not (header x is y)"),
        ("queryParams: {v: {exact: '2'}}", "query parameter v is 2"),
        ("sourceLabels: {app: web}", "from workloads with app=web"),
        ("sourceNamespace: dev", "from namespace dev"),
        ("", ""),
    ],
)
def test_matches(match: str, words: str) -> None:
    found = route(f"{{match: [{{{match}}}], route: [{{destination: {{host: a}}}}]}}")
    assert http_match(found.match[0]) == words


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("timeout: 0s", ("no timeout",)),
        ("retries: {attempts: 0}", ("no retries",)),
        (
            "retries: {attempts: 3, perTryTimeout: 2s, retryOn: 5xx}",
            ("up to 3 retries of 2s each on 5xx",),
        ),
        ("fault: {delay: {fixedDelay: 7s, percentage: {value: 50}}}", ("fault: delay 50 % by 7s",)),
        ("mirror: {host: b, subset: v2}", ("mirror 100 % to b v2",)),
        ("mirrors: [{destination: {host: b}, percentage: {value: 5}}]", ("mirror 5 % to b",)),
        ("rewrite: {uri: /b, authority: c}", ("rewrite the path: /b", "rewrite the host: c")),
        ("headers: {request: {set: {a: b}, remove: [c]}}",
         ("request header a = b", "request header c is removed")),
    ],
)  # fmt: skip
def test_actions(text: str, words: tuple[str, ...]) -> None:
    assert actions(route(f"{{route: [{{destination: {{host: a}}}}], {text}}}")) == words


def test_answers_without_a_destination() -> None:
    assert actions(route("{directResponse: {status: 503}}")) == ("answer 503 at once",)
    redirect = route("{redirect: {uri: /b, authority: c, scheme: https, redirectCode: 302}}")
    assert actions(redirect) == ("redirect: 302 to https://c/b",)
