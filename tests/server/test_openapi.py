"""The document of the admin API is about what is served, no more and no less."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from clew.api.openapi import OPERATIONS, openapi
from clew.api.operation import Operation
from tests.server.test_api_port import control_plane

DOCUMENT = openapi((each.method, each.path) for each in OPERATIONS)


@pytest.fixture(scope="module")
def served() -> Iterator[dict[str, Any]]:
    with tempfile.TemporaryDirectory(prefix="clew") as directory, control_plane(Path(directory)):
        transport = httpx2.HTTPTransport(uds=f"{directory}/default/api.sock")
        with httpx2.Client(transport=transport, base_url="http://clew") as client:
            yield client.get("/v1/openapi.json").json()


def test_all_that_is_described_is_served(served: dict[str, Any]) -> None:
    assert served["paths"] == json.loads(json.dumps(DOCUMENT["paths"]))


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda o: f"{o.method} {o.path}")
def test_an_operation_names_its_parameters_and_what_it_answers(operation: Operation) -> None:
    found = DOCUMENT["paths"][operation.path][operation.method]
    named = [each["name"] for each in found["parameters"]]
    assert len(set(named)) == len(named)
    assert str(operation.status) in found["responses"]
    for response in found["responses"].values():
        for content in response["content"].values():
            reference = content["schema"].get("$ref", "")
            assert reference.rpartition("/")[2] in {"", *DOCUMENT["components"]["schemas"]}


def test_operations_have_names_of_their_own() -> None:
    names = [o["operationId"] for path in DOCUMENT["paths"].values() for o in path.values()]
    assert len(set(names)) == len(names) == len(OPERATIONS)
