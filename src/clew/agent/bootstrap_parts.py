"""Parts of messages that several places of a bootstrap have."""

from __future__ import annotations

from typing import Any

TYPE = "type.googleapis.com/"
_OWNER_ONLY = 0o600


def pipe(path: str) -> dict[str, Any]:
    """An address; a relative path is below Envoy's working directory."""
    if not path.startswith("/"):
        path = f"./{path}"
    return {"pipe": {"path": path, "mode": _OWNER_ONLY}}


def ads() -> dict[str, Any]:
    """A source of configuration: the one stream to the control plane."""
    return {"ads": {}, "resource_api_version": "V3", "initial_fetch_timeout": "0s"}
