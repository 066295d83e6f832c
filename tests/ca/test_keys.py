from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from clew.ca.keys import KeyKind, UnusableKeys, is_due, load_or_create

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)


def test_the_authority_is_made_once_and_kept(tmp_path: Path) -> None:
    first = load_or_create(tmp_path / "ca", "cluster.local", now=NOW)
    again = load_or_create(tmp_path / "ca", "cluster.local", now=NOW + timedelta(days=1))
    assert (again.root, again.certificate) == (first.root, first.certificate)
    assert again.key.private_numbers() == first.key.private_numbers()


def test_only_the_owner_can_read_the_files(tmp_path: Path) -> None:
    load_or_create(tmp_path / "ca", "cluster.local", now=NOW)
    assert (tmp_path / "ca").stat().st_mode & 0o777 == 0o700
    files = list((tmp_path / "ca").iterdir())
    assert sorted(file.name for file in files) == [
        "intermediate-cert.pem",
        "intermediate-key.pem",
        "root-cert.pem",
        "root-key.pem",
    ]
    assert {file.stat().st_mode & 0o777 for file in files} == {0o600}


def test_an_intermediate_near_its_end_is_replaced_under_the_same_root(tmp_path: Path) -> None:
    first = load_or_create(tmp_path, "cluster.local", now=NOW)
    later = load_or_create(tmp_path, "cluster.local", now=NOW + timedelta(days=340))
    assert later.root == first.root
    assert later.certificate != first.certificate
    later.certificate.verify_directly_issued_by(later.root)


def test_what_a_crash_left_half_made_is_made_again(tmp_path: Path) -> None:
    first = load_or_create(tmp_path, "cluster.local", now=NOW)
    (tmp_path / "intermediate-cert.pem").unlink()
    again = load_or_create(tmp_path, "cluster.local", now=NOW)
    assert again.root == first.root
    again.certificate.verify_directly_issued_by(again.root)


@pytest.mark.parametrize("lost", ["root-cert.pem", "root-key.pem", "intermediate-key.pem"])
def test_a_lost_file_is_an_error_that_says_what_to_do(tmp_path: Path, lost: str) -> None:
    load_or_create(tmp_path, "cluster.local", now=NOW)
    (tmp_path / lost).unlink()
    with pytest.raises(UnusableKeys, match=r"Restore the files from a backup"):
        load_or_create(tmp_path, "cluster.local", now=NOW)
    assert len(list(tmp_path.iterdir())) == 3, "what is left is not touched"


def test_files_of_two_authorities_are_not_mixed(tmp_path: Path) -> None:
    load_or_create(tmp_path / "one", "cluster.local", now=NOW)
    load_or_create(tmp_path / "two", "cluster.local", now=NOW)
    (tmp_path / "two" / "root-key.pem").replace(tmp_path / "one" / "root-key.pem")
    with pytest.raises(UnusableKeys, match=r"root-key.pem is not the key of root-cert.pem"):
        load_or_create(tmp_path / "one", "cluster.local", now=NOW)
    (tmp_path / "two" / "root-cert.pem").replace(tmp_path / "one" / "root-cert.pem")
    with pytest.raises(UnusableKeys, match="not signed by the root"):
        load_or_create(tmp_path / "one", "cluster.local", now=NOW)


def test_keys_are_of_the_kind_asked_for_and_of_p256_otherwise(tmp_path: Path) -> None:
    plain = load_or_create(tmp_path / "plain", "cluster.local", now=NOW).key
    assert isinstance(plain, ec.EllipticCurvePrivateKey)
    assert isinstance(plain.curve, ec.SECP256R1)
    kinds = {KeyKind.RSA_2048: 2048, KeyKind.EC_P384: 384}
    for kind, size in kinds.items():
        folder = tmp_path / kind
        made = load_or_create(folder, "cluster.local", now=NOW, kind=kind)
        assert made.key.key_size == size
        assert isinstance(made.key, rsa.RSAPrivateKey) is kind.startswith("rsa")
        again = load_or_create(folder, "cluster.local", now=NOW)
        assert again.certificate == made.certificate, "what there is stays"


def test_an_intermediate_is_due_a_month_before_it_ends(tmp_path: Path) -> None:
    made = load_or_create(tmp_path, "cluster.local", now=NOW)
    assert not is_due(made, NOW + timedelta(days=334))
    assert is_due(made, NOW + timedelta(days=336))
