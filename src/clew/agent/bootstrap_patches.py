"""What EnvoyFilters change of a bootstrap (``applyTo: BOOTSTRAP``)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from google.protobuf.json_format import MessageToDict

from clew.model.envoy_filter import ApplyTo
from clew.model.envoy_messages import PATCHED, read_message

_BOOTSTRAP = PATCHED[ApplyTo.BOOTSTRAP]


def patched(document: dict[str, Any], patches: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the bootstrap with the patches merged into it, in order; lists grow."""
    values = [read_message(patch, _BOOTSTRAP) for patch in patches]
    if not values:
        return document
    whole = read_message(document, _BOOTSTRAP)
    for value in values:
        whole.MergeFrom(value)
    return MessageToDict(whole, preserving_proto_field_name=True)
