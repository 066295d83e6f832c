"""Issuers of tokens: their keys, the server that has them, and tokens that they sign."""

from __future__ import annotations

import json
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from tests.envoy.program import response, serving

# Tokens of the tests end in the year 2100.
_FAR = 4102444800


def _base64(content: bytes) -> str:
    return urlsafe_b64encode(content).rstrip(b"=").decode()


@dataclass
class Issuer:
    """Signs with its newest key; ``answers``: what its server says, by path."""

    name: str
    keys: dict[str, ec.EllipticCurvePrivateKey] = field(default_factory=dict)
    answers: dict[str, bytes] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def rotate(self, key: str) -> None:
        """Sign with a new key from now on; the server has only that one."""
        self.keys = {key: ec.generate_private_key(ec.SECP256R1())}
        self.answers["/keys"] = self.jwks().encode()

    def jwks(self) -> str:
        return json.dumps({"keys": [_public(name, key) for name, key in self.keys.items()]})

    def token(self, **claims: Any) -> str:
        name, key = next(iter(self.keys.items()))
        head = {"alg": "ES256", "typ": "JWT", "kid": name}
        body = {"iss": self.name, "sub": "somebody", "exp": _FAR, **claims}
        signed = ".".join(_base64(json.dumps(part).encode()) for part in (head, body))
        r, s = decode_dss_signature(key.sign(signed.encode(), ec.ECDSA(hashes.SHA256())))
        return f"{signed}.{_base64(r.to_bytes(32, 'big') + s.to_bytes(32, 'big'))}"

    def bearer(self, **claims: Any) -> Mapping[str, str]:
        return {"authorization": f"Bearer {self.token(**claims)}"}

    def server(self) -> AbstractAsyncContextManager[int]:
        """The server of the keys, on loopback; yields its port."""
        return serving(self._answer)

    def _answer(self, head: bytes) -> bytes:
        path = head.split()[1].decode()
        self.asked.append(path)
        if path not in self.answers:
            return response(status="404 Not Found")
        return response(self.answers[path])


def issuer(name: str) -> Issuer:
    made = Issuer(name)
    made.rotate("one")
    return made


def _public(name: str, key: ec.EllipticCurvePrivateKey) -> dict[str, str]:
    numbers = key.public_key().public_numbers()
    x, y = (_base64(each.to_bytes(32, "big")) for each in (numbers.x, numbers.y))
    return {"kty": "EC", "crv": "P-256", "alg": "ES256", "kid": name, "x": x, "y": y}
