"""The certificate signing service, which speaks Istio's protocol."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import grpc
from cryptography import x509

from clew._pb.istio.v1.auth.ca_pb2 import IstioCertificateRequest, IstioCertificateResponse
from clew.ca.authority import Authority, RefusedRequest, issue
from clew.server.mtls import Identity, peer_identity

log = logging.getLogger("clew.ca")

SERVICE = "istio.v1.auth.IstioCertificateService"

# Namespaces and service accounts: RFC 1123 names, as Kubernetes has them.
_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")


class CertificateService:
    """Signs the keys of workloads; the response is the PEM chain: leaf, intermediate, root.

    Who asks is told by the client certificate (renewal). Without one, and only where
    ``trust_claims`` is set (a Unix socket of the mesh's owner), the request's ``metadata`` says
    it: ``{"namespace": "default", "serviceAccount": "bookinfo-reviews"}``. On a connection with a
    certificate the same fields may be given and must agree with it.
    """

    def __init__(
        self,
        authority: Callable[[], Authority],
        trust_domain: str,
        *,
        trust_claims: bool,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        serial: Callable[[], int] = x509.random_serial_number,
    ) -> None:
        self._authority = authority
        self._trust_domain = trust_domain
        self._trust_claims = trust_claims
        self._now = now
        self._serial = serial

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
        identity = await self._authorize(request, context)
        try:
            chain = issue(
                self._authority(),
                request.csr,
                str(identity),
                now=self._now(),
                serial=self._serial(),
                lifetime=_lifetime(request.validity_duration),
            )
        except RefusedRequest as error:
            await _refuse(context, grpc.StatusCode.INVALID_ARGUMENT, f"{error} ({identity})")
        log.info("certificate issued identity=%s", identity)
        return IstioCertificateResponse(cert_chain=chain)

    async def _authorize(
        self, request: IstioCertificateRequest, context: grpc.aio.ServicerContext
    ) -> Identity:
        """The identity to certify; aborts if the caller has no right to one."""
        proven = peer_identity(context)
        claimed = _claim(request, self._trust_domain)
        if proven is not None:
            if proven.trust_domain != self._trust_domain or claimed not in (None, proven):
                reason = f"{proven} may only renew its own certificate, not one of {claimed}"
                await _refuse(context, grpc.StatusCode.PERMISSION_DENIED, reason)
            return proven
        if not self._trust_claims:
            reason = "a client certificate of the mesh is required here; ask on ca.sock for a first"
            await _refuse(context, grpc.StatusCode.UNAUTHENTICATED, reason)
        if claimed is None:
            reason = "metadata must have namespace and serviceAccount, both Kubernetes names"
            await _refuse(context, grpc.StatusCode.INVALID_ARGUMENT, reason)
            raise AssertionError("abort does not return")
        return claimed


def _claim(request: IstioCertificateRequest, trust_domain: str) -> Identity | None:
    fields = request.metadata.fields
    namespace = fields["namespace"].string_value if "namespace" in fields else ""
    account = fields["serviceAccount"].string_value if "serviceAccount" in fields else ""
    if not _NAME.fullmatch(namespace) or not _NAME.fullmatch(account):
        return None
    return Identity(trust_domain, namespace, account)


def _lifetime(seconds: int) -> timedelta:
    """What was asked for; anything out of range becomes 0, which means the default."""
    return timedelta(seconds=seconds if 0 < seconds < 10**9 else 0)


async def _refuse(context: grpc.aio.ServicerContext, code: grpc.StatusCode, reason: str) -> None:
    log.warning("certificate refused reason=%s", reason)
    await context.abort(code, reason)
