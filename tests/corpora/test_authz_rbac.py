"""Istio's AuthorizationPolicies: the filters that clew makes of them decide as Istio's do."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Iterable, Mapping
from itertools import groupby
from types import ModuleType
from typing import Any

import pytest
from google.protobuf.json_format import MessageToDict

from clew.compile.policy_filters import compile_http_policies, compile_network_policies
from clew.compile.policy_verdict import Outcome, decide, filters_of
from clew.compile.rbac_verdict import Request
from clew.config.parse import parse_mesh_config
from clew.model.base import Resource
from clew.model.mesh_config import MeshConfig
from clew.model.proxy import Proxy, ProxyType
from clew.snapshot.scope import InboundScope
from clew.snapshot.scope_builder import build_scope
from clew.snapshot.snapshot import build_snapshot
from tests.corpora.conftest import Score
from tests.corpora.corpus import FOLDER, cases
from tests.manifests import resources_of

REACHED = 1.0

# The mesh's trust domain and its aliases, which the cases have from the program around them.
# Source: istio ``builder_test.go``.
TRUST_DOMAINS = {
    "trust-domain-one-alias": ("td1", "cluster.local"),
    "trust-domain-multiple-aliases": ("td1", "cluster.local", "some-td"),
    "trust-domain-aliases-in-source-principal": ("new-td", "old-td", "some-trustdomain"),
    "trust-domain-wildcard-in-principal": ("td1", "foobar"),
}
# What is there beside the policies: the external authorizer.
AUTHORIZER = """
apiVersion: v1
kind: Service
metadata: {name: my-custom-ext-authz, namespace: foo}
spec: {clusterIP: 10.0.0.9, ports: [{name: grpc, port: 9000}]}
"""

Case = Mapping[str, Any]


def comparison() -> ModuleType:
    """The corpora's own judge of filters."""
    path = FOLDER / "rbac_eval.py"
    spec = importlib.util.spec_from_file_location("rbac_eval", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def scope_of(case: Case) -> InboundScope:
    proxy = Proxy(
        name="httpbin",
        ip="10.0.0.1",
        type=ProxyType.SIDECAR,
        namespace=case["proxy"]["namespace"],
        labels=tuple(sorted(case["proxy"]["labels"].items())),
    )
    resources: list[Resource] = [*resources_of(case["input_yaml"]), *resources_of(AUTHORIZER)]
    scope = build_scope(build_snapshot(resources, mesh_config(case)), proxy).inbound
    assert scope is not None
    return scope


def filters(case: Case) -> list[dict[str, Any]]:
    scope = scope_of(case)
    if case["proto"] == "tcp":
        return [plain(each) for each in compile_network_policies(scope.authorization, scope.mesh)]
    found = compile_http_policies(scope.authorization, (), scope.mesh, router=False)
    return [plain(each) for each in found]


def distinct(filters: Iterable[Mapping[str, Any]]) -> list[str]:
    """The names in order: Istio denies in one filter for each provider that it cannot ask."""
    return [name for name, _ in groupby(each["name"] for each in filters)]


def mesh_config(case: Case) -> MeshConfig:
    given = dict(case["mesh_config"] or {})
    if domains := case["trust_domains"] or TRUST_DOMAINS.get(case["name"]):
        given |= {"trustDomain": domains[0], "trustDomainAliases": list(domains[1:])}
    return parse_mesh_config(json.dumps(given))[0]


def plain(message: Any) -> dict[str, Any]:
    return dict(MessageToDict(message, preserving_proto_field_name=True))


def test_filters_decide_as_in_istio(score: Score) -> None:
    given = cases("authz-rbac")
    judge = comparison()
    wrong = []
    for case in given:
        wanted = case["expected_filters"]
        found = filters(case)
        verdict = judge.equivalent(wanted, found)
        names = distinct(found)
        if not verdict["equivalent"]:
            wrong.append(f"{case['name']}: {verdict['differences'][:1]}")
        elif names != distinct(wanted):
            wrong.append(f"{case['name']}: the filters are {names}")
    score("authz-rbac", len(given), wrong, REACHED)


def test_authorizers_are_asked_as_in_istio(score: Score) -> None:
    """Their configuration is a matter of single fields, so these are compared."""
    given = [case for case in cases("authz-rbac") if case["custom_action"]]
    wrong = []
    for case in given:
        wanted = [external(each) for each in judge_form(case["expected_filters"])]
        found = [external(each) for each in judge_form(filters(case))]
        if wanted != found:
            wrong.append(f"{case['name']}: {found}, not {wanted}")
    if not given:
        pytest.skip("no case has an external authorizer")
    score("authz-rbac (external)", len(given), wrong, REACHED)


def test_what_clew_says_of_requests_is_what_the_filters_decide(score: Score) -> None:
    """``clew authz`` works out for itself what Envoy would do."""
    given = cases("authz-rbac")
    judge = comparison()
    wrong, count = [], 0
    for case in given:
        wanted = judge.norm(case["expected_filters"])
        scope, tcp = scope_of(case), case["proto"] == "tcp"
        compiled = filters_of(scope.authorization, scope.mesh, tcp=tcp)
        for each in [*judge.directed(wanted, 20), *judge.requests(wanted, 200)]:
            count += 1
            denied = decide(compiled, request(each)).outcome is Outcome.DENIED
            if denied != (judge.decide(wanted, each) == "deny"):
                wrong.append(f"{case['name']}: {each}")
    score("authz-rbac (clew authz)", count, wrong, REACHED)


def request(described: Mapping[str, Any]) -> Request:
    pseudo = {
        ":path": described["path"],
        ":method": described["method"],
        ":authority": described["host"],
    }
    return Request(
        port=described["dst_port"],
        principal=described["principal"] or "",
        headers={**pseudo, **described["headers"]},
        source_ip=described["src_ip"],
        remote_ip=described["remote_ip"],
        destination_ip=described["dst_ip"],
        server_name=described["sni"] or "",
        metadata=described["metadata"],
    )


def judge_form(listed: list[dict[str, Any]]) -> list[dict[str, Any]]:
    found = comparison().norm(listed)
    return [each for each in found if each["name"].endswith("ext_authz")]


def external(filter_: Mapping[str, Any]) -> dict[str, Any]:
    config = dict(filter_["typed_config"])
    # Its end is ours: a provider must not answer for another one whose name begins alike.
    prefix = config["filter_enabled_metadata"]["value"]["string_match"]["prefix"]
    return {**config, "filter_enabled_metadata": prefix.removesuffix("-")}
