"""Rules for cipher suites and curves: what Envoy does not know is left out, with a warning.

Source: istio ``security.IsValidCipherSuite`` and ``IsValidECDHCurve``.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from clew.config.finding import FieldPath, Finding

_CIPHER_SUITES = frozenset(
    "ALL ECDHE-ECDSA-AES128-GCM-SHA256 ECDHE-RSA-AES128-GCM-SHA256 ECDHE-ECDSA-AES256-GCM-SHA384 "
    "ECDHE-RSA-AES256-GCM-SHA384 ECDHE-ECDSA-CHACHA20-POLY1305 ECDHE-RSA-CHACHA20-POLY1305 "
    "ECDHE-ECDSA-AES128-SHA ECDHE-RSA-AES128-SHA ECDHE-ECDSA-AES256-SHA ECDHE-RSA-AES256-SHA "
    "AES128-GCM-SHA256 AES256-GCM-SHA384 AES128-SHA AES256-SHA DES-CBC3-SHA".split()
)
_CURVES = frozenset("P-224 P-256 P-384 P-521 X25519 X25519Kyber768Draft00 X25519MLKEM768".split())


def check_cipher_suites(suites: Sequence[str], path: FieldPath) -> Iterator[Finding]:
    """An operation such as ``-NAME``, or a group such as ``[A|B]``, is taken as it is."""
    operations = {suite for suite in suites if not suite[:1].isalnum()}
    yield from _check(suites, _CIPHER_SUITES | operations, "cipher suite", path)


def check_curves(curves: Sequence[str], path: FieldPath) -> Iterator[Finding]:
    yield from _check(curves, _CURVES | {""}, "curve", path)


def _check(
    names: Sequence[str], known: Collection[str], what: str, path: FieldPath
) -> Iterator[Finding]:
    for index, name in enumerate(names):
        if name not in known:
            yield Finding((*path, index), f'"{name}" is no {what}, and is ignored', warning=True)
        elif name in names[:index]:
            yield Finding((*path, index), f'"{name}" is there twice', warning=True)
