"""Verdicts of the Gateway API's own validation cases."""

from __future__ import annotations

from typing import Any

from clew.config.parse import parse_documents, parse_manifest
from clew.model.diagnostic import Severity
from tests.corpora.conftest import Score
from tests.corpora.corpus import cases


def verdict(case: dict[str, Any]) -> bool:
    if "input_yaml" in case:
        return all(document.valid for document in parse_documents(case["input_yaml"]))
    return parse_manifest(case["input"]).valid


def test_verdicts_are_those_of_the_crds(score: Score) -> None:
    found = cases("gatewayapi-validation")
    wrong = [case for case in found if verdict(case) != case["expect"]["valid"]]
    score("gatewayapi-validation", len(found), [f"{c['id']} {c['name']}" for c in wrong], 1.0)
    assert [case["id"] for case in wrong if case["expect"]["valid"]] == []


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
