"""A control plane with nothing in it but a certificate authority and one delta ADS stream each."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import grpc
import msgspec
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from clew._pb.envoy.service.discovery.v3.discovery_pb2 import (
    DeltaDiscoveryRequest,
)
from clew._pb.istio.v1.auth.ca_pb2 import IstioCertificateRequest, IstioCertificateResponse
from clew.model.xds import Published
from clew.xds.delta_stream import DeltaStream
from tests.certificates import private_pem

ISTIOD = "spiffe://cluster.local/ns/istio-system/sa/istiod"


@dataclass
class Authority:
    """Signs whatever it is asked to; valid for ``lifetime``."""

    lifetime: timedelta = timedelta(hours=1)
    refuses: bool = False
    issued: int = 0
    key: ec.EllipticCurvePrivateKey = field(
        default_factory=lambda: ec.generate_private_key(ec.SECP256R1())
    )

    def __post_init__(self) -> None:
        self.root = self._certificate(self.key.public_key(), [], authority=True)

    def sign(self, request: x509.CertificateSigningRequest) -> tuple[str, str]:
        self.issued += 1
        names = request.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        return self._certificate(request.public_key(), list(names)), self.root

    def issue_for(self, key: Any, identity: str) -> tuple[str, str]:
        """Return a certificate for a key of any kind, and the root."""
        return self._certificate(key, [x509.UniformResourceIdentifier(identity)]), self.root

    def issue(self, identity: str) -> tuple[bytes, bytes]:
        """Return a new key and its certificate, PEM."""
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.UniformResourceIdentifier(identity)
        pem = private_pem(key)
        return pem, self._certificate(key.public_key(), [name]).encode()

    def _certificate(self, key: Any, names: list[Any], *, authority: bool = False) -> str:
        issuer = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "root")])
        now = datetime.now(UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(issuer if authority else x509.Name([]))
            .issuer_name(issuer)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(seconds=1))
            .not_valid_after(now + (timedelta(days=1) if authority else self.lifetime))
            .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        )
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=True)
        certificate = builder.sign(self.key, hashes.SHA256())
        return certificate.public_bytes(serialization.Encoding.PEM).decode()


@dataclass
class ControlPlane:
    directory: Path
    authority: Authority
    published: Published
    nodes: list[str] = field(default_factory=list)
    identities: list[str] = field(default_factory=list)
    statuses: list[dict[str, Any]] = field(default_factory=list)

    @property
    def xds(self) -> str:
        return f"unix:{self.directory}/xds.sock"

    @property
    def ca(self) -> str:
        return f"unix:{self.directory}/ca.sock"

    @property
    def api(self) -> str:
        return f"unix:{self.directory}/api.sock"

    async def sign(self, request: IstioCertificateRequest, context: Any) -> Any:
        if self.authority.refuses:
            await context.abort(grpc.StatusCode.PERMISSION_DENIED, "no such service account.")
        csr = x509.load_pem_x509_csr(request.csr.encode())
        return IstioCertificateResponse(cert_chain=self.authority.sign(csr))

    async def stream(self, requests: AsyncIterator[DeltaDiscoveryRequest], context: Any) -> Any:
        named = context.auth_context()["x509_subject_alternative_name"]
        self.identities += [name.decode() for name in named if name.startswith(b"spiffe:")]
        stream = DeltaStream()
        stream.publish(self.published)
        async for request in requests:
            if request.node.id:
                self.nodes.append(request.node.id)
            stream.receive(request)
            while (response := stream.poll()) is not None:
                yield response.body

    async def serve_api(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        length = int(head.lower().partition("content-length: ")[2].partition("\r\n")[0])
        if not head.startswith("GET "):
            status = msgspec.json.decode(await reader.readexactly(length))
            self.statuses.append({"request": head.partition("\r\n")[0], **status})
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
        writer.close()

    def ready_reports(self) -> list[str]:
        return [status["conditions"][0]["status"] for status in self.statuses]


@asynccontextmanager
async def running(
    directory: Path, published: Published | None = None, authority: Authority | None = None
) -> AsyncIterator[ControlPlane]:
    plane = ControlPlane(directory, authority or Authority(), published or {})
    ca, ads = grpc.aio.server(), grpc.aio.server()
    ca.add_generic_rpc_handlers(
        (
            _handler(
                "istio.v1.auth.IstioCertificateService",
                "CreateCertificate",
                grpc.unary_unary_rpc_method_handler(
                    plane.sign,
                    request_deserializer=IstioCertificateRequest.FromString,
                    response_serializer=IstioCertificateResponse.SerializeToString,
                ),
            ),
        )
    )
    ads.add_generic_rpc_handlers(
        (
            _handler(
                "envoy.service.discovery.v3.AggregatedDiscoveryService",
                "DeltaAggregatedResources",
                grpc.stream_stream_rpc_method_handler(
                    plane.stream, request_deserializer=DeltaDiscoveryRequest.FromString
                ),
            ),
        )
    )
    ca.add_insecure_port(plane.ca)
    ads.add_secure_port(plane.xds, _credentials(plane.authority))
    api = await asyncio.start_unix_server(plane.serve_api, plane.api.removeprefix("unix:"))
    await ca.start()
    await ads.start()
    try:
        yield plane
    finally:
        await ads.stop(0)
        await ca.stop(0)
        api.close()


def _handler(service: str, method: str, handler: Any) -> Any:
    return grpc.method_handlers_generic_handler(service, {method: handler})


def _credentials(authority: Authority) -> Any:
    return grpc.ssl_server_credentials(
        [authority.issue(ISTIOD)],
        root_certificates=authority.root.encode(),
        require_client_auth=True,
    )
