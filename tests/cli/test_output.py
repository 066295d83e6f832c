from __future__ import annotations

from datetime import UTC, datetime

import pytest
import yaml

from clew.api.differences import differences
from clew.cli.output import age, as_yaml, table

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("created", "text"),
    [
        ("2026-03-01T11:59:15Z", "45s"),
        ("2026-03-01T11:40:00Z", "20m"),
        ("2026-03-01T02:00:00Z", "10h"),
        ("2026-02-01T12:00:00Z", "28d"),
        ("2026-03-01T12:00:05Z", "0s"),
        ("", "<unknown>"),
    ],
)
def test_an_age_is_rounded_like_kubectls(created: str, text: str) -> None:
    assert age(created, NOW) == text


def test_columns_are_as_wide_as_their_widest_cell() -> None:
    assert table([["A", "LONG", "C"], ["x", "y", ""]]) == "A   LONG   C\nx   y"


def test_yaml_keeps_the_order_and_what_texts_are() -> None:
    value = {"z": "on", "a": "1", "text": "one\ntwo\n", "none": None, "list": [{"b": True}]}
    printed = as_yaml(value)
    assert list(yaml.safe_load(printed)) == list(value)
    assert yaml.safe_load(printed) == value
    assert "text: |\n  one\n  two\n" in printed


def test_differences_are_named_by_field() -> None:
    old = {"metadata": {"name": "a", "labels": {"app.io/x": "1"}}, "spec": {"a": 1, "b": [1]}}
    new = {"metadata": {"name": "a", "labels": {"app.io/x": "2"}}, "spec": {"c": 1, "b": [1, 2]}}
    assert differences(old, new) == [
        'metadata.labels["app.io/x"]: 1 → 2',
        "-spec.a",
        "spec.b: [1 item] → [2 items]",
        "+spec.c",
    ]
