"""Secret: named values that must never be printed."""

from __future__ import annotations

from clew.model.base import Resource


class Secret(Resource, frozen=True, kw_only=True):
    """``data`` is base64. Printing a Secret shows its keys only."""

    data: dict[str, str] = {}
    string_data: dict[str, str] = {}
    type: str = "Opaque"
    immutable: bool | None = None

    def __repr__(self) -> str:
        keys = ", ".join(sorted({*self.data, *self.string_data}))
        return f"Secret({self.metadata.namespace}/{self.metadata.name}, keys: {keys})"
