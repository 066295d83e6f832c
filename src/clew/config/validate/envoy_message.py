"""Does the value of a patch fit Envoy's schema? Every answer at once, each with its path."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.json_format import ParseDict, ParseError
from google.protobuf.message_factory import GetMessageClass

from clew.config.finding import FieldPath, Finding
from clew.config.structure import did_you_mean
from clew.model.envoy_messages import (
    TYPED_STRUCTS,
    describe_message,
    is_elsewhere,
    names_beside,
)

_ANY = "google.protobuf.Any"
_LEFT_OUT = "the patch is left out, for Envoy would refuse everything around it"


def check_message(full_name: str, value: Any, path: FieldPath) -> Iterator[Finding]:
    """Yield what of ``value`` does not fit Envoy's message; unknown fields only as warnings.

    Source: istio decodes strictly for warnings, and leniently for errors.
    """
    message = describe_message(full_name)
    if message is not None:
        yield from _check(message, value, path)


def _check(message: Descriptor, value: Any, path: FieldPath) -> Iterator[Finding]:
    if message.full_name == _ANY:
        yield from _check_any(value, path)
        return
    if not isinstance(value, Mapping):
        yield Finding(path, "expected an object with fields")
        return
    fields = {field.name: field for field in message.fields}
    by_json = {field.json_name: field for field in message.fields}
    for name, item in value.items():
        field = fields.get(name) or by_json.get(name)
        if field is not None:
            yield from _check_field(field, item, (*path, name))
        elif name != "@type":
            hint = did_you_mean(str(name), list(fields))
            yield Finding((*path, str(name)), "Envoy has no such field", hint, True)


def _check_field(field: FieldDescriptor, value: Any, path: FieldPath) -> Iterator[Finding]:
    inner = field.message_type
    if inner is None or not _has_fields(inner):
        yield from _check_leaf(field, value, path)
    elif inner.GetOptions().map_entry:
        if not isinstance(value, Mapping):
            yield Finding(path, "expected a map")
            return
        for key, item in value.items():
            yield from _check_field(inner.fields_by_name["value"], item, (*path, str(key)))
    elif field.is_repeated:
        if not isinstance(value, list | tuple):
            yield Finding(path, "expected a list")
            return
        for index, item in enumerate(value):
            yield from _check(inner, item, (*path, index))
    else:
        yield from _check(inner, value, path)


def _has_fields(message: Descriptor) -> bool:
    """Whether its JSON is an object of its fields: durations, wrappers and the like are not."""
    return not message.full_name.startswith("google.protobuf.") or message.full_name == _ANY


def _check_leaf(field: FieldDescriptor, value: Any, path: FieldPath) -> Iterator[Finding]:
    """Let protobuf itself read the field, alone."""
    owner = field.containing_type
    if owner is None or owner.GetOptions().map_entry:
        return
    if field.enum_type is not None and isinstance(value, str):
        names = [each.name for each in field.enum_type.values]
        if value not in names:
            hint = did_you_mean(value, names) or f"one of {', '.join(names)}"
            yield Finding(path, f'"{value}" is not a value of this field', hint)
        return
    message = GetMessageClass(owner)()
    try:
        ParseDict({field.name: value}, message)
    except ParseError as error:
        yield Finding(path, str(error).partition(": ")[2] or str(error))


def _check_any(value: Any, path: FieldPath) -> Iterator[Finding]:
    if not isinstance(value, Mapping) or not isinstance(value.get("@type"), str):
        yield Finding(path, 'the field "@type" is missing, which says what this is')
        return
    name = value["@type"].rpartition("/")[2]
    at, inside, below = (*path, "@type"), value, path
    if name in TYPED_STRUCTS:
        key = "typeUrl" if "typeUrl" in value else "type_url"
        name = str(value.get(key, "")).rpartition("/")[2]
        at, inside, below = (*path, key), value.get("value", {}), (*path, "value")
    yield from _check_type(name, at)
    message = describe_message(name)
    if message is not None and not name.startswith("google.protobuf."):
        yield from _check(message, inside, below)


def _check_type(name: str, path: FieldPath) -> Iterator[Finding]:
    if is_elsewhere(name):
        yield Finding(path, f"the Envoy of clew does not have {name}", _LEFT_OUT, True)
    elif describe_message(name) is None:
        yield Finding(path, f'unknown type "{name}"', did_you_mean(name, names_beside(name)))
