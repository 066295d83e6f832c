"""What holds for every kind that clew knows."""

from __future__ import annotations

import msgspec
import pytest

from clew.model.base import ObjectMeta
from clew.model.duration import Duration
from clew.model.kinds import KINDS, Kind, find_kind, kind_for
from clew.model.secret import Secret


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: f"{kind.kind}.{kind.group}")
def test_a_kind_is_found_by_every_name_it_has(kind: Kind) -> None:
    assert all(kind_for(version, kind.kind) is kind for version in kind.api_versions)
    assert find_kind(f"{kind.plural}.{kind.group}") is kind
    assert all(find_kind(name) is kind for name in kind.short_names)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: f"{kind.kind}.{kind.group}")
def test_a_kind_can_be_read_from_json(kind: Kind) -> None:
    def read_duration(_: type, value: str) -> Duration:
        return Duration.parse(value)

    text = {"apiVersion": kind.api_versions[0], "kind": kind.kind, "metadata": {"name": "a"}}
    fields = {field.name: field for field in msgspec.structs.fields(kind.type)}
    if "spec" in fields and fields["spec"].required:
        return
    assert msgspec.convert(text, kind.type, dec_hook=read_duration).metadata.name == "a"


def test_a_secret_does_not_print_its_values() -> None:
    metadata = ObjectMeta(name="a", namespace="n")
    secret = Secret(
        api_version="v1",
        kind="Secret",
        metadata=metadata,
        data={"tls.key": "cHJpdmF0ZQ=="},
        string_data={"token": "private"},
    )
    assert str(secret) == repr(secret) == "Secret(n/a, keys: tls.key, token)"
