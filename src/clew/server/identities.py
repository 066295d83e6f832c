"""Everything that gives workloads their identities: the authority, its bundle, join tokens."""

from __future__ import annotations

import asyncio
import logging
import time
from base64 import b64decode
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from clew.ca.authority import Authority
from clew.ca.in_force import AuthorityInForce
from clew.ca.keys import KeyKind, UnusableKeys
from clew.ca.plugged_in import FILES, UnusableAuthority, read_files
from clew.model.mesh_config import MeshConfig
from clew.model.secret import Secret
from clew.server.csr import Counters
from clew.server.join_tokens import JoinTokens
from clew.server.trust import TrustBundles
from clew.snapshot.snapshot import MeshSnapshot

log = logging.getLogger("clew.ca")

# The Secret with a plugged-in authority, in the mesh's root namespace. Source: Istio.
SECRET = "cacerts"
_LOOK_SECONDS = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthoritySettings:
    """``plugged_in``: a directory with Istio's four files, which goes before the Secret's."""

    plugged_in: Path | None = None
    key_kind: KeyKind = KeyKind.EC_P256


class Identities:
    """One per control plane; ``run`` keeps it up to date.

    Raises:
        UnusableKeys, UnusableAuthority: there is nothing that could sign.
    """

    def __init__(
        self,
        state: Path,
        settings: AuthoritySettings,
        snapshot: Callable[[], MeshSnapshot],
        now: Callable[[], datetime],
    ) -> None:
        self._snapshot = snapshot
        self.trust_domain = self._mesh.trust_domain
        self.plugged_in = settings.plugged_in
        self.counters = Counters()
        try:
            self.authority = AuthorityInForce(
                state / "ca",
                self.trust_domain,
                now=now,
                kind=settings.key_kind,
                source=self._plugged_in,
            )
        except UnusableAuthority as error:
            where = self.plugged_in or f"the Secret {self._mesh.root_namespace}/{SECRET}"
            raise UnusableAuthority(
                f"the authority in {where} cannot sign for a mesh that has no other: {error}"
            ) from None
        self.authority.also_trust(each.pem for each in self._mesh.ca_certificates)
        self.trust = TrustBundles(self.authority, time.monotonic)
        self.tokens = JoinTokens(state, now=now)

    @property
    def _mesh(self) -> MeshConfig:
        return self._snapshot().mesh

    def in_force(self) -> Authority:
        return self.authority.current

    def trust_domains(self) -> tuple[str, ...]:
        """The mesh's own, in which certificates are made, and those that mean the same."""
        aliases = self._mesh.trust_domain_aliases
        return tuple(dict.fromkeys((self.trust_domain, self._mesh.trust_domain, *aliases)))

    async def run(self) -> None:
        """Take up what changes, until cancelled. What goes wrong leaves things as they are."""
        problem = ""
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            try:
                self.look()
                problem = ""
            except (OSError, UnusableKeys, UnusableAuthority) as error:
                if str(error) != problem:
                    problem = str(error)
                    log.error("authority stays as it is reason=%s", error)

    def look(self) -> None:
        self.authority.also_trust(each.pem for each in self._mesh.ca_certificates)
        self.authority.refresh()
        self.trust.look()

    def _plugged_in(self) -> Mapping[str, bytes] | None:
        if self.plugged_in is not None:
            return read_files(self.plugged_in)
        return secret_files(self._snapshot())


def secret_files(snapshot: MeshSnapshot) -> Mapping[str, bytes] | None:
    """The files of the Secret ``cacerts``; None: there is none.

    Raises:
        UnusableAuthority: a value is not base64.
    """
    namespace = snapshot.mesh.root_namespace
    secret = snapshot.objects.get(Secret, {}).get(namespace, {}).get(SECRET)
    if not isinstance(secret, Secret):
        return None
    found = {
        name: secret.string_data[name].encode() for name in FILES if name in secret.string_data
    }
    for name in set(FILES) & secret.data.keys() - found.keys():
        try:
            found[name] = b64decode(secret.data[name], validate=False)
        except ValueError:
            raise UnusableAuthority(
                f"{name} of the Secret {namespace}/{SECRET} is not base64"
            ) from None
    return found
