"""A workload with a certificate of the mesh, as a gRPC client."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import grpc
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from clew.agent.certificates import signing_request
from clew.ca.authority import Authority, issue
from clew.model.names import spiffe_id
from clew.server.mtls import proxy_dns_name
from tests.certificates import private_pem


@dataclass(frozen=True, slots=True)
class Workload:
    key: ec.EllipticCurvePrivateKey
    chain: Sequence[str]
    root: str

    def credentials(self) -> grpc.ChannelCredentials:
        private_key = private_pem(self.key)
        return grpc.ssl_channel_credentials(
            self.root.encode(), private_key, "".join(self.chain).encode()
        )


def workload(
    authority: Authority,
    namespace: str,
    service_account: str,
    proxy: str = "",
    trust_domain: str = "cluster.local",
) -> Workload:
    """``proxy``: the name, without namespace, of the proxy that it is for; "": of none."""
    key = ec.generate_private_key(ec.SECP256R1())
    identity = spiffe_id(trust_domain, namespace, service_account)
    *chain, root = issue(
        authority,
        signing_request(key, identity),
        identity,
        now=datetime.now(UTC),
        serial=x509.random_serial_number(),
        dns_names=[proxy_dns_name(f"{proxy}.{namespace}")] if proxy else [],
    )
    return Workload(key, chain, root)


def call_options() -> list[tuple[str, str]]:
    """A Unix socket has no host name to check the server's certificate against."""
    return [("grpc.ssl_target_name_override", "istiod.istio-system.svc")]
