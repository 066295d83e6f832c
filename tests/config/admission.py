"""What clew says of a spec of Istio's API."""

from __future__ import annotations

from typing import Any

from clew.config.parse import parse_manifest
from clew.model.diagnostic import Severity

_GROUPS = {
    "AuthorizationPolicy": "security.istio.io/v1",
    "PeerAuthentication": "security.istio.io/v1",
    "RequestAuthentication": "security.istio.io/v1",
    "ProxyConfig": "networking.istio.io/v1beta1",
    "Telemetry": "telemetry.istio.io/v1",
    "TrafficExtension": "extensions.istio.io/v1alpha1",
    "WasmPlugin": "extensions.istio.io/v1alpha1",
}


def errors(kind: str, spec: dict[str, Any], **metadata: Any) -> list[str]:
    """Return the fields of ``spec`` that have an error, each once."""
    return _fields(kind, spec, metadata, Severity.ERROR)


def warnings(kind: str, spec: dict[str, Any], **metadata: Any) -> list[str]:
    """Return the fields of ``spec`` that have a warning, each once."""
    return _fields(kind, spec, metadata, Severity.WARNING)


def _fields(
    kind: str, spec: dict[str, Any], metadata: dict[str, Any], severity: Severity
) -> list[str]:
    manifest = {
        "apiVersion": _GROUPS.get(kind, "networking.istio.io/v1"),
        "kind": kind,
        "metadata": {"name": "a", "namespace": "default", **metadata},
        "spec": spec,
    }
    found = dict.fromkeys(
        each.place.field
        for each in parse_manifest(manifest).diagnostics
        if each.severity is severity and "not yet effective" not in each.problem
    )
    return [field.removeprefix("spec.") for field in found]
