"""Verdicts of Istio's own validation cases. The numbers are a ratchet: raise them, never lower."""

from __future__ import annotations

import json
from typing import Any

from clew.config.parse import parse_documents, parse_manifest, parse_mesh_config
from clew.config.yaml import without_nulls
from clew.model.diagnostic import Severity
from tests.corpora.corpus import cases


def verdict_of_manifest(case: dict[str, Any]) -> bool:
    return parse_manifest(without_nulls(case["input"])).valid


def verdict_of_text(case: dict[str, Any]) -> bool:
    documents = parse_documents(case["input_yaml"])
    return bool(documents) and all(document.valid for document in documents)


def verdict_of_mesh_config(case: dict[str, Any]) -> bool:
    diagnostics = parse_mesh_config(json.dumps(case["input"]))[1]
    return all(diagnostic.severity is not Severity.ERROR for diagnostic in diagnostics)


def score(name: str, verdict: Any) -> tuple[int, int]:
    """Return (right verdicts, valid inputs that were refused) and print what was wrong."""
    right = refused = 0
    for case in cases(name):
        if case.get("kind") == "MeshNetworks":  # has no model yet
            continue
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


WEBHOOK, WEBHOOK_REFUSED = 383, 0
CRD, CRD_REFUSED = 56, 0
MESH, MESH_REFUSED = 56, 0
