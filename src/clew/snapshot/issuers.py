"""Rules for tokens of issuers whose keys nobody knows: they refuse all of their tokens."""

from __future__ import annotations

from collections.abc import Iterator

from clew.model.diagnostic import Diagnostic
from clew.model.request_authentication import RequestAuthentication
from clew.model.status import object_warning
from clew.snapshot.objects import objects_of
from clew.snapshot.snapshot import MeshSnapshot


def issuers_without_keys(snapshot: MeshSnapshot) -> Iterator[Diagnostic]:
    """Yield the rules that neither have keys nor say where they are, nor does their issuer."""
    for policy in objects_of(RequestAuthentication, snapshot.objects):
        for place, rule in enumerate(policy.spec.jwt_rules):
            if not rule.jwks and not rule.jwks_uri and rule.issuer not in snapshot.issuers:
                yield object_warning(
                    policy.key,
                    f"nobody says where the keys of {rule.issuer} are: its tokens are refused",
                    field=f"spec.jwtRules[{place}]",
                    hint="set jwksUri or jwks, or let the issuer answer the control plane at its "
                    "/.well-known/openid-configuration",
                )
