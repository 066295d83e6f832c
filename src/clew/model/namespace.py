"""Namespace: a scope for names, with labels that switch features on."""

from __future__ import annotations

from clew.model.base import Resource


class Namespace(Resource, frozen=True, kw_only=True):
    pass
