"""Operations on objects: one, several, and what became of them."""

from __future__ import annotations

from clew.api.messages import Applied, ApplyReport, Changes, History, ObjectList, ObjectStatus
from clew.api.operation import LINES, NUMBER, TEXT, YES_OR_NO, Operation
from clew.api.views import KindList, RecentChanges, References

_OBJECT = "/v1/objects/{group}/{kind}/{namespace}/{name}"
_WRITE = (("author", TEXT), ("dryRun", YES_OR_NO))
_SECRETS = ("secrets", {"type": "string", "enum": ["values"]})
_ONLY = ("only", {"type": "string", "enum": ["status"]})
_WRONG = (400, 404, 409, 413)

OPERATIONS = (
    Operation(
        method="get",
        path="/v1/objects",
        summary="The objects of all or some kinds; only their names and status, if that is asked.",
        answer=ObjectList,
        query=(("kind", TEXT), ("namespace", TEXT), ("labelSelector", TEXT), _SECRETS, _ONLY),
        errors=(400,),
    ),
    Operation(
        method="get", path=_OBJECT, summary="One object.", query=(_SECRETS,), errors=(400, 404)
    ),
    Operation(
        method="put",
        path=_OBJECT,
        summary="Create or replace one object.",
        answer=Applied,
        also=(201, 409, 422),
        query=(*_WRITE, ("file", TEXT)),
        manifests=True,
        errors=(400, 404, 405, 413),
    ),
    Operation(
        method="delete",
        path=_OBJECT,
        summary="Delete one object.",
        answer=Applied,
        query=(*_WRITE, ("revision", NUMBER)),
        errors=(400, 404, 405, 409),
    ),
    Operation(
        method="get",
        path=f"{_OBJECT}/status",
        summary="Whether an object is in force; with wait (seconds), once that is settled.",
        answer=ObjectStatus,
        query=(("wait", NUMBER),),
        errors=(400, 404),
    ),
    Operation(
        method="put",
        path=f"{_OBJECT}/status",
        summary="Replace the status of an object.",
        body=dict,
        errors=(*_WRONG, 405),
    ),
    Operation(
        method="get",
        path=f"{_OBJECT}/history",
        summary="All changes of an object, newest first.",
        answer=History,
        errors=(400, 404),
    ),
    Operation(
        method="get",
        path=f"{_OBJECT}/references",
        summary="What an object names, and what names it.",
        answer=References,
        errors=(400, 404),
    ),
    Operation(
        method="post",
        path=f"{_OBJECT}/rollback",
        summary="Bring an earlier revision of an object back.",
        answer=Applied,
        also=(201, 409, 422),
        query=(*_WRITE, ("revision", NUMBER)),
        errors=(400, 404, 405),
    ),
    Operation(
        method="post",
        path="/v1/apply",
        summary="Create or replace objects, each on its own.",
        answer=ApplyReport,
        query=(*_WRITE, ("namespace", TEXT), ("file", TEXT)),
        manifests=True,
        errors=(400, 405, 413),
    ),
    Operation(
        method="get",
        path="/v1/watch",
        summary="A line per batch of changes, for as long as both sides stay.",
        answer=Changes,
        media_type=LINES,
        query=(("since", NUMBER), ("kind", TEXT), _SECRETS),
        errors=(400,),
    ),
    Operation(
        method="get",
        path="/v1/changes",
        summary="The newest changes of all objects.",
        answer=RecentChanges,
        query=(("limit", NUMBER),),
        errors=(400,),
    ),
    Operation(method="get", path="/v1/kinds", summary="All kinds of objects.", answer=KindList),
    Operation(
        method="get",
        path="/v1/schema/{group}/{kind}",
        summary="The JSON Schema of a kind.",
        errors=(400, 404),
    ),
)
