"""ServiceAccount: the identity of workloads."""

from __future__ import annotations

from clew.model.base import Resource


class ServiceAccount(Resource, frozen=True, kw_only=True):
    pass
