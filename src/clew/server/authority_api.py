"""The admin API's part about the authority and join tokens."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from clew.api.authority import (
    AuthorityStatus,
    CertificateSummary,
    CreatedToken,
    JoinTokenView,
    RotationRequest,
    TokenList,
    TokenRequest,
)
from clew.ca.authority import bundle, fingerprint
from clew.ca.in_force import RotationRefused
from clew.ca.keys import KeyKind
from clew.server.identities import Identities
from clew.server.join_tokens import Claim, JoinToken
from clew.server.replies import BadRequest, error_reply, read_body, reply
from clew.stores.revise import timestamp
from clew.stores.store import NotFound

_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")


@dataclass(frozen=True, slots=True)
class AuthorityApi:
    """Its routes. Secrets of tokens leave in one reply, keys in none."""

    identities: Identities
    now: Callable[[], datetime]

    def routes(self) -> list[Route]:
        return [
            Route("/v1/authority", self._status, methods=["GET"]),
            Route("/v1/authority/rotation", self._rotate, methods=["POST"]),
            Route("/v1/tokens", self._tokens, methods=["GET"]),
            Route("/v1/tokens", self._create_token, methods=["POST"]),
            Route("/v1/tokens/{id}", self._revoke_token, methods=["DELETE"]),
        ]

    async def _status(self, _request: Request) -> Response:
        return reply(authority_status(self.identities, self.now()))

    async def _rotate(self, request: Request) -> Response:
        wanted = await read_body(request, RotationRequest)
        try:
            kind = KeyKind(wanted.key) if wanted.key else None
        except ValueError:
            raise BadRequest(f'no kind of key is "{wanted.key}": {", ".join(KeyKind)}') from None
        authority = self.identities.authority
        try:
            if wanted.dry_run:
                authority.check_rotation()
            else:
                authority.rotate(kind)
                self.identities.trust.look()
        except RotationRefused as error:
            return error_reply(409, "Conflict", str(error))
        return reply(authority_status(self.identities, self.now()))

    async def _tokens(self, _request: Request) -> Response:
        return reply(TokenList(tokens=tuple(map(_view, self.identities.tokens.all()))))

    async def _create_token(self, request: Request) -> Response:
        wanted = await read_body(request, TokenRequest)
        claim = Claim(wanted.namespace, wanted.service_account, wanted.host)
        for what, name in (
            ("namespace", claim.namespace),
            ("service account", claim.service_account),
            ("host", claim.host),
        ):
            if not _NAME.fullmatch(name):
                raise BadRequest(f'"{name}" is no name of a {what}: lower case, digits, "-", "."')
        try:
            secret, token = self.identities.tokens.create(
                claim, lifetime=timedelta(seconds=wanted.seconds), address=wanted.address
            )
        except (ValueError, OverflowError) as error:
            raise BadRequest(str(error)) from None
        roots = bundle(self.identities.in_force().roots).encode()
        text = f"{secret}.{base64.urlsafe_b64encode(roots).decode()}"
        return reply(CreatedToken(token=text, view=_view(token)), status=201)

    async def _revoke_token(self, request: Request) -> Response:
        token_id = str(request.path_params["id"])
        if not self.identities.tokens.revoke(token_id):
            raise NotFound(f'there is no join token "{token_id}"')
        return reply({})


def authority_status(identities: Identities, now: datetime) -> AuthorityStatus:
    authority, current = identities.authority, identities.in_force()
    own, *aliases = identities.trust_domains()
    return AuthorityStatus(
        trust_domain=own,
        trust_domain_aliases=tuple(aliases),
        root=_summary(current.root, now),
        signing=_summary(current.certificate, now),
        trusted=tuple(_summary(each, now) for each in current.trusted),
        plugged_in=authority.is_plugged_in,
        phase=authority.phase or "",
        waiting=identities.trust.waiting(),
        followed=identities.trust.followed(),
        problem=authority.problem,
    )


def _summary(certificate: x509.Certificate, now: datetime) -> CertificateSummary:
    ends = certificate.not_valid_after_utc
    return CertificateSummary(
        subject=certificate.subject.rfc4514_string(),
        fingerprint=fingerprint(certificate),
        key=_key(certificate),
        expires=timestamp(ends),
        seconds_left=int((ends - now).total_seconds()),
    )


def _key(certificate: x509.Certificate) -> str:
    match certificate.public_key():
        case ec.EllipticCurvePublicKey() as key:
            return f"EC {key.curve.name}"
        case rsa.RSAPublicKey() as key:
            return f"RSA {key.key_size}"
        case other:
            return type(other).__name__


def _view(token: JoinToken) -> JoinTokenView:
    return JoinTokenView(
        id=token.id,
        namespace=token.namespace,
        service_account=token.service_account,
        host=token.host,
        address=token.address,
        expires=timestamp(token.expires),
        used=timestamp(token.used) if token.used else "",
    )
