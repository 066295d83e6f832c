"""What the mesh says of one object: findings as diagnostics, and the status that kinds define."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from clew.model.base import ResourceKey
from clew.model.diagnostic import Diagnostic, Place, Severity

# Of kinds that define a status of their own (the Gateway API's ``parents`` and ``listeners``).
Statuses = Mapping[ResourceKey, Mapping[str, Any]]

REFERENCE_NOT_FOUND = "IST0101"
CONFLICTING_HOSTS = "IST0109"
SEVERAL_SIDECARS = "IST0111"
HOST_NOT_IN_GATEWAY = "IST0132"
CONFLICTING_GATEWAYS = "IST0145"
SEVERAL_TELEMETRIES = "IST0160"


def object_warning(
    key: ResourceKey, problem: str, *, field: str = "", code: str = "", hint: str = ""
) -> Diagnostic:
    """A finding of an object that is in force, although probably not as was meant."""
    place = Place(resource=key, field=field)
    return Diagnostic(severity=Severity.WARNING, place=place, problem=problem, hint=hint, code=code)


def object_error(
    key: ResourceKey, problem: str, *, field: str = "", code: str = "", hint: str = ""
) -> Diagnostic:
    """A finding of an object of which something is not in force."""
    place = Place(resource=key, field=field)
    return Diagnostic(severity=Severity.ERROR, place=place, problem=problem, hint=hint, code=code)
