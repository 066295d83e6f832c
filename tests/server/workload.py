"""A workload with a certificate of the mesh, as a gRPC client."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import grpc
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from clew.agent.certificates import signing_request
from clew.ca.authority import Authority, issue
from clew.model.names import spiffe_id


@dataclass(frozen=True, slots=True)
class Workload:
    key: ec.EllipticCurvePrivateKey
    chain: Sequence[str]
    root: str

    def credentials(self) -> grpc.ChannelCredentials:
        private_key = self.key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        return grpc.ssl_channel_credentials(
            self.root.encode(), private_key, "".join(self.chain).encode()
        )


def workload(authority: Authority, namespace: str, service_account: str) -> Workload:
    key = ec.generate_private_key(ec.SECP256R1())
    identity = spiffe_id("cluster.local", namespace, service_account)
    *chain, root = issue(
        authority,
        signing_request(key, identity),
        identity,
        now=datetime.now(UTC),
        serial=x509.random_serial_number(),
    )
    return Workload(key, chain, root)


def call_options() -> list[tuple[str, str]]:
    """A Unix socket has no host name to check the server's certificate against."""
    return [("grpc.ssl_target_name_override", "istiod.istio-system.svc")]
