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


class Finding(Message, frozen=True, kw_only=True):
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


class Key(Message, frozen=True, kw_only=True):
    """An object's identity; ``group`` is "" for core kinds."""

    group: str = ""
    kind: str = ""
    namespace: str = ""
    name: str = ""

    def resource_key(self) -> ResourceKey:
        return ResourceKey(self.group, self.kind, self.namespace, self.name)


def key_message(key: ResourceKey) -> Key:
    return Key(group=key.group, kind=key.kind, namespace=key.namespace, name=key.name)


class ObjectList(Message, frozen=True, kw_only=True):
    """All objects that a query found, and the revision that they show."""

    revision: int
    items: tuple[dict[str, Any], ...] = ()


Result = Literal["created", "configured", "unchanged", "deleted", "refused"]


class Applied(Message, frozen=True, kw_only=True):
    """What became of one document. ``object`` is the object as it is now, or would be.

    ``restored`` is the revision that a rollback brought back.
    """

    key: Key
    result: Result
    revision: int = 0
    object: dict[str, Any] | None = None
    restored: int = 0
    error: str = ""
    diagnostics: tuple[Finding, ...] = ()


class ApplyReport(Message, frozen=True, kw_only=True):
    """One entry per document, in order."""

    items: tuple[Applied, ...]
    dry_run: bool = False


class HistoryItem(Message, frozen=True, kw_only=True):
    """One change of one object. ``object`` is null when it was deleted."""

    revision: int
    at: str
    author: str
    action: str
    object: dict[str, Any] | None = None


class History(Message, frozen=True, kw_only=True):
    """Newest first."""

    items: tuple[HistoryItem, ...] = ()


Reason = Literal[
    "BadRequest",
    "Unauthorized",
    "Forbidden",
    "NotFound",
    "Conflict",
    "ReadOnly",
    "Invalid",
    "Expired",
    "TooLarge",
    "TooMany",
    "MethodNotAllowed",
    "Internal",
]


class Problem(Message, frozen=True, kw_only=True):
    """Why a request failed; ``message`` is for people."""

    reason: Reason
    message: str
    hint: str = ""


class ChangeItem(Message, frozen=True, kw_only=True):
    """``object`` is null when the object was deleted."""

    key: Key
    revision: int
    object: dict[str, Any] | None = None


class Changes(Message, frozen=True, kw_only=True):
    """One line of the watch stream. ``error`` is in the last one: list again, watch anew."""

    revision: int
    changes: tuple[ChangeItem, ...] = ()
    error: Problem | None = None


TypeState = Literal["acked", "pending", "nacked"]


class TypeStatus(Message, frozen=True, kw_only=True):
    """Where one proxy is with one type of resource.

    ``version`` is the last one acknowledged. ``error`` is what Envoy said of the one it rejected,
    ``resources`` which those are; the proxy goes on with what it had.
    """

    state: TypeState
    version: str = ""
    error: str = ""
    resources: tuple[str, ...] = ()


class ProxyStatus(Message, frozen=True, kw_only=True):
    """One proxy that is or was connected. ``types`` by xDS short name: CDS, EDS, LDS, RDS …

    ``version``: Envoy's, "" as long as its agent has not said it. ``certificate_begins``,
    ``certificate_ends``: of the certificate that it uses, in seconds since 1970, 0: unknown.
    """

    name: str
    namespace: str = ""
    node: str = ""
    address: str = ""
    connected: bool = True
    since: str = ""
    types: dict[str, TypeStatus] = {}
    version: str = ""
    certificate_begins: float = 0.0
    certificate_ends: float = 0.0


class Refusal(Message, frozen=True, kw_only=True):
    """A generation of an object that a proxy refused, and why.

    ``held_at`` was in force instead, 0: nothing of the object. ``held``: it still is so.
    ``object`` is "" where no single object explains what ``resource`` is refused for.
    """

    at: str
    proxy: str
    resource: str
    reason: str
    object: str = ""
    generation: int = 0
    held_at: int = 0
    held: bool = False


class ProxyList(Message, frozen=True, kw_only=True):
    """``revision``: changes up to this one have been published to the proxies.

    ``refusals``: the latest, newest first.
    """

    proxies: tuple[ProxyStatus, ...] = ()
    revision: int = 0
    refusals: tuple[Refusal, ...] = ()

    def has_settled(self, revision: int, *, only: str = "") -> bool:
        """Tell whether every connected proxy has answered all that came up to this revision.

        ``only``: the one type to ask for, as "EDS"; "": all of them.
        """
        return self.revision >= revision and not any(
            status.state == "pending"
            for proxy in self.proxies
            if proxy.connected
            for name, status in proxy.types.items()
            if only in ("", name)
        )


ObjectState = Literal["in force", "pending", "rejected", "held", "no proxy", "not supported"]


class ObjectStatus(Message, frozen=True, kw_only=True):
    """Whether one object is in force, as the control plane knows from what proxies acknowledge.

    ``generation`` is the newest, ``observed_generation`` the newest that was published.
    ``acknowledged`` of ``concerned`` proxies have it, ``waiting`` names the others. ``reason`` is
    Envoy's when it refused; ``held_at`` is the generation that is in force instead, 0: none is.
    ``message`` says all that in a sentence, ``findings`` are what else there is to say of it.
    """

    key: Key
    state: ObjectState
    generation: int = 0
    observed_generation: int = 0
    acknowledged: int = 0
    concerned: int = 0
    waiting: tuple[str, ...] = ()
    reason: str = ""
    held_at: int | None = None
    message: str = ""
    findings: tuple[Finding, ...] = ()

    @property
    def settled(self) -> bool:
        """Whether waiting longer changes nothing."""
        return self.state != "pending"

    @property
    def in_force(self) -> bool:
        return self.state in ("in force", "no proxy")

    @property
    def text(self) -> str:
        """``in force 4/4``, ``held at generation 3``, the way tables show it."""
        match self.state:
            case "in force" | "pending":
                return f"{self.state} {self.acknowledged}/{self.concerned}"
            case "held" if self.held_at:
                return f"held at generation {self.held_at}"
            case "held":
                return "held back"
            case state:
                return state

    @property
    def summary(self) -> str:
        """All of it in one line."""
        same = self.message.startswith(self.text)
        return self.message if same else f"{self.text}: {self.message}"


class ProblemList(Message, frozen=True, kw_only=True):
    """What is wrong with configuration that came in otherwise than by the API."""

    problems: tuple[Finding, ...] = ()


class Readiness(Message, frozen=True, kw_only=True):
    ready: bool
    revision: int = 0


class ErrorReply(Message, frozen=True, kw_only=True):
    error: Problem
    diagnostics: tuple[Finding, ...] = ()
