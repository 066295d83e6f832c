"""Istio's admission rules for RequestAuthentication."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import urlsplit

import msgspec

from clew.config.finding import FieldPath, Finding
from clew.config.validate.scalars import check_duration, is_url
from clew.config.validate.selectors import check_targets
from clew.model.addresses import is_link_local
from clew.model.request_authentication import JWTRule, RequestAuthentication

# What a key of each kind consists of, and which part of it is the secret.
_PARTS = {"RSA": ("n", "e"), "EC": ("crv", "x", "y"), "OKP": ("crv", "x"), "oct": ("k",)}
_PRIVATE = {"RSA": "d", "EC": "d", "OKP": "d", "oct": "k"}
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
    elif is_link_local(_host(rule.jwks_uri)):
        yield Finding(
            (*path, "jwksUri"),
            "keys are not fetched from link-local addresses, where clouds keep secrets of hosts",
            "every token of this issuer is refused",
            warning=True,
        )
    if rule.jwks:
        yield from _check_keys(rule.jwks, (*path, "jwks"))
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


def _host(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


def _check_claims(rule: JWTRule, path: FieldPath) -> Iterator[Finding]:
    for index, output in enumerate(rule.output_claim_to_headers):
        if not _HEADER.fullmatch(output.header):
            yield Finding((*path, index, "header"), f'"{output.header}" is not a header name')
        if not output.claim:
            yield Finding((*path, index, "claim"), "the claim is empty")


def _check_not_empty(values: Sequence[str], path: FieldPath) -> Iterator[Finding]:
    if "" in values:
        yield Finding((*path, values.index("")), "the value is empty")


def _check_keys(text: str, path: FieldPath) -> Iterator[Finding]:
    """A JSON Web Key, or a set of them; what is private in one is for nobody to see here."""
    keys = _keys(text)
    if keys is None or not all(isinstance(key, dict) and _has_parts(key) for key in keys):
        yield Finding(path, 'this is not a JSON Web Key Set: {"keys": [...]}')
    elif any(_PRIVATE.get(key["kty"]) in key for key in keys):
        problem = "this has a private key in it, and whoever reads it can sign tokens"
        yield Finding(path, problem, "leave only the public part", warning=True)


def _keys(text: str) -> list[Any] | None:
    try:
        value = msgspec.json.decode(text)
    except msgspec.DecodeError:
        return None
    if not isinstance(value, dict):
        return None
    keys = value.get("keys", [value] if "kty" in value else None)
    return keys if isinstance(keys, list) else None


def _has_parts(key: dict[str, Any]) -> bool:
    kind = key.get("kty")
    return isinstance(kind, str) and kind in _PARTS and all(part in key for part in _PARTS[kind])
