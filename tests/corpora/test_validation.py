"""Verdicts of Istio's own validation cases. The numbers are a ratchet: raise them, never lower."""

from __future__ import annotations

import json
from typing import Any

from clew.config.parse import (
    parse_documents,
    parse_manifest,
    parse_mesh_config,
    parse_mesh_networks,
)
from clew.config.validate.hosts import host_problem, is_ip
from clew.config.validate.load_balancer import check_locality
from clew.config.validate.route_matches import sni_problem
from clew.config.validate.scalars import is_address_or_range
from clew.model.destination_rule import LocalityDistribute, LocalityLoadBalancerSetting
from clew.model.diagnostic import Severity
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
    own = (each for each in diagnostics if each.severity is Severity.WARNING)
    return any("not yet effective" not in each.problem for each in own)


def score(name: str, verdict: Any) -> tuple[int, int]:
    """Return (right verdicts, valid inputs that were refused) and print what was wrong."""
    right = refused = 0
    for case in cases(name):
        wanted = case["expect"]["valid"]
        if (got := verdict(case)) == wanted:
            right += 1
        else:
            refused += wanted
            print(f"{name}: {case.get('id')} wanted valid={wanted}, got {got}")
    return right, refused


def test_verdicts_of_the_webhook_cases() -> None:
    right, refused = score("validation-webhook", verdict_of_manifest)
    assert right >= WEBHOOK
    assert refused <= WEBHOOK_REFUSED


def test_verdicts_of_the_crd_cases() -> None:
    right, refused = score("validation-crd", verdict_of_text)
    assert right >= CRD
    assert refused <= CRD_REFUSED


def test_verdicts_of_the_mesh_config_cases() -> None:
    right, refused = score("validation-mesh", verdict_of_mesh_config)
    assert right >= MESH
    assert refused <= MESH_REFUSED


def test_verdicts_of_the_scalar_cases() -> None:
    right, refused = score("validation-scalars", verdict_of_scalar)
    assert right >= SCALARS
    assert refused == 0


def test_valid_objects_are_warned_of_where_istio_warns() -> None:
    wrong = [
        case["id"]
        for case in cases("validation-webhook")
        if case["expect"]["valid"] and case["expect"]["warning"] is not None
        if warns(case) != case["expect"]["warning"]
    ]
    assert wrong == []


WEBHOOK, WEBHOOK_REFUSED = 383, 0
CRD, CRD_REFUSED = 56, 0
MESH, MESH_REFUSED = 58, 0
SCALARS = 25
