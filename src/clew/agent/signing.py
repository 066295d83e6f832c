"""Asking for a certificate: whom, and what proves who asks."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import grpc
from google.protobuf.struct_pb2 import Struct

from clew._pb.istio.v1.auth.ca_pb2 import IstioCertificateRequest, IstioCertificateResponse
from clew.agent.certificates import PrivateKey, signing_request
from clew.agent.directory import CONTROL_PLANE_SOCKET
from clew.agent.spec import AgentSpec, own_peer
from clew.model import names

_METHOD = "/istio.v1.auth.IstioCertificateService/CreateCertificate"
_CALL_SECONDS = 10.0
_LIFETIME_SECONDS = 24 * 3600


class BadToken(Exception):
    """There is no join token, or it is none."""


@dataclass(frozen=True, slots=True)
class Way:
    """``roots``: those of the server, for TLS; "": without. ``secret``: that of a join token."""

    target: str
    roots: str = ""
    secret: str = ""


def way_to_sign(spec: AgentSpec, *, certified: bool, token: str) -> Way:
    """How this agent gets a certificate.

    From the socket of the mesh on this machine, which only the mesh's owner can open. On other
    hosts: with what it has, through its own Envoy, which proves both sides; the first time with a
    join token, which also says whom to trust.

    Raises:
        BadToken: this host has nothing that proves who it is.
    """
    if spec.ca.startswith("unix:"):
        return Way(spec.ca)
    if certified:
        return Way(f"unix:{Path(spec.directory, CONTROL_PLANE_SOCKET)}")
    if not token:
        raise BadToken(
            "this host has no certificate, or only one that has expired, and no join token"
        )
    secret, _, roots = token.strip().partition(".")
    try:
        pem = base64.b64decode(roots, altchars=b"-_", validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        pem = ""
    if not secret or "BEGIN CERTIFICATE" not in pem:
        raise BadToken("what was given is no join token, or only a part of one")
    return Way(spec.ca, pem, secret)


async def request_certificate(spec: AgentSpec, key: PrivateKey, way: Way) -> Sequence[str]:
    """Return the PEM chain, the roots last. The key itself stays in this process.

    Raises:
        grpc.aio.AioRpcError: the authority is away or refuses.
    """
    identity = names.spiffe_id(spec.trust_domain, spec.namespace, spec.service_account)
    claim = {
        "namespace": spec.namespace,
        "serviceAccount": spec.service_account,
        "proxy": spec.name,
    }
    metadata = Struct()
    metadata.update(claim)
    request = IstioCertificateRequest(
        csr=signing_request(key, identity, own_peer(spec)),
        validity_duration=_LIFETIME_SECONDS,
        metadata=metadata,
    )
    headers = (("authorization", f"Bearer {way.secret}"),) if way.secret else ()
    async with _channel(way) as channel:
        call = channel.unary_unary(
            _METHOD,
            request_serializer=IstioCertificateRequest.SerializeToString,
            response_deserializer=IstioCertificateResponse.FromString,
        )
        response: IstioCertificateResponse = await call(
            request, timeout=_CALL_SECONDS, metadata=headers
        )
    return tuple(response.cert_chain)


def _channel(way: Way) -> grpc.aio.Channel:
    # Sharing would keep the backoff of a connection that failed.
    options: list[tuple[str, int | str]] = [("grpc.use_local_subchannel_pool", 1)]
    if not way.roots:
        options += [("grpc.default_authority", names.CONTROL_PLANE_SERVER_NAME)]
        return grpc.aio.insecure_channel(way.target, options=options)
    options += [("grpc.ssl_target_name_override", names.CONTROL_PLANE_SERVER_NAME)]
    credentials = grpc.ssl_channel_credentials(way.roots.encode())
    return grpc.aio.secure_channel(way.target, credentials, options=options)
