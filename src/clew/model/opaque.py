"""Kinds that are stored and shown as they are: nothing reads their ``spec`` yet."""

from __future__ import annotations

from typing import Any

from clew.model.base import Resource


class OpaqueResource(Resource, frozen=True, kw_only=True):
    spec: Any = None
