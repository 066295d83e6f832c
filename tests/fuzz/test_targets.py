"""Each target for a moment: what it is made for, bent a little, and what once broke it."""

from __future__ import annotations

import random
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fuzz.__main__ import fuzz
from tests.fuzz.targets import TARGETS

# Compiling a mesh takes longer than reading a token.
_INPUTS = {"mesh": 12, "yaml": 60, "mesh-config": 60, "dns-query": 100}

BROKE = {
    "authority-files": [
        # A certificate of a version that there is not.
        (
            b"-----BEGIN CERTIFICATE-----\n"
            b"MIIB5jCCAYygAwIBEgIUZ4Wc8D2DhQxk2zmS/7dg8JMRtLUwCgYIKoZIzj0EAwIw\n"
            b"OzEWMBQGA1UECgwNY2x1c3Rlci5sb2NhbDEhMB8GA1UEAwwYUm9vdCBDQSA4M2M2\n"
            b"ZmEzNzFjZTIxZjcyMB4XDTI1MTIzMTIzNTgwMFoXDTI3MDEwMTAwMDAwMFowQzEW\n"
            b"MBQGA1UECgwNY2x1c3Rlci5sb2NhbDEpMCcGA1UEAwwgSW50ZXJtZWRpYXRlIENB\n"
            b"IGZkZjU5YzUwYzVkZTlkYjQwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAAR+nubn\n"
            b"aBpo0Akqapx2Rwyq8DjFo7q5SjwaOK6X9ghQFQH9JqvKsgAdhCEqz53lgh7PAEaV\n"
            b"gO5fj83mWOOw0Vu/o2YwZDAdBgNVHQ4EFgQU/fWcUMXenbR4bSuLuw1oP4qn6EYw\n"
            b"HwYDVR0jBBgwFoAUg8b6NxziH3Ij7xU/qudTZTPVQAYwEgYDVR0TAQH/BAgwBgEB\n"
            b"/wIBADAOBgNVHQ8BAf8EBAMCAQYwCgYIKoZIzj0EAwIDSAAwRQIgAclImVgjghxF\n"
            b"x0voKzrVzZnuX4EawNEXhtVcw6s8G7ICIQCnXr1LhVSEj5JuAdHqlvGd6NIJ2YBC\n"
            b"8jSaCrCaWQAHow==\n"
            b"-----END CERTIFICATE-----\n"
        ),
    ],
    "openid-document": [b"\x9ettps://a/keys", b"[" * 100_000],
    "token-request": [b"role\xd4\xa5\x86fF\xcb"],
}


@pytest.mark.parametrize("name", TARGETS)
def test_whatever_comes_is_answered_or_refused(name: str) -> None:
    target = TARGETS[name]
    with warnings.catch_warnings():
        # What is odd about a certificate, the library says so.
        warnings.simplefilter("ignore")
        for data in (*target.seeds(), *BROKE.get(name, ()), *_bent(name)):
            target.feed(data)


def _bent(name: str) -> Iterator[bytes]:
    """Seeds with bytes changed, lost, repeated and mixed; the same in each run."""
    dice = random.Random(name)
    seeds = list(TARGETS[name].seeds())
    for _ in range(_INPUTS.get(name, 400)):
        data = bytearray(dice.choice(seeds))
        for _ in range(dice.randint(1, 8)):
            at = dice.randrange(len(data) + 1)
            match dice.randrange(4):
                case 0:
                    data[at : at + 1] = bytes([dice.randrange(256)])
                case 1:
                    del data[at : at + dice.randint(1, 20)]
                case 2:
                    data[at:at] = dice.randbytes(dice.randint(1, 8))
                case _:
                    other = dice.choice(seeds)
                    begin = dice.randrange(len(other) + 1)
                    data[at:at] = other[begin : begin + dice.randint(1, 60)]
        yield bytes(data)


@pytest.mark.timeout(600)
def test_a_fuzzer_finds_nothing_in_a_moment(tmp_path: Path) -> None:
    pytest.importorskip("atheris", reason="the dependencies of the group `fuzz` are not installed")
    run = fuzz("http2", 3, tmp_path)
    assert run.returncode == 0, run.stdout
