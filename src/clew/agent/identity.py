"""Obtains the workload's certificate, writes it where Envoy looks, and renews it in time."""

from __future__ import annotations

import asyncio
import logging
import os
import random
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import grpc
from cryptography.hazmat.primitives.asymmetric import ec
from google.protobuf.struct_pb2 import Struct

from clew._pb.istio.v1.auth.ca_pb2 import IstioCertificateRequest, IstioCertificateResponse
from clew.agent.backoff import delays
from clew.agent.bootstrap import SDS_DIRECTORY
from clew.agent.certificates import (
    certificate_secret,
    new_key,
    root_secret,
    signing_request,
    validity,
)
from clew.agent.spec import AgentSpec
from clew.ca.renewal import renewal_time
from clew.model import names

log = logging.getLogger("clew.agent")

_METHOD = "/istio.v1.auth.IstioCertificateService/CreateCertificate"
_CALL_SECONDS = 10.0
_REFUSALS = (
    grpc.StatusCode.PERMISSION_DENIED,
    grpc.StatusCode.UNAUTHENTICATED,
    grpc.StatusCode.INVALID_ARGUMENT,
)
_LIFETIME_SECONDS = 24 * 3600
# The clock that asyncio sleeps by stands still while a laptop is closed; certificates age.
_LONGEST_SLEEP_SECONDS = 60.0
# The last tenth of a lifetime is left for an authority that is away.
_LATEST_RENEWAL = 0.8


class IdentityRefused(Exception):
    """The certificate authority answered, and said no. Asking again would not help."""


async def obtain_certificate(spec: AgentSpec, wait_seconds: float = 0.1) -> datetime:
    """Get a certificate, however long the authority is away; return when to renew it.

    Raises:
        IdentityRefused: the authority does not give this workload its identity.
    """
    for delay in delays(wait_seconds, 10.0):
        try:
            key = new_key()
            chain = await request_certificate(spec, key)
            return write_certificate(Path(spec.directory), key, chain)
        except grpc.aio.AioRpcError as error:
            if error.code() in _REFUSALS:
                raise IdentityRefused(_refusal(spec, error.details() or "")) from None
            log.warning(
                "certificate authority away ca=%s error=%r retry_seconds=%.1f",
                spec.ca,
                error.details(),
                delay,
            )
        await asyncio.sleep(delay)
    raise AssertionError("delays have no end")


def _refusal(spec: AgentSpec, details: str) -> str:
    return (
        f"the certificate authority at {spec.ca} refuses {spec.name} the identity "
        f"{spec.namespace}/{spec.service_account}: {details} The workload is not started. Check "
        "serviceAccountName of the workload, and that this mesh runs as the same user."
    )


async def request_certificate(spec: AgentSpec, key: ec.EllipticCurvePrivateKey) -> tuple[str, ...]:
    """Return the PEM chain, root last. The key itself stays in this process.

    Raises:
        grpc.aio.AioRpcError: the authority is away or refuses.
    """
    identity = names.spiffe_id(spec.trust_domain, spec.namespace, spec.service_account)
    metadata = Struct()
    metadata.update(
        {
            "namespace": spec.namespace,
            "serviceAccount": spec.service_account,
            "proxy": spec.name,
        }
    )
    request = IstioCertificateRequest(
        csr=signing_request(key, identity),
        validity_duration=_LIFETIME_SECONDS,
        metadata=metadata,
    )
    options = [("grpc.default_authority", "istiod.istio-system.svc")]
    async with grpc.aio.insecure_channel(spec.ca, options=options) as channel:
        call = channel.unary_unary(
            _METHOD,
            request_serializer=IstioCertificateRequest.SerializeToString,
            response_deserializer=IstioCertificateResponse.FromString,
        )
        response: IstioCertificateResponse = await call(request, timeout=_CALL_SECONDS)
    return tuple(response.cert_chain)


def write_certificate(
    directory: Path, key: ec.EllipticCurvePrivateKey, chain: Sequence[str]
) -> datetime:
    """Put the certificate where Envoy watches; return when to renew it."""
    *own, roots = chain
    sds = directory / SDS_DIRECTORY
    sds.mkdir(mode=0o700, parents=True, exist_ok=True)
    # The roots first: a peer's new certificate may come from an authority that only they know.
    write_private(sds / "rootca.json", root_secret(roots))
    write_private(sds / "default.json", certificate_secret(key, own))
    return renewal_time(*validity(own[0]), jitter=random.uniform(0, _LATEST_RENEWAL))


def write_private(path: Path, content: bytes) -> None:
    """Write a file that only its owner can read; readers see the old or the new one, whole."""
    temporary = path.with_name(path.name + ".new")
    temporary.unlink(missing_ok=True)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
    temporary.replace(path)


async def renew_for_ever(spec: AgentSpec, due: datetime) -> None:
    """Renew the certificate each time that it is due. A refusal keeps what there is."""
    while True:
        # Wall clocks jump, and hosts sleep: look again from time to time.
        while (remaining := (due - datetime.now(UTC)).total_seconds()) > 0:  # noqa: ASYNC110  # a time is due, no event
            await asyncio.sleep(min(remaining, _LONGEST_SLEEP_SECONDS))
        try:
            due = await obtain_certificate(spec)
            log.info("certificate renewed next=%s", due.isoformat(timespec="seconds"))
        except IdentityRefused as error:
            log.error("certificate not renewed, the old one stays until it expires: %s", error)
            await asyncio.sleep(_LONGEST_SLEEP_SECONDS)
