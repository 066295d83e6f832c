"""Values of Secrets: kept, used, and shown to nobody who does not ask for them."""

from __future__ import annotations

import json
from base64 import b64encode
from pathlib import Path

import pytest

from clew.api.async_client import AsyncClient
from clew.model.base import ResourceKey
from clew.server.redaction import REDACTED, redacted
from tests.server.api_server import raw, run

VALUE = b64encode(b"a very secret value").decode()
SECRET = {
    "apiVersion": "v1",
    "kind": "Secret",
    "metadata": {
        "name": "a",
        "namespace": "default",
        "annotations": {
            "kubectl.kubernetes.io/last-applied-configuration": json.dumps({"data": VALUE}),
            "other": "kept",
        },
    },
    "data": {"key": VALUE},
    "stringData": {"text": "a very secret text"},
}
KEY = ResourceKey("", "Secret", "default", "a")
OBJECT = "/v1/objects/core/Secret/default/a"


def test_a_secret_is_shown_without_its_values() -> None:
    shown = redacted(SECRET)
    assert shown["data"] == {"key": REDACTED}
    assert shown["stringData"] == {"text": REDACTED}
    assert shown["metadata"]["annotations"]["other"] == "kept"
    assert VALUE not in json.dumps(shown)
    assert SECRET["data"] == {"key": VALUE}


@pytest.mark.parametrize(
    "manifest", [{}, {"kind": "Secret"}, {"kind": "ConfigMap", "data": {"a": "b"}}]
)
def test_others_are_shown_as_they_are(manifest: dict[str, object]) -> None:
    assert redacted(manifest) == manifest


def test_no_answer_of_the_api_holds_a_secrets_value() -> None:
    async def scenario(client: AsyncClient, socket: Path) -> None:
        applied = await raw(socket, "POST", "/v1/apply", content=json.dumps(SECRET))
        answers = [applied]
        for path in (OBJECT, "/v1/objects", f"{OBJECT}/history"):
            answers.append(await raw(socket, "GET", path))
        answers.append(await raw(socket, "PUT", OBJECT, content=json.dumps(SECRET)))
        for answer in answers:
            assert answer.is_success, answer.text
            assert VALUE not in answer.text
            assert "a very secret" not in answer.text
        changed = {**SECRET, "data": {"key": b64encode(b"another").decode()}}
        watching = client.watch(0)
        await anext(watching)
        assert json.loads((await raw(socket, "GET", OBJECT, params={"secrets": "values"})).text)[
            "data"
        ] == {"key": VALUE}
        await client.apply_manifest(changed)
        told = await anext(watching)
        assert VALUE not in str(told)
        assert REDACTED in str(told)
        [listed] = (await client.list(kinds=["Secret"], secrets=True)).items
        assert listed["data"] == changed["data"]

    run(scenario)


def test_what_was_shown_without_values_is_not_taken_back() -> None:
    async def scenario(client: AsyncClient, socket: Path) -> None:
        await client.apply_manifest(SECRET)
        [refused] = (await client.apply_manifest(await client.get(KEY))).items
        assert refused.result == "refused"
        assert "send the real ones" in refused.error
        [kept] = (await client.list(kinds=["Secret"], secrets=True)).items
        assert kept["data"] == {"key": VALUE}

    run(scenario)
