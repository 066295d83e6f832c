"""What is a SPIFFE id and a trust domain, by the cases of go-spiffe."""

from __future__ import annotations

from typing import Any

from clew.model.spiffe import SpiffeId, parse_trust_domain
from tests.corpora.conftest import Score
from tests.corpora.corpus import cases


def as_expected(case: dict[str, Any]) -> bool:
    try:
        if case["kind"] == "TestTrustDomainFromString":
            parse_trust_domain(case["input"])
            return bool(case["valid"])
        found = SpiffeId.parse(case["input"])
    except ValueError as error:
        return not case["valid"] and (case["error_contains"] or "") in str(error)
    return bool(case["valid"]) and found.path == (case["path"] or "")


def test_ids_are_valid_as_the_standard_says(score: Score) -> None:
    every = cases("spiffe-ids")
    wrong = [f"{c['id']} {c['input']!r}" for c in every if not as_expected(c)]
    score("spiffe-ids", len(every), wrong, reached=1.0)
