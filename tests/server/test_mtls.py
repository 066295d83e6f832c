from datetime import UTC, datetime, timedelta
from pathlib import Path

from clew.ca.keys import load_or_create
from clew.server.mtls import ServingCertificate

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)


def test_the_serving_certificate_is_renewed_when_a_handshake_finds_it_due(tmp_path: Path) -> None:
    clock = [NOW]
    authority = load_or_create(tmp_path, "cluster.local", now=NOW)
    certificate = ServingCertificate(lambda: authority, "cluster.local", lambda: clock[0])
    first = certificate.mutual()
    clock[0] += timedelta(hours=11)
    assert certificate.mutual() is first
    clock[0] += timedelta(hours=12)
    assert certificate.mutual() is not first


def test_the_serving_certificate_follows_the_authority_at_the_next_handshake(
    tmp_path: Path,
) -> None:
    authorities = [load_or_create(tmp_path / name, "cluster.local", now=NOW) for name in "ab"]
    certificate = ServingCertificate(lambda: authorities[0], "cluster.local", lambda: NOW)
    first = certificate.mutual()
    assert certificate.mutual() is first
    del authorities[0]
    second = certificate.mutual()
    assert second is not first
    assert certificate.mutual() is second
