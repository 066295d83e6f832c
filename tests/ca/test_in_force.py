"""How an authority comes into force in place of another, whatever happens on the way."""

from __future__ import annotations

import logging
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa

from clew.ca.authority import issue, pem
from clew.ca.in_force import AuthorityInForce, Phase, RotationRefused
from clew.ca.keys import KeyKind
from clew.ca.plugged_in import UnusableAuthority
from tests.ca.issuer import Issuer
from tests.ca.plugged_in_files import files
from tests.ca.requests import IDENTITY, signing_request

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)


@dataclass
class World:
    """What an authority lives on. ``start`` is a new life of the control plane."""

    directory: Path
    plugged: Mapping[str, bytes] | None = None
    now: datetime = NOW
    lives: list[AuthorityInForce] = field(default_factory=list)

    def start(self) -> AuthorityInForce:
        authority = AuthorityInForce(
            self.directory, "cluster.local", now=lambda: self.now, source=lambda: self.plugged
        )
        self.lives.append(authority)
        return authority


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path / "ca")


@pytest.fixture(scope="module")
def corporate() -> Issuer:
    return Issuer.root("Corporate Root", NOW)


def leaf_of(authority: AuthorityInForce) -> x509.Certificate:
    chain = issue(authority.current, signing_request(), IDENTITY, now=NOW, serial=9)
    return x509.load_pem_x509_certificate(chain[0].encode())


def phase_of(authority: AuthorityInForce) -> Phase | None:
    return authority.phase


def roots_of(authority: AuthorityInForce) -> tuple[x509.Certificate, ...]:
    return authority.current.roots


def signs(authority: AuthorityInForce, leaf: x509.Certificate) -> bool:
    return leaf.issuer == authority.current.certificate.subject


def test_at_no_moment_is_a_root_used_that_was_not_trusted_before(world: World) -> None:
    authority = world.start()
    [old] = authority.current.roots
    signer = authority.current.certificate
    authority.rotate()
    assert phase_of(authority) is Phase.TRUST
    trusted = authority.current.roots
    assert trusted[0] == old
    assert len(trusted) == 2
    assert authority.current.certificate == signer, "the old one still signs"
    new = trusted[1]
    authority.advance()
    assert phase_of(authority) is Phase.SIGN
    assert roots_of(authority) == (new, old), "the signing one comes first"
    authority.current.certificate.verify_directly_issued_by(new)
    authority.advance()
    assert phase_of(authority) is None
    assert roots_of(authority) == (new,)
    authority.advance()
    assert roots_of(authority) == (new,), "there is nothing to advance"


@pytest.mark.parametrize("phase", [Phase.TRUST, Phase.SIGN, None])
def test_a_restart_changes_nothing(world: World, phase: Phase | None) -> None:
    authority = world.start()
    authority.rotate()
    while authority.phase is not phase:
        authority.advance()
    again = world.start()
    assert again.phase is phase
    assert again.current.roots == authority.current.roots
    assert again.current.certificate == authority.current.certificate


def test_a_crash_while_the_old_root_goes_is_made_good(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority = world.start()
    authority.rotate()
    authority.advance()
    new = authority.current
    moved: list[Path] = []
    replace = Path.replace

    def crashing(self: Path, target: Path) -> Path:
        if self.parent.name == "next":
            if len(moved) == 2:
                raise KeyboardInterrupt
            moved.append(self)
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", crashing)
    with pytest.raises(KeyboardInterrupt):
        authority.advance()
    monkeypatch.undo()
    again = world.start()
    assert (again.phase, again.current.roots) == (None, (new.root,))
    assert again.current.certificate == new.certificate
    assert sorted(path.name for path in world.directory.iterdir()) == [
        "intermediate-cert.pem",
        "intermediate-key.pem",
        "root-cert.pem",
        "root-key.pem",
    ]


def test_what_a_crash_left_before_the_first_phase_is_removed(world: World) -> None:
    first = world.start().current.certificate
    (world.directory / "next").mkdir()
    (world.directory / "next" / "root-key.pem").write_text("half")
    assert world.start().current.certificate == first
    assert not (world.directory / "next").exists()


def test_one_rotation_at_a_time(world: World) -> None:
    authority = world.start()
    authority.rotate()
    with pytest.raises(RotationRefused, match='phase "trust"'):
        authority.rotate()


def test_a_new_root_may_have_another_kind_of_key(world: World) -> None:
    authority = world.start()
    authority.rotate(KeyKind.RSA_2048)
    authority.advance()
    assert isinstance(authority.current.key, rsa.RSAPrivateKey)


def test_an_intermediate_is_renewed_while_the_control_plane_runs(world: World) -> None:
    authority = world.start()
    before = authority.current
    authority.refresh()
    assert authority.current is before, "nothing is due"
    world.now = NOW + timedelta(days=340)
    authority.refresh()
    assert roots_of(authority) == before.roots
    assert authority.current.certificate != before.certificate


def test_a_new_mesh_begins_with_what_is_plugged_in(world: World, corporate: Issuer) -> None:
    world.plugged = files(corporate.authority("Mesh CA", NOW), corporate)
    authority = world.start()
    assert (authority.phase, authority.is_plugged_in) == (None, True)
    assert roots_of(authority) == (corporate.certificate,)
    assert not (world.directory / "root-key.pem").exists(), "none of its own is made"
    with pytest.raises(RotationRefused, match="replace its files"):
        authority.rotate()


def test_a_new_mesh_does_not_begin_with_a_bad_one(world: World, corporate: Issuer) -> None:
    world.plugged = files(corporate.leaf(IDENTITY, NOW), corporate)
    with pytest.raises(UnusableAuthority, match="not a CA certificate"):
        world.start()
    assert list(world.directory.iterdir()) == []


def test_plugging_in_and_out_goes_through_the_phases(world: World, corporate: Issuer) -> None:
    authority = world.start()
    own = authority.current.root
    world.plugged = files(corporate.authority("Mesh CA", NOW), corporate)
    authority.refresh()
    assert phase_of(authority) is Phase.TRUST
    assert roots_of(authority) == (own, corporate.certificate)
    authority.advance()
    assert roots_of(authority) == (corporate.certificate, own)
    authority.advance()
    assert roots_of(authority) == (corporate.certificate,)
    assert world.start().current.roots == (corporate.certificate,)
    world.plugged = None
    again = world.start()
    assert again.phase is Phase.TRUST, "also when it was taken away while nobody looked"
    again.advance()
    again.advance()
    assert not again.is_plugged_in
    assert corporate.certificate not in again.current.roots


def test_another_intermediate_of_the_same_root_signs_at_once(
    world: World, corporate: Issuer
) -> None:
    world.plugged = files(corporate.authority("Mesh CA", NOW), corporate)
    authority = world.start()
    following = corporate.authority("Mesh CA 2", NOW)
    world.plugged = files(following, corporate)
    authority.refresh()
    assert phase_of(authority) is None
    assert authority.current.certificate == following.certificate
    assert signs(authority, leaf_of(authority))


def test_a_bad_replacement_is_refused_once_and_the_good_one_stays(
    world: World, corporate: Issuer, caplog: pytest.LogCaptureFixture
) -> None:
    good = files(corporate.authority("Mesh CA", NOW), corporate)
    world.plugged = good
    authority = world.start()
    before = authority.current
    world.plugged = {**good, "ca-key.pem": files(corporate, corporate)["ca-key.pem"]}
    with caplog.at_level(logging.ERROR):
        authority.refresh()
        authority.refresh()
    assert authority.current is before
    assert "ca-key.pem is not the key of ca-cert.pem" in authority.problem
    assert len(caplog.records) == 1
    assert world.start().current.certificate == before.certificate, "a restart keeps it, too"
    world.plugged = good
    authority.refresh()
    assert authority.problem == ""


def test_an_authority_that_expired_while_nobody_looked_is_replaced(
    world: World, corporate: Issuer
) -> None:
    old = corporate.authority("Mesh CA", NOW, lifetime=timedelta(days=1))
    world.plugged = files(old, corporate)
    world.start()
    world.now = NOW + timedelta(days=2)
    with pytest.raises(UnusableAuthority, match="expired"):
        world.start()
    following = corporate.authority("Mesh CA 2", NOW)
    world.plugged = files(following, corporate)
    assert world.start().current.certificate == following.certificate


def test_only_the_owner_can_read_any_of_it(world: World, corporate: Issuer) -> None:
    authority = world.start()
    authority.rotate()
    world.plugged = files(corporate.authority("Mesh CA", NOW), corporate)
    authority.advance()
    authority.advance()
    authority.refresh()
    for path in (world.directory, *world.directory.rglob("*")):
        wanted = 0o700 if path.is_dir() else 0o600
        assert stat.S_IMODE(path.stat().st_mode) == wanted, path


def test_other_meshes_are_trusted_by_proxies_but_do_not_sign(
    world: World, corporate: Issuer
) -> None:
    authority = world.start()
    authority.also_trust([pem(corporate.certificate), "nonsense"])
    assert authority.current.trusted[1:] == (corporate.certificate,)
    assert corporate.certificate not in authority.current.roots
    *_, roots = issue(authority.current, signing_request(), IDENTITY, now=NOW, serial=9)
    assert pem(corporate.certificate) in roots
    authority.rotate()
    assert authority.current.trusted[-1] == corporate.certificate
