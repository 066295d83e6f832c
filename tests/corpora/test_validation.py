"""Verdicts of Istio's own validation cases."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from clew.config.parse import (
    parse_documents,
    parse_manifest,
    parse_mesh_config,
    parse_mesh_networks,
)
from clew.config.validate.hosts import host_problem
from clew.config.validate.load_balancer import check_locality
from clew.config.validate.route_matches import sni_problem
from clew.config.validate.scalars import is_address_or_range
from clew.model.addresses import is_ip
from clew.model.destination_rule import LocalityDistribute, LocalityLoadBalancerSetting
from clew.model.diagnostic import Severity
from tests.corpora.conftest import Score
from tests.corpora.corpus import cases


def verdict_of_manifest(case: dict[str, Any]) -> bool:
    return parse_manifest(case["input"]).valid


def verdict_of_text(case: dict[str, Any]) -> bool:
    documents = parse_documents(case["input_yaml"])
    return bool(documents) and all(document.valid for document in documents)


def verdict_of_mesh_config(case: dict[str, Any]) -> bool:
    text = json.dumps(case["input"])
    if case["kind"] == "MeshNetworks":
        diagnostics = parse_mesh_networks(text)[1]
    else:
        diagnostics = parse_mesh_config(text)[1]
    return all(diagnostic.severity is not Severity.ERROR for diagnostic in diagnostics)


def verdict_of_scalar(case: dict[str, Any]) -> bool:
    args = case["args"]
    match case["validator"]:
        case "ValidateIPAddress":
            return is_ip(args[0])
        case "ValidateIPSubnet":
            return is_address_or_range(args[0])
        case "ValidateWildcardDomain":
            return not host_problem(args[0])
        case "ValidateWildcardDomainForVirtualServiceBoundToGateway":
            return not sni_problem(args[1], on_gateway=args[0])
        case "validateLocalities":
            rules = tuple(LocalityDistribute(from_=place, to={"a": 100}) for place in args[0])
            return not list(check_locality(LocalityLoadBalancerSetting(distribute=rules), ()))
        case "ValidateControlPlaneAuthPolicy":
            policy = {0: "NONE", 1: "MUTUAL_TLS", 1000: "INHERIT"}.get(args[0], "")
            settings = json.dumps({"defaultConfig": {"controlPlaneAuthPolicy": policy}})
            return not parse_mesh_config(settings)[1]
    raise AssertionError(case["validator"])


def warns(case: dict[str, Any]) -> bool:
    """Are there warnings of the object itself, not of what clew cannot do?"""
    diagnostics = parse_manifest(case["input"]).diagnostics
    own = (each.problem for each in diagnostics if each.severity is Severity.WARNING)
    return any("not yet effective" not in p and "not supported: " not in p for p in own)


def misjudged(
    name: str, verdict: Callable[[dict[str, Any]], bool]
) -> tuple[int, list[str], list[str]]:
    """Return the number of cases, those whose verdict is wrong, and those refused though valid."""
    found = cases(name)
    wrong = [case for case in found if verdict(case) != case["expect"]["valid"]]
    refused = [case["id"] for case in wrong if case["expect"]["valid"]]
    return len(found), [f"{case['id']} {case['name']}" for case in wrong], refused


def test_verdicts_of_the_webhook_cases(score: Score) -> None:
    total, wrong, refused = misjudged("validation-webhook", verdict_of_manifest)
    score("validation-webhook", total, wrong, 1.0)
    assert refused == []


def test_verdicts_of_the_crd_cases(score: Score) -> None:
    total, wrong, refused = misjudged("validation-crd", verdict_of_text)
    score("validation-crd", total, wrong, 1.0)
    assert refused == []


def test_verdicts_of_the_mesh_config_cases(score: Score) -> None:
    total, wrong, refused = misjudged("validation-mesh", verdict_of_mesh_config)
    score("validation-mesh", total, wrong, 1.0)
    assert refused == []


def test_verdicts_of_the_scalar_cases(score: Score) -> None:
    total, wrong, refused = misjudged("validation-scalars", verdict_of_scalar)
    score("validation-scalars", total, wrong, 1.0)
    assert refused == []


def test_valid_objects_are_warned_of_where_istio_warns(score: Score) -> None:
    found = [
        case
        for case in cases("validation-webhook")
        if case["expect"]["valid"] and case["expect"]["warning"] is not None
    ]
    wrong = [case["id"] for case in found if warns(case) != case["expect"]["warning"]]
    score("validation-webhook warnings", len(found), wrong, 1.0)
