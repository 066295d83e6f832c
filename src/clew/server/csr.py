"""The certificate signing service, which speaks Istio's protocol."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cryptography import x509
from google.protobuf.message import DecodeError

from clew._pb.istio.v1.auth.ca_pb2 import IstioCertificateRequest, IstioCertificateResponse
from clew.ca.authority import Authority, RefusedRequest, issue
from clew.model.spiffe import Identity
from clew.server.http2.call import (
    INVALID_ARGUMENT,
    PERMISSION_DENIED,
    UNAUTHENTICATED,
    Call,
    Caller,
    Method,
)
from clew.server.http2.unary import Refusal, unary
from clew.server.join_tokens import Claim, JoinToken, JoinTokens, TokenRefused
from clew.server.mtls import Peer, peer_of, proxy_dns_name

log = logging.getLogger("clew.ca")

SERVICE = "istio.v1.auth.IstioCertificateService"

# Namespaces and service accounts: RFC 1123 names, as Kubernetes has them.
_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")
_BEARER = "Bearer "
# By which Istio's node proxies ask for the identities of the pods beside them.
_IMPERSONATED = "ImpersonatedIdentity"
LONGEST_REQUEST = 64 * 1024


@dataclass(slots=True)
class Counters:
    """What Istio counts of its authority (``citadel_server_…``)."""

    csr: int = 0
    authentication_failure: int = 0
    csr_parsing_err: int = 0
    success_cert_issuance: int = 0


@dataclass(frozen=True, slots=True)
class _Grant:
    """What may be certified to a caller, and the token that this uses up."""

    identity: Identity
    host: str
    token: JoinToken | None = None


class CertificateService:
    """Signs the keys of workloads; the response is the PEM chain: leaf, intermediates, roots.

    Who asks is told by the client certificate (renewal). Without one, a join token says it, where
    there are ``tokens``: it comes as ``authorization: Bearer …``, as Istio's agents send theirs.
    Without that, and only where ``trust_claims`` is set (a Unix socket of the mesh's owner), the
    request's ``metadata`` says it: ``{"namespace": "default", "serviceAccount":
    "bookinfo-reviews", "proxy": "reviews-v1-0"}``. Otherwise the same fields may be given, and
    must agree. The certificate names the proxy, for ADS to hold it to.

    ``trust_domains``: the mesh's own, in which it certifies, and those in which it renews.
    """

    def __init__(
        self,
        authority: Callable[[], Authority],
        trust_domains: Callable[[], Sequence[str]],
        *,
        trust_claims: bool = False,
        tokens: JoinTokens | None = None,
        counters: Counters | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._authority = authority
        self._trust_domains = trust_domains
        self._trust_claims = trust_claims
        self._tokens = tokens
        self._counters = counters or Counters()
        self._now = now

    def methods(self) -> Mapping[str, Method]:
        return {f"/{SERVICE}/CreateCertificate": unary(self._create, LONGEST_REQUEST)}

    def _create(self, call: Call, body: bytes) -> bytes:
        self._counters.csr += 1
        try:
            request = IstioCertificateRequest.FromString(body)
            grant = self._grant(_claim(request), call)
            chain = self._sign(request, grant)
        except Refusal as error:
            self._counters.authentication_failure += 1
            log.warning("certificate refused peer=%s reason=%s", _name_of(call.caller), error)
            raise
        except (DecodeError, RefusedRequest) as error:
            self._counters.csr_parsing_err += 1
            log.warning("certificate refused peer=%s reason=%s", _name_of(call.caller), error)
            raise Refusal(INVALID_ARGUMENT, str(error)) from None
        self._counters.success_cert_issuance += 1
        log.info("certificate issued identity=%s proxy=%s", grant.identity, grant.host)
        return IstioCertificateResponse(cert_chain=chain).SerializeToString()

    def _sign(self, request: IstioCertificateRequest, grant: _Grant) -> tuple[str, ...]:
        identity = grant.identity
        named = [proxy_dns_name(f"{grant.host}.{identity.namespace}")] if grant.host else []
        chain = issue(
            self._authority(),
            request.csr,
            str(identity),
            now=self._now(),
            serial=x509.random_serial_number(),
            lifetime=_lifetime(request.validity_duration),
            dns_names=named,
        )
        if grant.token is not None and self._tokens is not None:
            self._tokens.use_up(grant.token)
        return chain

    def _grant(self, claim: Claim, call: Call) -> _Grant:
        """What the caller has a right to. Raises: Refusal."""
        if claim.impersonates:
            raise Refusal(PERMISSION_DENIED, "nobody gets the certificate of another identity")
        if (peer := peer_of(call.caller)) is not None:
            return self._renewal(claim, peer)
        if (text := _bearer(call)) and self._tokens is not None:
            return self._join(claim, text, self._tokens, call)
        if not self._trust_claims:
            wanted = "a join token" if self._tokens is not None else "a certificate of the mesh"
            raise Refusal(UNAUTHENTICATED, f"{wanted} is required here, and there is none")
        if not (claim.namespace and claim.service_account):
            raise Refusal(
                INVALID_ARGUMENT,
                "metadata must have namespace and serviceAccount, both Kubernetes names",
            )
        return _Grant(self._identity(claim.namespace, claim.service_account), claim.host)

    def _renewal(self, claim: Claim, peer: Peer) -> _Grant:
        proven = peer.identity
        host = peer.proxy.removesuffix(f".{proven.namespace}")
        own = (("", proven.namespace), ("", proven.service_account), ("", host))
        claimed = (claim.namespace, claim.service_account, claim.host)
        same = all(c in allowed for c, allowed in zip(claimed, own, strict=True))
        if proven.trust_domain not in self._trust_domains() or not same:
            raise Refusal(
                PERMISSION_DENIED,
                f"{proven} of proxy {host!r} may only renew its own certificate, not one of "
                f"{'/'.join(claimed)}",
            )
        return _Grant(self._identity(proven.namespace, proven.service_account), host)

    def _join(self, claim: Claim, text: str, tokens: JoinTokens, call: Call) -> _Grant:
        try:
            token = tokens.check(text, claim, call.caller.address)
        except TokenRefused as error:
            raise Refusal(UNAUTHENTICATED, str(error)) from None
        return _Grant(self._identity(token.namespace, token.service_account), token.host, token)

    def _identity(self, namespace: str, service_account: str) -> Identity:
        return Identity(self._trust_domains()[0], namespace, service_account)


def _bearer(call: Call) -> str:
    """The secret of a token: what is in front of the roots that it may carry."""
    authorization = call.headers.get("authorization", "")
    if not authorization.startswith(_BEARER):
        return ""
    return authorization.removeprefix(_BEARER).strip().partition(".")[0]


def _claim(request: IstioCertificateRequest) -> Claim:
    def text(field: str) -> str:
        fields = request.metadata.fields
        found = fields[field].string_value if field in fields else ""
        return found if _NAME.fullmatch(found) else ""

    return Claim(
        text("namespace"),
        text("serviceAccount"),
        text("proxy"),
        _IMPERSONATED in request.metadata.fields,
    )


def _lifetime(seconds: int) -> timedelta:
    """What was asked for; anything out of range becomes 0, which means the default."""
    return timedelta(seconds=seconds if 0 < seconds < 10**9 else 0)


def _name_of(caller: Caller) -> str:
    """For the log: who it says it is, and from where."""
    return " ".join((*(value for _, value in caller.names), caller.address)).strip() or "local"
