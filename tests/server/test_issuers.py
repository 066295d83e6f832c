"""Where issuers of tokens have their keys: asked again in time, and kept while nobody answers."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from ipaddress import ip_network

import pytest

from clew.server.issuers import Issuers
from clew.server.openid import NotDiscovered, discover
from tests.envoy.tokens import issuer

LOGIN = "https://login.example.com"


class Learned:
    """What the publisher is told."""

    def __init__(self) -> None:
        self.issuers: Mapping[str, str] = {}
        self.again = asyncio.Event()

    def __call__(self, issuers: Mapping[str, str]) -> None:
        self.issuers = issuers
        self.again.set()


def test_issuers_are_asked_as_soon_as_a_policy_names_them() -> None:
    async def scenario() -> None:
        wanted: set[str] = set()
        learned = Learned()

        async def ask(name: str) -> str:
            return f"{name}/keys"

        issuers = Issuers(lambda: frozenset(wanted), learned, ask)
        running = asyncio.ensure_future(issuers.run())
        await learned.again.wait()
        assert learned.issuers == {}
        for names in ({LOGIN}, set()):
            wanted.clear()
            wanted.update(names)
            learned.again.clear()
            issuers.look()
            await learned.again.wait()
            assert learned.issuers == {name: f"{name}/keys" for name in names}
        running.cancel()

    asyncio.run(scenario())


def test_an_issuer_that_does_not_answer_is_asked_again_and_holds_up_no_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("clew.server.issuers._FIRST_RETRY_SECONDS", 0.01)

    async def scenario() -> None:
        learned = Learned()
        failures = ["away", "still away"]

        async def ask(name: str) -> str:
            if name == LOGIN and failures:
                raise NotDiscovered(failures.pop())
            return f"{name}/keys"

        other = "https://other.example.com"
        running = asyncio.ensure_future(
            Issuers(lambda: frozenset((LOGIN, other)), learned, ask).run()
        )
        await learned.again.wait()
        assert learned.issuers == {other: f"{other}/keys"}
        while LOGIN not in learned.issuers:
            learned.again.clear()
            await learned.again.wait()
        assert not failures
        running.cancel()

    asyncio.run(scenario())


def discovered(answer: bytes | None) -> str:
    async def scenario() -> str:
        login = issuer(LOGIN)
        if answer is not None:
            login.answers["/.well-known/openid-configuration"] = answer
        async with login.server() as port:
            return await discover(f"http://127.0.0.1:{port}/")

    return asyncio.run(scenario())


def test_an_issuers_document_says_where_its_keys_are() -> None:
    assert discovered(b'{"jwks_uri": "https://10.0.0.5/keys"}') == "https://10.0.0.5/keys"


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        (None, "answered with 404"),
        (b"<html>", "not JSON"),
        (b"\x9e", "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b'{"jwks_uri": "file:///etc/passwd"}', "no jwks_uri"),
        (b"[]", "no jwks_uri"),
        (b" " * 300_000, "longer than"),
    ],
)
def test_other_answers_are_refused(answer: bytes | None, problem: str) -> None:
    with pytest.raises(NotDiscovered, match=problem):
        discovered(answer)


def test_keys_in_bad_places_do_not_count_as_known() -> None:
    for uri in ("http://169.254.169.254/keys", "http://0.0.0.0/keys", "http://a:x/"):
        with pytest.raises(NotDiscovered, match=r"never asked|is not a URL"):
            discovered(f'{{"jwks_uri": "{uri}"}}'.encode())


def test_ranges_of_addresses_may_be_blocked() -> None:
    async def scenario() -> None:
        login = issuer(LOGIN)
        async with login.server() as port:
            await discover(f"http://127.0.0.1:{port}", [ip_network("127.0.0.0/8")])

    with pytest.raises(NotDiscovered, match="never asked"):
        asyncio.run(scenario())


@pytest.mark.parametrize(
    "issuer",
    [
        "http://169.254.169.254",
        "http://[fe80::1%25lo]",
        "http://[::ffff:169.254.169.254]",
        "http://0.0.0.0",
        "http://2852039166",  # 169.254.169.254, as the resolver also reads it
    ],
)
def test_metadata_services_are_never_asked(issuer: str) -> None:
    with pytest.raises(NotDiscovered, match=r"never asked|cannot be resolved"):
        asyncio.run(discover(issuer))
