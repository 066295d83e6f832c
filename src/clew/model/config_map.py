"""ConfigMap: named texts."""

from __future__ import annotations

from clew.model.base import Resource


class ConfigMap(Resource, frozen=True, kw_only=True):
    data: dict[str, str] = {}
    binary_data: dict[str, str] = {}
    immutable: bool | None = None
