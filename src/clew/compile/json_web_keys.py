"""Whether Envoy will take a JSON Web Key Set: it refuses a whole listener for one without keys."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Any

import msgspec

# Source: RFC 7518, section 6.2.1: a coordinate has the full size of the curve's field.
_CURVES = {"P-256": 32, "P-384": 48, "P-521": 66}
_ALGORITHMS = {"RSA": ("RS", "PS"), "EC": ("ES",), "OKP": ("EdDSA",), "oct": ("HS",)}


def has_usable_key(text: str) -> bool:
    """Return whether at least one key of the set is complete.

    Source: RFC 7517; Envoy's ``Jwks doesn't have any valid public key``.
    """
    try:
        keys = msgspec.json.decode(text)["keys"]
    except (msgspec.DecodeError, KeyError, TypeError):
        return False
    return isinstance(keys, list) and any(isinstance(k, dict) and _is_usable(k) for k in keys)


def _is_usable(key: Mapping[str, Any]) -> bool:
    kind, algorithm = key.get("kty"), key.get("alg", "")
    if algorithm and not str(algorithm).startswith(_ALGORITHMS.get(str(kind), ())):
        return False
    match kind:
        case "RSA":
            return _size(key, "n") > 0 and _size(key, "e") > 0
        case "EC":
            size = _CURVES.get(str(key.get("crv", "P-256")), 0)
            return size > 0 and _size(key, "x") == size == _size(key, "y")
        case "OKP":
            return key.get("crv") == "Ed25519" and _size(key, "x") == 32
        case "oct":
            return _size(key, "k") > 0
    return False


def _size(key: Mapping[str, Any], name: str) -> int:
    """How many bytes a member in base64url has, 0 if it is none."""
    value = key.get(name, "")
    if not isinstance(value, str):
        return 0
    try:
        return len(base64.b64decode(value + "=" * (-len(value) % 4), b"-_", validate=True))
    except (binascii.Error, ValueError):
        return 0
