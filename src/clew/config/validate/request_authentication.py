"""Istio's admission rules for RequestAuthentication."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

import msgspec

from clew.config.finding import FieldPath, Finding
from clew.config.validate.scalars import check_duration, is_url
from clew.config.validate.selectors import check_targets
from clew.model.request_authentication import JWTRule, RequestAuthentication

_HEADER = re.compile(r"[-_A-Za-z0-9]+")


def validate_request_authentication(resource: RequestAuthentication) -> Iterator[Finding]:
    yield from check_targets(resource.spec)
    for index, rule in enumerate(resource.spec.jwt_rules):
        yield from _check_rule(rule, ("spec", "jwtRules", index))


def _check_rule(rule: JWTRule, path: FieldPath) -> Iterator[Finding]:
    if not rule.issuer and not rule.jwks_uri:
        yield Finding((*path, "issuer"), "set issuer, jwksUri or both")
    if rule.jwks_uri and rule.jwks:
        yield Finding(path, "jwks and jwksUri exclude each other")
    if rule.jwks_uri and not is_url(rule.jwks_uri, ("http", "https")):
        yield Finding((*path, "jwksUri"), f'"{rule.jwks_uri}" is not an http(s) URL')
    if rule.jwks and not _is_key_set(rule.jwks):
        yield Finding((*path, "jwks"), 'this is not a JSON Web Key Set: {"keys": [...]}')
    lists = {
        "audiences": rule.audiences,
        "fromParams": rule.from_params,
        "fromCookies": rule.from_cookies,
        "spaceDelimitedClaims": rule.space_delimited_claims,
        "fromHeaders": tuple(header.name for header in rule.from_headers),
    }
    for name, values in lists.items():
        yield from _check_not_empty(values, (*path, name))
    yield from _check_claims(rule, (*path, "outputClaimToHeaders"))
    yield from check_duration(rule.timeout, (*path, "timeout"))


def _check_claims(rule: JWTRule, path: FieldPath) -> Iterator[Finding]:
    for index, output in enumerate(rule.output_claim_to_headers):
        if not _HEADER.fullmatch(output.header):
            yield Finding((*path, index, "header"), f'"{output.header}" is not a header name')
        if not output.claim:
            yield Finding((*path, index, "claim"), "the claim is empty")


def _check_not_empty(values: Sequence[str], path: FieldPath) -> Iterator[Finding]:
    if "" in values:
        yield Finding((*path, values.index("")), "the value is empty")


def _is_key_set(text: str) -> bool:
    try:
        value = msgspec.json.decode(text)
    except msgspec.DecodeError:
        return False
    return isinstance(value, dict) and isinstance(value.get("keys"), list)
