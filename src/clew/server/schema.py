"""The fields of a kind as JSON Schema, for editors to complete and explain."""

from __future__ import annotations

import inspect as python
from typing import Any

from msgspec import inspect

from clew.model.base import Model, OpenModel, Resource
from clew.model.duration import Duration
from clew.model.gateway_api.duration import GatewayDuration
from clew.model.kinds import Kind

Schema = dict[str, Any]
_DURATION: Schema = {"type": "string", "format": "duration"}
# What the parents of our types say of themselves explains no field.
_EXPLAIN_NOTHING = {python.getdoc(each) for each in (Model, OpenModel, Resource)}


def kind_schema(kind: Kind) -> Schema:
    """Return the JSON Schema (2020-12) of the manifests of a kind.

    Defaults and limits are left out: the validator knows those better.
    """
    definitions: dict[str, Schema] = {}
    root = _schema(inspect.type_info(kind.type), definitions)
    return {**root, "$defs": definitions}


def _schema(type_: inspect.Type, definitions: dict[str, Schema]) -> Schema:
    match type_:
        case inspect.StructType():
            return _reference(type_, definitions)
        case inspect.ListType() | inspect.VarTupleType():
            return {"type": "array", "items": _schema(type_.item_type, definitions)}
        case inspect.DictType():
            values = _schema(type_.value_type, definitions)
            return {"type": "object", "additionalProperties": values}
        case inspect.UnionType():
            parts = [_schema(each, definitions) for each in type_.types]
            return {"anyOf": parts}
        case inspect.EnumType():
            return {"enum": [member.value for member in type_.cls]}
        case inspect.LiteralType():
            return {"enum": list(type_.values)}
        case inspect.CustomType() if issubclass(type_.cls, Duration | GatewayDuration):
            return _DURATION
        case _:
            return {"type": _PLAIN[type(type_)]} if type(type_) in _PLAIN else {}


_PLAIN: dict[type[inspect.Type], str] = {
    inspect.StrType: "string",
    inspect.IntType: "integer",
    inspect.FloatType: "number",
    inspect.BoolType: "boolean",
    inspect.NoneType: "null",
}


def _reference(type_: inspect.StructType, definitions: dict[str, Schema]) -> Schema:
    name = type_.cls.__name__
    if name not in definitions:
        definitions[name] = {}  # a type may be within itself
        about = python.getdoc(type_.cls) or ""
        properties = {f.encode_name: _schema(f.type, definitions) for f in type_.fields}
        required = [field.encode_name for field in type_.fields if field.required]
        described = {} if about in _EXPLAIN_NOTHING else {"description": about}
        definitions[name] = {
            "type": "object", "properties": properties, "required": required, **described,
        }  # fmt: skip
    return {"$ref": f"#/$defs/{name}"}
