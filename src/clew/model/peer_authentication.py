"""PeerAuthentication: whether workloads accept plain text or only mutual TLS."""

from __future__ import annotations

from enum import StrEnum

from clew.model.base import Model, Resource
from clew.model.selectors import PolicySelector


class MutualTLSMode(StrEnum):
    UNSET = "UNSET"
    DISABLE = "DISABLE"
    PERMISSIVE = "PERMISSIVE"
    STRICT = "STRICT"


class MutualTLS(Model, frozen=True, kw_only=True):
    mode: MutualTLSMode | None = None


class PeerAuthenticationSpec(Model, frozen=True, kw_only=True):
    selector: PolicySelector | None = None
    mtls: MutualTLS | None = None
    port_level_mtls: dict[str, MutualTLS] = {}


class PeerAuthentication(Resource, frozen=True, kw_only=True):
    spec: PeerAuthenticationSpec = PeerAuthenticationSpec()
