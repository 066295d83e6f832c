"""What is secret in objects stays in the store: the API tells only that it is there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

REDACTED = "[redacted]"
_VALUES = ("data", "stringData")
# kubectl keeps a copy of all that was applied here.
_COPY = "kubectl.kubernetes.io/last-applied-configuration"


def redacted(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """Return a manifest without the values of a Secret; others are as they were."""
    shown = dict(manifest)
    if not _is_secret(manifest):
        return shown
    for field in _VALUES:
        if isinstance(values := manifest.get(field), dict):
            shown[field] = dict.fromkeys(values, REDACTED)
    metadata = manifest.get("metadata") or {}
    if _COPY in (metadata.get("annotations") or {}):
        annotations = {**metadata["annotations"], _COPY: REDACTED}
        shown["metadata"] = {**metadata, "annotations": annotations}
    return shown


def is_redacted(manifest: Mapping[str, Any]) -> bool:
    """Whether somebody sends back what was shown without values: they must not get lost."""
    fields = [manifest.get(field) or {} for field in _VALUES] if _is_secret(manifest) else []
    return any(REDACTED in values.values() for values in fields if isinstance(values, dict))


def _is_secret(manifest: Mapping[str, Any]) -> bool:
    return manifest.get("kind") == "Secret" and manifest.get("apiVersion") == "v1"
