"""The certificate signing service, which speaks Istio's protocol."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import NoReturn

import grpc
from cryptography import x509

from clew._pb.istio.v1.auth.ca_pb2 import IstioCertificateRequest, IstioCertificateResponse
from clew.ca.authority import Authority, RefusedRequest, issue
from clew.model.spiffe import Identity
from clew.server.join_tokens import Claim, JoinToken, JoinTokens, TokenRefused
from clew.server.mtls import Peer, peer_of, proxy_dns_name

log = logging.getLogger("clew.ca")

SERVICE = "istio.v1.auth.IstioCertificateService"

# Namespaces and service accounts: RFC 1123 names, as Kubernetes has them.
_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")
_BEARER = "Bearer "


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


class _Refused(Exception):
    """No certificate for this caller."""

    def __init__(self, code: grpc.StatusCode, reason: str) -> None:
        super().__init__(reason)
        self.code = code


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

    def handler(self) -> grpc.GenericRpcHandler:
        create = grpc.unary_unary_rpc_method_handler(
            self._create,
            request_deserializer=IstioCertificateRequest.FromString,
            response_serializer=IstioCertificateResponse.SerializeToString,
        )
        return grpc.method_handlers_generic_handler(SERVICE, {"CreateCertificate": create})

    async def _create(
        self, request: IstioCertificateRequest, context: grpc.aio.ServicerContext
    ) -> IstioCertificateResponse:
        self._counters.csr += 1
        try:
            grant = self._grant(_claim(request), context)
            chain = self._sign(request, grant)
        except _Refused as error:
            self._counters.authentication_failure += 1
            await _refuse(context, error.code, str(error))
        except RefusedRequest as error:
            self._counters.csr_parsing_err += 1
            await _refuse(context, grpc.StatusCode.INVALID_ARGUMENT, str(error))
        self._counters.success_cert_issuance += 1
        log.info("certificate issued identity=%s proxy=%s", grant.identity, grant.host)
        return IstioCertificateResponse(cert_chain=chain)

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

    def _grant(self, claim: Claim, context: grpc.aio.ServicerContext) -> _Grant:
        """What the caller has a right to. Raises: _Refused."""
        if (peer := peer_of(context)) is not None:
            return self._renewal(claim, peer)
        if (text := _bearer(context)) and self._tokens is not None:
            return self._join(claim, text, self._tokens, context)
        if not self._trust_claims:
            wanted = "a join token" if self._tokens is not None else "a certificate of the mesh"
            raise _Refused(
                grpc.StatusCode.UNAUTHENTICATED, f"{wanted} is required here, and there is none"
            )
        if not (claim.namespace and claim.service_account):
            raise _Refused(
                grpc.StatusCode.INVALID_ARGUMENT,
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
            raise _Refused(
                grpc.StatusCode.PERMISSION_DENIED,
                f"{proven} of proxy {host!r} may only renew its own certificate, not one of "
                f"{'/'.join(claimed)}",
            )
        return _Grant(self._identity(proven.namespace, proven.service_account), host)

    def _join(
        self, claim: Claim, text: str, tokens: JoinTokens, context: grpc.aio.ServicerContext
    ) -> _Grant:
        try:
            token = tokens.check(text, claim, peer_address(context))
        except TokenRefused as error:
            raise _Refused(grpc.StatusCode.UNAUTHENTICATED, str(error)) from None
        return _Grant(self._identity(token.namespace, token.service_account), token.host, token)

    def _identity(self, namespace: str, service_account: str) -> Identity:
        return Identity(self._trust_domains()[0], namespace, service_account)


def peer_address(context: grpc.aio.ServicerContext) -> str:
    """``10.0.0.7`` of ``ipv4:10.0.0.7:34567`` and ``ipv6:%5B::1%5D:34567``; "" on Unix sockets."""
    peer: str = context.peer()
    scheme, _, address = peer.partition(":")
    if scheme not in ("ipv4", "ipv6"):
        return ""
    return address.rpartition(":")[0].replace("%5B", "").replace("%5D", "").strip("[]")


def _bearer(context: grpc.aio.ServicerContext) -> str:
    """The secret of a token: what is in front of the roots that it may carry."""
    for name, value in context.invocation_metadata() or ():
        if name == "authorization" and isinstance(value, str) and value.startswith(_BEARER):
            return value.removeprefix(_BEARER).strip().partition(".")[0]
    return ""


def _claim(request: IstioCertificateRequest) -> Claim:
    def text(field: str) -> str:
        fields = request.metadata.fields
        found = fields[field].string_value if field in fields else ""
        return found if _NAME.fullmatch(found) else ""

    return Claim(text("namespace"), text("serviceAccount"), text("proxy"))


def _lifetime(seconds: int) -> timedelta:
    """What was asked for; anything out of range becomes 0, which means the default."""
    return timedelta(seconds=seconds if 0 < seconds < 10**9 else 0)


async def _refuse(
    context: grpc.aio.ServicerContext, code: grpc.StatusCode, reason: str
) -> NoReturn:
    log.warning("certificate refused peer=%s reason=%s", context.peer(), reason)
    await context.abort(code, reason)
    raise AssertionError("abort does not return")
