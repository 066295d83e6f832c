"""Conditions of the Gateway API: what is true of an object, and why."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Condition:
    """``holds`` is the condition's status."""

    type: str
    holds: bool
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Problem:
    """Why something does not hold."""

    reason: str
    message: str

    def refuses(self, condition: str) -> Condition:
        return Condition(condition, False, self.reason, self.message)


NO_ERRORS = "No errors found"
RESOLVED = Condition("ResolvedRefs", True, "ResolvedRefs", "All references resolved")


def accepted(message: str) -> Condition:
    return Condition("Accepted", True, "Accepted", message)


def condition_values(
    conditions: Iterable[Condition], generation: int, before: Any = None
) -> list[dict[str, Any]]:
    """Return conditions as an object's status has them, sorted by type.

    ``before``: the list that the status has now. Conditions of other types stay, and the time of
    the last transition stays where the status of the condition does.
    """
    known = {each.get("type"): each for each in _dictionaries(before)}
    values: dict[str, dict[str, Any]] = {str(name): dict(each) for name, each in known.items()}
    for condition in conditions:
        status = str(condition.holds)
        value: dict[str, Any] = {
            "type": condition.type,
            "status": status,
            "reason": condition.reason,
            "message": condition.message,
        }
        if generation:
            value["observedGeneration"] = generation
        old = known.get(condition.type, {})
        if old.get("status") == status and old.get("lastTransitionTime"):
            value["lastTransitionTime"] = old["lastTransitionTime"]
        values[condition.type] = value
    return [values[name] for name in sorted(values)]


def _dictionaries(value: Any) -> list[dict[str, Any]]:
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []
