"""Verdicts of the Gateway API's own validation cases. A ratchet: raise it, never lower."""

from __future__ import annotations

from typing import Any

from clew.config.parse import parse_documents, parse_manifest
from clew.model.diagnostic import Severity
from tests.corpora.corpus import cases

RIGHT = 186


def verdict(case: dict[str, Any]) -> bool:
    if "input_yaml" in case:
        return all(document.valid for document in parse_documents(case["input_yaml"]))
    return parse_manifest(case["input"]).valid


def test_verdicts_are_those_of_the_crds() -> None:
    right, refused = 0, []
    for case in cases("gatewayapi-validation"):
        wanted = case["expect"]["valid"]
        if verdict(case) == wanted:
            right += 1
        elif wanted:
            refused.append(case["id"])
        else:
            print(f"missed: {case['id']} {case['name']}")
    assert refused == []
    assert right >= RIGHT


def test_what_istio_converts_is_valid() -> None:
    # Some routes there have names with capital letters, which Kubernetes never takes.
    problems = [
        str(diagnostic)
        for case in cases("gateway-conversion")
        for document in parse_documents(case["input_yaml"])
        for diagnostic in document.diagnostics
        if "gateway.networking" in str(document.manifest.get("apiVersion"))
        and diagnostic.severity is Severity.ERROR
        and diagnostic.place.field != "metadata.name"
    ]
    assert problems == []
