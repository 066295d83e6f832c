"""What is wrong with a manifest at a field, before anyone knows in which file and line."""

from __future__ import annotations

from dataclasses import dataclass

FieldPath = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong at ``path``; ``warning`` if it may stay as it is."""

    path: FieldPath
    problem: str
    hint: str = ""
    warning: bool = False
