"""Somebody who has got hold of certificates, and tries them on proxies and the control plane."""

from __future__ import annotations

import json
import ssl
import tempfile
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http.client import HTTPConnection, HTTPSConnection
from pathlib import Path
from typing import Any

import grpc
from cryptography import x509
from google.protobuf.struct_pb2 import Struct

from clew._pb.envoy.service.discovery.v3.discovery_pb2 import (
    DeltaDiscoveryRequest,
    DeltaDiscoveryResponse,
)
from clew._pb.istio.v1.auth.ca_pb2 import IstioCertificateRequest, IstioCertificateResponse
from clew.agent.certificates import PrivateKey, new_key, signing_request
from clew.ca.authority import Authority, issue
from clew.ca.keys import load_or_create
from clew.model.xds import CLUSTER
from clew.server.mtls import proxy_dns_name
from tests.certificates import private_pem

_SERVER = "istiod.istio-system.svc"
_ALPN = ["istio-http/1.1", "istio", "http/1.1"]
_CALL_SECONDS = 15


@dataclass(frozen=True)
class Stolen:
    """A key, its chain without the root, and the roots that its holder trusts."""

    key: PrivateKey
    chain: tuple[str, ...]
    roots: str

    def key_pem(self) -> bytes:
        return private_pem(self.key)

    def credentials(self) -> grpc.ChannelCredentials:
        return grpc.ssl_channel_credentials(
            self.roots.encode(), self.key_pem(), "".join(self.chain).encode()
        )


def authority_of(state: Path) -> Authority:
    return load_or_create(state / "ca", "cluster.local", now=datetime.now(UTC))


def certificate(
    authority: Authority,
    identity: str,
    proxy: str = "",
    *,
    expired: bool = False,
    roots: str = "",
) -> Stolen:
    """``proxy``: ``name.namespace``. ``roots``: whom its holder trusts, if not the issuer's."""
    key = new_key()
    *chain, own = issue(
        authority,
        signing_request(key, identity),
        identity,
        now=datetime.now(UTC) - (timedelta(days=2) if expired else timedelta(0)),
        serial=x509.random_serial_number(),
        dns_names=[proxy_dns_name(proxy)] if proxy else [],
    )
    return Stolen(key, tuple(chain), roots or own)


def call_proxy(
    address: str, port: int, path: str, stolen: Stolen | None, *, tls: bool = True
) -> int:
    """The status that a proxy answers with; 0: it gives no connection."""
    secured = _secured(address, port, stolen)
    connection = secured if tls else HTTPConnection(address, port, timeout=10)
    try:
        connection.request("GET", path, headers={"Host": "reviews:9080"})
        response = connection.getresponse()
        response.read()
        return response.status
    except OSError:
        return 0
    finally:
        connection.close()


def _secured(address: str, port: int, stolen: Stolen | None) -> HTTPSConnection:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols(_ALPN)
    if stolen is not None:
        with tempfile.NamedTemporaryFile() as file:
            file.write(stolen.key_pem() + "".join(stolen.chain).encode())
            file.flush()
            context.load_cert_chain(file.name)
    return HTTPSConnection(address, port, timeout=10, context=context)


def ask_xds(
    target: str, credentials: grpc.ChannelCredentials, node: str, metadata: dict[str, Any]
) -> tuple[grpc.StatusCode, str]:
    """How the control plane answers somebody who claims to be this node; OK: with configuration."""
    request = DeltaDiscoveryRequest(type_url=CLUSTER)
    request.node.id = node
    request.node.metadata.update(metadata)
    options = [("grpc.ssl_target_name_override", _SERVER)]
    answered = threading.Event()
    with grpc.secure_channel(target, credentials, options=options) as channel:
        call = channel.stream_stream(
            "/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources",
            request_serializer=DeltaDiscoveryRequest.SerializeToString,
            response_deserializer=DeltaDiscoveryResponse.FromString,
        )(_one_by_one(request, answered), timeout=_CALL_SECONDS)
        try:
            next(call)
        except grpc.RpcError as error:
            return error.code(), error.details() or ""
        finally:
            answered.set()
            call.cancel()
        return grpc.StatusCode.OK, ""


def _one_by_one(
    request: DeltaDiscoveryRequest, answered: threading.Event
) -> Iterator[DeltaDiscoveryRequest]:
    yield request
    answered.wait(_CALL_SECONDS)


def ask_certificate(
    target: str,
    credentials: grpc.ChannelCredentials | None,
    claim: dict[str, str],
    token: str = "",
) -> tuple[grpc.StatusCode, str]:
    """How the authority answers; the reason, or the identity that it gave."""
    key, metadata = new_key(), Struct()
    metadata.update(claim)
    request = IstioCertificateRequest(csr=signing_request(key, "spiffe://any"), metadata=metadata)
    options = [("grpc.ssl_target_name_override", _SERVER), ("grpc.default_authority", _SERVER)]
    channel = (
        grpc.insecure_channel(target, options=options[1:])
        if credentials is None
        else grpc.secure_channel(target, credentials, options=options[:1])
    )
    headers: Sequence[tuple[str, str]] = [("authorization", f"Bearer {token}")] if token else []
    with channel:
        create = channel.unary_unary(
            "/istio.v1.auth.IstioCertificateService/CreateCertificate",
            request_serializer=IstioCertificateRequest.SerializeToString,
            response_deserializer=IstioCertificateResponse.FromString,
        )
        try:
            response = create(request, timeout=_CALL_SECONDS, metadata=headers)
        except grpc.RpcError as error:
            return error.code(), error.details() or ""
    leaf = x509.load_pem_x509_certificate(response.cert_chain[0].encode())
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return grpc.StatusCode.OK, json.dumps(
        [*names.get_values_for_type(x509.UniformResourceIdentifier)]
    )
