from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from clew.config.parse import parse_documents
from tests.cli.mesh import Shell, shell
from tests.server.api_server import server_thread
from tests.stores.memory import MemoryStore
from tests.stores.objects import noon

WORKLOADS = """
apiVersion: v1
kind: Service
metadata: {{name: {name}, namespace: shop}}
spec:
  clusterIP: 10.96.0.{number}
  selector: {{app: {name}}}
  ports:
  - {{name: http, port: 80, targetPort: 8080}}
  - {{name: tcp, port: 90, targetPort: 9090}}
---
apiVersion: v1
kind: Pod
metadata:
  name: {name}-0
  namespace: shop
  labels: {{app: {name}, security.istio.io/tlsMode: istio}}
spec: {{serviceAccountName: {name}, containers: [{{name: app}}]}}
status: {{podIP: 10.0.0.{number}, conditions: [{{type: Ready, status: "True"}}]}}
"""
POLICIES = """
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: readers, namespace: shop}
spec:
  selector: {matchLabels: {app: reviews}}
  rules:
  - from: [{source: {principals: [cluster.local/ns/shop/sa/web]}}]
    to: [{operation: {methods: [GET]}}]
  - to: [{operation: {paths: [/open]}}]
    when: [{key: "request.auth.claims[group]", values: [staff]}]
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: admin, namespace: shop}
spec:
  selector: {matchLabels: {app: reviews}}
  action: DENY
  rules: [{to: [{operation: {paths: ["/admin/*"], ports: ["8080"]}}]}]
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: planned, namespace: shop, annotations: {istio.io/dry-run: "true"}}
spec:
  action: DENY
  rules: [{to: [{operation: {paths: [/old], ports: ["8080"]}}]}]
"""


@pytest.fixture
def shop(home: Path) -> Iterator[Shell]:
    """A mesh with the services web and reviews, and policies in front of reviews."""
    both = (WORKLOADS.format(name=name, number=n) for n, name in ((1, "web"), (2, "reviews")))
    store = MemoryStore(now=noon)

    async def fill() -> None:
        for document in parse_documents("\n---\n".join((*both, POLICIES))):
            assert document.resource is not None
            await store.apply(document.resource, document.manifest, author="test")

    asyncio.run(fill())
    with server_thread(home, store):
        yield shell(home)


def test_the_rule_that_allows_is_named(shop: Shell) -> None:
    printed = shop.good("authz", "can", "web", "reviews", "GET", "/a", "--port", "80", "-n", "shop")
    first, second = printed.splitlines()
    assert first == "allowed: shop/web → reviews.shop.svc.cluster.local:80 GET /a"
    assert second.endswith("allowed by ns[shop]-policy[readers]-rule[0]")


def test_what_denies_is_said_and_the_command_fails(shop: Shell) -> None:
    def said(*asked: str) -> str:
        found = shop.clew("authz", "can", *asked, "--port", "80", "-n", "shop")
        assert found.exit_code == 1, found.output
        return found.stdout.splitlines()[1].partition(": ")[2]

    assert said("web", "reviews", "GET", "/admin/x") == "denied by ns[shop]-policy[admin]-rule[0]"
    nothing = "denied: there are ALLOW policies, and no rule of them matches"
    assert said("web", "reviews", "POST", "/") == nothing
    assert said("reviews", "reviews") == nothing
    assert said("-", "reviews") == nothing


def test_claims_and_headers_count(shop: Shell) -> None:
    asked = ("authz", "can", "-", "reviews", "GET", "/open", "--port", "80", "-n", "shop")
    assert shop.clew(*asked).exit_code == 1
    assert "rule[1]" in shop.good(*asked, "--claim", "group=staff", "--claim", "group=other")


def test_a_dry_run_says_what_it_would_do(shop: Shell) -> None:
    printed = shop.good(
        "authz", "can", "web", "reviews", "GET", "/old", "--port", "80", "-n", "shop"
    )
    assert printed.splitlines()[2] == "    dry run: ns[shop]-policy[planned]-rule[0] would deny it"


def test_on_tcp_rules_of_http_do_not_allow(shop: Shell) -> None:
    found = shop.clew("authz", "can", "web", "reviews", "--port", "90", "-n", "shop")
    assert found.exit_code == 1
    assert found.stdout.startswith("denied: shop/web → reviews.shop.svc.cluster.local:90 (TCP)")


@pytest.mark.parametrize(
    ("asked", "problem"),
    [
        (("nobody", "reviews", "--port", "80"), 'no workload with a proxy is called "nobody"'),
        (("web", "nothing"), 'there is no service "nothing"'),
        (("web", "reviewz"), 'did you mean "reviews"?'),
        (("web", "reviews"), "name the port; its ports are: 80, 90"),
        (("web", "reviews", "--port", "1"), "has no port 1"),
        (("web", "reviews", "--port", "80", "--claim", "x"), "name=value"),
    ],
)
def test_what_there_is_not_is_said(shop: Shell, asked: tuple[str, ...], problem: str) -> None:
    found = shop.clew("authz", "can", *asked, "-n", "shop")
    assert found.exit_code != 0
    assert problem in found.stderr


def test_the_matrix_shows_who_may_call_whom(shop: Shell) -> None:
    header, *rows = shop.good("authz", "matrix").split("\n\n")[0].splitlines()
    assert header.split() == ["FROM", "1", "2", "3", "4"]
    assert [row.split() for row in rows] == [
        ["shop/reviews", "-", "-", "yes", "yes"],
        ["shop/web", "some", "-", "yes", "yes"],
        ["(outside)", "-", "-", "yes", "yes"],
    ]
    found = json.loads(shop.good("authz", "matrix", "-n", "shop", "-o", "json"))
    assert found["targets"][0] == "reviews.shop.svc.cluster.local:80"
    assert found["rows"][1] == {"caller": "shop/web", "cells": ["some", "no", "yes", "yes"]}
