"""What the admin API and its clients say to each other, as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import msgspec

from clew.model.base import ResourceKey
from clew.model.diagnostic import Diagnostic, Severity

Manifest = Mapping[str, Any]


class Message(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A JSON object. Unknown fields are ignored, so that either side may be the newer one."""


class Finding(Message):
    """A Diagnostic, and the text that people see."""

    severity: str
    problem: str
    hint: str = ""
    code: str = ""
    file: str = ""
    line: int = 0
    column: int = 0
    object: str = ""
    field: str = ""
    text: str = ""

    @property
    def is_error(self) -> bool:
        return self.severity == Severity.ERROR.value


def finding(diagnostic: Diagnostic) -> Finding:
    place = diagnostic.place
    return Finding(
        severity=diagnostic.severity.value,
        problem=diagnostic.problem,
        hint=diagnostic.hint,
        code=diagnostic.code,
        file=place.file,
        line=place.line,
        column=place.column,
        object=str(place.resource) if place.resource else "",
        field=place.field,
        text=str(diagnostic),
    )


class Key(Message):
    """An object's identity; ``group`` is "" for core kinds."""

    group: str = ""
    kind: str = ""
    namespace: str = ""
    name: str = ""

    def resource_key(self) -> ResourceKey:
        return ResourceKey(self.group, self.kind, self.namespace, self.name)


def key_message(key: ResourceKey) -> Key:
    return Key(group=key.group, kind=key.kind, namespace=key.namespace, name=key.name)


class ObjectList(Message):
    """All objects that a query found, and the revision that they show."""

    revision: int
    items: tuple[dict[str, Any], ...] = ()


Result = Literal["created", "configured", "unchanged", "deleted", "refused"]


class Applied(Message):
    """What became of one document. ``object`` is the object as it is now, or would be."""

    key: Key
    result: Result
    revision: int = 0
    object: dict[str, Any] | None = None
    error: str = ""
    diagnostics: tuple[Finding, ...] = ()


class ApplyReport(Message):
    """One entry per document, in order."""

    items: tuple[Applied, ...]
    dry_run: bool = False


class HistoryItem(Message):
    """One change of one object. ``object`` is null when it was deleted."""

    revision: int
    at: str
    author: str
    action: str
    object: dict[str, Any] | None = None


class History(Message):
    """Newest first."""

    items: tuple[HistoryItem, ...] = ()


class ChangeItem(Message):
    """``object`` is null when the object was deleted."""

    key: Key
    revision: int
    object: dict[str, Any] | None = None


class Changes(Message):
    """One line of the watch stream."""

    revision: int
    changes: tuple[ChangeItem, ...] = ()


TypeState = Literal["acked", "pending", "nacked"]


class TypeStatus(Message):
    """Where one proxy is with one type of resource.

    ``version`` is the last one acknowledged. ``error`` is what Envoy said of the one it rejected,
    ``resources`` which those are; the proxy goes on with what it had.
    """

    state: TypeState
    version: str = ""
    error: str = ""
    resources: tuple[str, ...] = ()


class ProxyStatus(Message):
    """One proxy that is or was connected. ``types`` by xDS short name: CDS, EDS, LDS, RDS …"""

    name: str
    namespace: str = ""
    node: str = ""
    address: str = ""
    connected: bool = True
    since: str = ""
    types: dict[str, TypeStatus] = {}


class ProxyList(Message):
    proxies: tuple[ProxyStatus, ...] = ()


class ProblemList(Message):
    """What is wrong with configuration that came in otherwise than by the API."""

    problems: tuple[Finding, ...] = ()


class Readiness(Message):
    ready: bool
    revision: int = 0


Reason = Literal[
    "BadRequest",
    "NotFound",
    "Conflict",
    "ReadOnly",
    "Invalid",
    "Expired",
    "TooLarge",
    "MethodNotAllowed",
    "Internal",
]


class Problem(Message):
    """Why a request failed; ``message`` is for people."""

    reason: Reason
    message: str
    hint: str = ""


class ErrorReply(Message):
    error: Problem
    diagnostics: tuple[Finding, ...] = ()
