"""What we tell people about their configuration: a value, reported and never raised."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from clew.model.base import ResourceKey


class Severity(StrEnum):
    ERROR = "Error"
    WARNING = "Warning"
    INFO = "Info"


@dataclass(frozen=True, slots=True)
class Place:
    """Where in whose configuration.

    ``line`` and ``column`` are 1-based, 0 when the object did not come from a file. ``field`` is
    a path such as ``spec.http[0].match[0].uri``, "" for the object as a whole.
    """

    file: str = ""
    line: int = 0
    column: int = 0
    resource: ResourceKey | None = None
    field: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnostic:
    """One finding about the user's configuration.

    ``problem`` says what is wrong, ``hint`` what there is instead or what to do. ``code`` is
    Istio's own (IST0101 …) where ``istioctl analyze`` has one, else "".
    """

    severity: Severity
    place: Place
    problem: str
    hint: str = ""
    code: str = ""

    def __str__(self) -> str:
        """Place first, so that editors make it clickable; then the object, field and finding."""
        p = self.place
        where = (
            f"{p.file}:{p.line}:{p.column}: "
            if p.file and p.line
            else (f"{p.file}: " if p.file else "")
        )
        code = f" [{self.code}]" if self.code else ""
        subject = f" {p.resource}" if p.resource else ""
        field = f"{p.field}: " if p.field else ""
        text = f"{where}{self.severity.value}{code}{subject}\n  {field}{self.problem}"
        return f"{text}\n  hint: {self.hint}" if self.hint else text
