"""The authority that signs now, through its renewal, its rotation and its replacement."""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from enum import StrEnum
from pathlib import Path

from cryptography import x509

from clew.ca.authority import Authority, fingerprint
from clew.ca.keys import KeyKind, is_due, load_or_create
from clew.ca.plugged_in import (
    CERTIFICATE,
    UnusableAuthority,
    certificates_in,
    plugged_in,
    read_files,
)
from clew.ca.private_file import write_private

log = logging.getLogger("clew.ca")

# What was plugged in is kept, so that a bad replacement does not cost the good one.
_PLUGGED_IN = "plugged-in"
_NEXT = "next"
_ROTATION = "rotation.json"

Files = Mapping[str, bytes]


class Phase(StrEnum):
    """Where a change of roots is."""

    TRUST = "trust"  # everybody learns to trust the new root; the old one signs
    SIGN = "sign"  # the new one signs; everybody gets a new certificate


# The last phase, on disk only: the old root is forgotten, whatever happens.
_DROP = "drop"


class RotationRefused(Exception):
    """Roots cannot be rotated now; the text says why, and what to do."""


class AuthorityInForce:
    """One event loop owns it; ``current`` is a value, and other threads may read it.

    A new root comes into force in phases, so that no peer ever meets one that it does not trust;
    its owner calls ``advance`` when all have followed. Everything survives a crash.

    ``source``: the files that are plugged in, by name; None: clew's own authority signs.

    Raises:
        UnusableKeys, UnusableAuthority: there is nothing that could sign.
    """

    current: Authority

    def __init__(
        self,
        directory: Path,
        trust_domain: str,
        *,
        now: Callable[[], datetime],
        kind: KeyKind = KeyKind.EC_P256,
        source: Callable[[], Files | None] = lambda: None,
    ) -> None:
        self._directory = directory
        self._trust_domain = trust_domain
        self._now = now
        self._kind = kind
        self._source = source
        self._also_trusted: tuple[x509.Certificate, ...] = ()
        self._seen: Files | None = {"nothing": b"yet"}
        self.phase: Phase | None = None
        self.problem = ""
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._resume()
        self.refresh()

    @property
    def is_plugged_in(self) -> bool:
        """Whether the authority that signs, or is about to, is not clew's own."""
        folder = self._directory / (_PLUGGED_IN if self.phase is None else _NEXT)
        return (folder / CERTIFICATE).exists()

    def also_trust(self, bundles: Iterable[str]) -> None:
        """Trust what other meshes' roots have signed. Source: Istio ``caCertificates``."""
        found = certificates_in("\n".join(bundles).encode())
        if found != self._also_trusted:
            self._also_trusted = found
            self._look()

    def refresh(self) -> None:
        """Take over what was plugged in or unplugged, and renew an intermediate that is due."""
        if self.phase is not None:
            return
        try:
            files = self._source()
            if files != self._seen:
                self._plug_in(files)
                self._seen = files
            self.problem = ""
        except UnusableAuthority as error:
            if str(error) != self.problem:
                self.problem = str(error)
                log.error("plugged-in authority refused, the one before stays reason=%s", error)
        if not self.is_plugged_in and is_due(self.current, self._now()):
            self._look()

    def rotate(self, kind: KeyKind | None = None) -> None:
        """Begin to replace clew's own root. Raises: RotationRefused."""
        self.check_rotation()
        folder = self._directory / _NEXT
        load_or_create(folder, self._trust_domain, now=self._now(), kind=kind or self._kind)
        self._enter(Phase.TRUST)

    def check_rotation(self) -> None:
        """Whether ``rotate`` could be called. Raises: RotationRefused."""
        if self.phase is not None:
            raise RotationRefused(
                f'the roots are being changed already, phase "{self.phase}": see `clew ca status`'
            )
        if self.is_plugged_in:
            raise RotationRefused(
                "the authority was plugged in, so its owner makes the new root: replace its files, "
                "and the mesh takes them over in the same phases"
            )

    def advance(self) -> None:
        """Go on to the next phase. All must have followed this one."""
        match self.phase:
            case Phase.TRUST:
                self._enter(Phase.SIGN)
            case Phase.SIGN:
                self._drop()

    def _plug_in(self, files: Files | None) -> None:
        if files is None:
            if self.is_plugged_in:
                folder = self._directory / _NEXT
                load_or_create(folder, self._trust_domain, now=self._now(), kind=self._kind)
                self._enter(Phase.TRUST)
            return
        new = plugged_in(files, now=self._now())
        if (new.certificate, new.roots) == (self.current.certificate, self.current.roots):
            return
        _write_files(self._directory / _NEXT, files)
        if new.root in self.current.roots:
            self._drop()  # Everybody trusts it already.
        else:
            self._enter(Phase.TRUST)

    def _resume(self) -> None:
        """Take up what is on disk."""
        rotation = self._directory / _ROTATION
        found = json.loads(rotation.read_text())["phase"] if rotation.exists() else ""
        if found == _DROP:
            self._finish()
        elif found:
            self.phase = Phase(found)
        else:
            shutil.rmtree(self._directory / _NEXT, ignore_errors=True)
            self._begin_plugged_in()
        self._look()

    def _begin_plugged_in(self) -> None:
        """A mesh that begins with a plugged-in authority needs none of its own."""
        kept = self._directory / _PLUGGED_IN
        if (kept / CERTIFICATE).exists():
            try:
                plugged_in(read_files(kept), now=self._now())
            except UnusableAuthority as error:
                log.error("the authority that was plugged in cannot sign any more reason=%s", error)
            else:
                return
        elif (self._directory / "root-cert.pem").exists():
            return
        if (files := self._source()) is not None:
            plugged_in(files, now=self._now())
            _write_files(kept, files)

    def _enter(self, phase: Phase) -> None:
        self._note(phase)
        self.phase = phase
        self._look()
        log.info("authority changes phase=%s root=%s", phase, fingerprint(self.current.root))

    def _drop(self) -> None:
        self._note(_DROP)
        self._finish()
        self.phase = None
        self._look()
        log.info("authority changed root=%s", fingerprint(self.current.root))

    def _finish(self) -> None:
        """Put the new authority in the old one's place; after a crash, go on with it."""
        new, plugged = self._directory / _NEXT, self._directory / _PLUGGED_IN
        if new.exists():
            shutil.rmtree(plugged, ignore_errors=True)
            if (new / CERTIFICATE).exists():
                new.replace(plugged)
            else:
                for file in new.iterdir():
                    file.replace(self._directory / file.name)
                new.rmdir()
        (self._directory / _ROTATION).unlink(missing_ok=True)

    def _note(self, phase: str) -> None:
        content = json.dumps({"phase": phase}).encode()
        write_private(self._directory / _ROTATION, content, durable=True)

    def _look(self) -> None:
        """Make ``current`` of what is on disk."""
        others: tuple[x509.Certificate, ...] = ()
        match self.phase:
            case None:
                signing = self._load_old()
            case Phase.TRUST:
                signing, others = self._load_old(), self._load_new().roots
            case Phase.SIGN:
                signing, others = self._load_new(), self._old_roots()
        roots = tuple(dict.fromkeys((*signing.roots, *others)))
        self.current = replace(signing, roots=roots, also_trusted=self._also_trusted)

    def _load_old(self) -> Authority:
        return self._load(self._directory, self._directory / _PLUGGED_IN)

    def _load_new(self) -> Authority:
        return self._load(self._directory / _NEXT, self._directory / _NEXT)

    def _old_roots(self) -> tuple[x509.Certificate, ...]:
        """Those whose leaves may be about; of an authority that has expired there are none."""
        try:
            return self._load_old().roots
        except UnusableAuthority:
            return ()

    def _load(self, own: Path, plugged: Path) -> Authority:
        if (plugged / CERTIFICATE).exists():
            return plugged_in(read_files(plugged), now=self._now())
        return load_or_create(own, self._trust_domain, now=self._now(), kind=self._kind)


def _write_files(folder: Path, files: Files) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700)
    for name, content in sorted(files.items(), reverse=True):
        write_private(folder / name, content, durable=True)
