"""Merging a patch's value into a compiled message, as protobuf does it, with Istio's exceptions.

Scalars are replaced if the patch has them, messages are merged field by field, lists grow.
"""

from __future__ import annotations

from google.protobuf.any_pb2 import Any
from google.protobuf.message import Message

from clew.compile.typed_config import typed_config
from clew.model.envoy_messages import find_message

# One point in time or span, of which a part says nothing.
# Source: istio ``pkg/proto/merge``.
_WHOLE = frozenset({"google.protobuf.Duration"})


def merge(into: Message, patch: Message, *, replace_lists: bool = False) -> None:
    """Merge ``patch`` into a message of the same type.

    ``replace_lists``: lists of the patch take the place of those in the message.
    """
    for field, value in patch.ListFields():
        whole = field.message_type is not None and field.message_type.full_name in _WHOLE
        if not field.is_repeated and field.message_type is not None and not whole:
            inner = getattr(into, field.name)
            if field.containing_oneof and not into.HasField(field.name):
                inner.SetInParent()
            merge(inner, value, replace_lists=replace_lists)
            inner.SetInParent()
            continue
        is_map = field.message_type is not None and field.message_type.GetOptions().map_entry
        if whole or (field.is_repeated and replace_lists and not is_map):
            into.ClearField(field.name)
        _add(into, patch, field.name)


def _add(into: Message, patch: Message, name: str) -> None:
    """Merge a single field, with protobuf's own rules."""
    only = type(patch)()
    only.CopyFrom(patch)
    for field, _ in patch.ListFields():
        if field.name != name:
            only.ClearField(field.name)
    into.MergeFrom(only)


def merge_any(into: Any, patch: Any, *, replace_lists: bool = False) -> bool:
    """Merge what the one has packed into what the other has; False if the types differ."""
    if into.TypeName() != patch.TypeName():
        return False
    kind = find_message(into.TypeName())
    if kind is None:
        return False
    merged, value = kind.FromString(into.value), kind.FromString(patch.value)
    merge(merged, value, replace_lists=replace_lists)
    into.CopyFrom(typed_config(merged))
    return True
