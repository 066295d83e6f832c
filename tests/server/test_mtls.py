import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import grpc
import pytest

from clew.ca.keys import load_or_create
from clew.server.mtls import GRPC_OPTIONS, ServingCertificate, listen

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)


def test_the_serving_certificate_is_renewed_when_a_handshake_finds_it_due(tmp_path: Path) -> None:
    clock: Iterator[datetime] = iter(
        (NOW, NOW, NOW + timedelta(hours=11), NOW + timedelta(hours=23), NOW + timedelta(hours=23))
    )
    authority = load_or_create(tmp_path, "cluster.local", now=NOW)
    certificate = ServingCertificate(lambda: authority, "cluster.local", lambda: next(clock))
    certificate.credentials()
    assert certificate.fetch() is None, "after 11 hours"
    assert certificate.fetch() is not None, "after 23 hours"


def test_the_serving_certificate_follows_the_authority_at_the_next_handshake(
    tmp_path: Path,
) -> None:
    authorities = [load_or_create(tmp_path / name, "cluster.local", now=NOW) for name in "ab"]
    certificate = ServingCertificate(lambda: authorities[0], "cluster.local", lambda: NOW)
    certificate.credentials()
    assert certificate.fetch() is None
    del authorities[0]
    assert certificate.fetch() is not None
    assert certificate.fetch() is None


def test_an_address_that_is_taken_is_an_error_that_says_what_to_do(tmp_path: Path) -> None:
    async def scenario() -> None:
        first, second = grpc.aio.server(options=GRPC_OPTIONS), grpc.aio.server(options=GRPC_OPTIONS)
        port = listen(first, "127.0.0.1:0", None)
        await first.start()
        with pytest.raises(OSError, match="is another control plane running"):
            listen(second, f"127.0.0.1:{port}", None)
        with pytest.raises(OSError, match="shorter state directory"):
            listen(second, f"unix:{tmp_path}/{'x' * 120}", None)
        await first.stop(grace=None)

    asyncio.run(scenario())
