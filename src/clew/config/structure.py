"""Does a manifest have the shape of its kind? Every answer at once, each with its path."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any, TypeVar

import msgspec
from msgspec import inspect

from clew.config.finding import FieldPath, Finding
from clew.model.duration import Duration

T = TypeVar("T")


def decode_custom(kind: type, value: Any) -> Any:
    """msgspec's hook for the types that are our own. Raises: ValueError."""
    if issubclass(kind, Duration) and isinstance(value, str):
        return kind.parse(value)
    raise ValueError(f"expected a duration such as 1.5s, got {_shown(value)}")


def convert(kind: type[T], value: Any) -> tuple[T | None, list[Finding]]:
    """Return the value as a struct, or all that does not fit.

    Only what does not fit is looked at again, field by field.
    """
    try:
        return msgspec.convert(value, kind, dec_hook=decode_custom), []
    except (msgspec.ValidationError, ValueError) as error:
        findings = list(check_structure(kind, value))
        if findings and (respelt := _with_camel_names(value)) != value:
            return convert(kind, respelt)
        if findings:
            return None, findings
        first = error
    try:
        # All that is left are numbers as strings, which protobuf's JSON allows.
        return msgspec.convert(value, kind, dec_hook=decode_custom, strict=False), []
    except (msgspec.ValidationError, ValueError):
        return None, [Finding((), str(first))]


def check_structure(kind: type, value: Any, path: FieldPath = ()) -> Iterator[Finding]:
    """Yield everything in ``value`` that does not fit the struct ``kind``."""
    yield from _check(_type_of(kind), value, path)


@cache
def _type_of(kind: type) -> inspect.Type:
    return inspect.type_info(kind)


@cache
def _is_closed(struct: type) -> bool:
    return bool(struct.__struct_config__.forbid_unknown_fields)  # type: ignore[attr-defined]  # every msgspec.Struct has it


# The snake_case spellings that Istio's CRDs accept: (list in the spec, old name, name).
_OTHER_SPELLINGS = (
    ("http", "mirror_percent", "mirrorPercent"),
    ("jwtRules", "jwks_uri", "jwksUri"),
)


def _with_camel_names(manifest: Any) -> Any:
    """Return the manifest with the two fields that Istio also takes in snake_case respelt."""
    spec = manifest.get("spec") if isinstance(manifest, dict) else None
    if not isinstance(spec, dict):
        return manifest
    respelt = dict(spec)
    for parent, old, name in _OTHER_SPELLINGS:
        if isinstance(items := spec.get(parent), list):
            respelt[parent] = [_renamed(item, old, name) for item in items]
    return {**manifest, "spec": respelt}


def _renamed(item: Any, old: str, name: str) -> Any:
    if not isinstance(item, dict) or old not in item or name in item:
        return item
    return {name if key == old else key: value for key, value in item.items()}


def with_json_names(kind: type, value: Any) -> Any:
    """Return ``value`` with the fields of ``kind`` by their names in JSON, where it has those of
    the protobuf message: ``resource_detectors`` → ``resourceDetectors``.

    Source: protobuf's JSON mapping, which takes both.
    """
    return _with_json_names(_type_of(kind), value)


def _with_json_names(expected: inspect.Type, value: Any) -> Any:
    match expected:
        case inspect.Metadata():
            return _with_json_names(expected.type, value)
        case inspect.UnionType():
            for option in expected.types:
                value = _with_json_names(option, value)
        case inspect.VarTupleType() if isinstance(value, list):
            return [_with_json_names(expected.item_type, item) for item in value]
        case inspect.DictType() if isinstance(value, dict):
            of_values = expected.value_type
            return {key: _with_json_names(of_values, item) for key, item in value.items()}
        case inspect.StructType() if isinstance(value, dict):
            fields = {field.encode_name: field.type for field in expected.fields}
            named = {_json_name(name, fields, value): item for name, item in value.items()}
            return {
                name: _with_json_names(fields[name], item) if name in fields else item
                for name, item in named.items()
            }
    return value


def _json_name(name: Any, fields: Mapping[str, Any], given: Mapping[str, Any]) -> Any:
    """The field's name in JSON; as it is if there is no such field, or it is given by that name."""
    camel = _camel(str(name))
    return camel if name not in fields and camel in fields and camel not in given else name


def _camel(name: str) -> str:
    return "".join(p if i == 0 else p[:1].upper() + p[1:] for i, p in enumerate(name.split("_")))


def _check(expected: inspect.Type, value: Any, path: FieldPath) -> Iterator[Finding]:
    match expected:
        case inspect.Metadata():
            yield from _check(expected.type, value, path)
        case inspect.UnionType():
            options = [t for t in expected.types if not isinstance(t, inspect.NoneType)]
            if len(options) == 1:
                yield from _check(options[0], value, path)
            elif isinstance(value, int) and (
                numbers := [t for t in options if isinstance(t, inspect.IntType)]
            ):
                yield from _check(numbers[0], value, path)
        case inspect.StructType():
            yield from _check_struct(expected, value, path)
        case inspect.VarTupleType():
            if not isinstance(value, list):
                yield _wrong("a list", value, path)
                return
            for index, item in enumerate(value):
                yield from _check(expected.item_type, item, (*path, index))
        case inspect.DictType():
            if not isinstance(value, dict):
                yield _wrong("a map", value, path)
                return
            for key, item in value.items():
                yield from _check(expected.value_type, item, (*path, key))
        case _:
            yield from _check_scalar(expected, value, path)


def _check_struct(expected: inspect.StructType, value: Any, path: FieldPath) -> Iterator[Finding]:
    if not isinstance(value, dict):
        yield _wrong("an object with fields", value, path)
        return
    fields = {field.encode_name: field for field in expected.fields}
    for name, item in value.items():
        if name in fields:
            yield from _check(fields[name].type, item, (*path, name))
        elif _is_closed(expected.cls):
            yield Finding((*path, str(name)), "unknown field", did_you_mean(str(name), fields))
    for name, field in fields.items():
        if field.required and name not in value:
            yield Finding(path, f'the field "{name}" is missing')


def _check_scalar(expected: inspect.Type, value: Any, path: FieldPath) -> Iterator[Finding]:
    match expected:
        case inspect.StrType():
            if not isinstance(value, str):
                yield _wrong("a string", value, path, 'put it in quotes: "…"')
        case inspect.BoolType():
            if not isinstance(value, bool):
                yield _wrong("true or false", value, path)
        case inspect.IntType():
            if isinstance(value, bool) or not _is_integer(value):
                yield _wrong("a whole number", value, path)
            elif not _is_within(expected, int(value)):
                yield _wrong(f"a number from {expected.ge} to {expected.le}", value, path)
        case inspect.FloatType():
            if isinstance(value, bool) or not _is_number(value):
                yield _wrong("a number", value, path)
        case inspect.EnumType():
            names = [member.value for member in expected.cls]
            if value not in names:
                hint = did_you_mean(str(value), names) or f"one of {', '.join(names)}"
                yield Finding(path, f"{_shown(value)} is not a value of this field", hint)
        case inspect.CustomType():
            try:
                decode_custom(expected.cls, value)
            except ValueError as error:
                yield Finding(path, str(error))
        case _:
            pass  # Any: nothing to check


def _is_integer(value: Any) -> bool:
    """protobuf's JSON allows 64-bit numbers as strings, and 5.0 for 5."""
    if isinstance(value, str):
        return value.removeprefix("-").isdecimal()
    return isinstance(value, int) or (isinstance(value, float) and value.is_integer())


def _is_within(expected: inspect.IntType, value: int) -> bool:
    least, most = expected.ge, expected.le
    return (least is None or value >= least) and (most is None or value <= most)


def _is_number(value: Any) -> bool:
    try:
        float(value)
    except (TypeError, ValueError):
        return False
    return True


def did_you_mean(name: str, known: Mapping[str, Any] | list[str]) -> str:
    """Return a hint that names the most similar of ``known``, or "" if none is near."""
    camel = _camel(name)
    if camel in known and camel != name:
        return f'did you mean "{camel}"?'
    by_lower = {k.lower(): k for k in known}
    near = difflib.get_close_matches(name.lower(), by_lower, n=1, cutoff=0.6)
    return f'did you mean "{by_lower[near[0]]}"?' if near else ""


def _wrong(expected: str, value: Any, path: FieldPath, hint: str = "") -> Finding:
    return Finding(path, f"expected {expected}, got {_shown(value)}", hint)


def _shown(value: Any) -> str:
    text = msgspec.json.encode(value, enc_hook=str).decode()
    return text if len(text) <= 60 else text[:57] + "..."
