"""What clew says of a spec of the Gateway API."""

from __future__ import annotations

from typing import Any

from clew.config.parse import parse_manifest
from clew.model.diagnostic import Severity


def wrong_fields(
    kind: str, spec: dict[str, Any], version: str = "gateway.networking.k8s.io/v1"
) -> list[str]:
    """Return the fields that have an error."""
    manifest = {"apiVersion": version, "kind": kind, "metadata": {"name": "a"}, "spec": spec}
    found = parse_manifest(manifest).diagnostics
    return [each.place.field for each in found if each.severity is Severity.ERROR]
