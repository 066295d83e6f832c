"""RequestAuthentication: the JSON Web Tokens that workloads accept."""

from __future__ import annotations

from enum import StrEnum

from clew.model.base import Model, Resource
from clew.model.duration import Duration
from clew.model.selectors import PolicySelector, PolicyTargetReference


class JWTHeader(Model, frozen=True, kw_only=True):
    name: str
    prefix: str = ""


class ClaimToHeader(Model, frozen=True, kw_only=True):
    header: str
    claim: str


class JWTPresence(StrEnum):
    OPTIONAL = "OPTIONAL"
    REQUIRED = "REQUIRED"


class JWTRule(Model, frozen=True, kw_only=True):
    issuer: str = ""
    audiences: tuple[str, ...] = ()
    jwks_uri: str = ""
    jwks: str = ""
    from_headers: tuple[JWTHeader, ...] = ()
    from_params: tuple[str, ...] = ()
    from_cookies: tuple[str, ...] = ()
    output_payload_to_header: str = ""
    forward_original_token: bool | None = None
    output_claim_to_headers: tuple[ClaimToHeader, ...] = ()
    timeout: Duration | None = None
    space_delimited_claims: tuple[str, ...] = ()
    presence: JWTPresence | None = None


class RequestAuthenticationSpec(Model, frozen=True, kw_only=True):
    selector: PolicySelector | None = None
    target_ref: PolicyTargetReference | None = None
    target_refs: tuple[PolicyTargetReference, ...] = ()
    jwt_rules: tuple[JWTRule, ...] = ()


class RequestAuthentication(Resource, frozen=True, kw_only=True):
    spec: RequestAuthenticationSpec = RequestAuthenticationSpec()
