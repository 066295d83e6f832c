"""What a TLS listener agrees to, asked with an OpenSSL that still knows all that is broken."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from dataclasses import dataclass

from nassl._nassl import OpenSSLError
from nassl.legacy_ssl_client import LegacySslClient
from nassl.ssl_client import ClientCertificateRequested, OpenSslVerifyEnum, OpenSslVersionEnum

_VERSIONS = {
    "SSLv3": OpenSslVersionEnum.SSLV3,
    "TLSv1": OpenSslVersionEnum.TLSV1,
    "TLSv1.1": OpenSslVersionEnum.TLSV1_1,
    "TLSv1.2": OpenSslVersionEnum.TLSV1_2,
}


_SOUND = ("GCM-SHA256", "GCM-SHA384", "POLY1305")
_EVERYTHING = "ALL:eNULL:aNULL"


@dataclass(frozen=True, slots=True)
class Scan:
    """The versions up to TLS 1.2 that the listener speaks, and its ciphers in TLS 1.2.

    TLS 1.3 has no weak ciphers, so it is not asked for.
    """

    versions: frozenset[str]
    ciphers: frozenset[str]

    @property
    def weak(self) -> frozenset[str]:
        """Ciphers without forward secrecy, or not of the kind that also authenticates (AEAD)."""
        return frozenset(
            name
            for name in self.ciphers
            if not name.startswith("ECDHE-")
            or not name.endswith(("GCM-SHA256", "GCM-SHA384", "POLY1305"))
        )


def scan(address: tuple[str, int], server_name: str = "") -> Scan:
    versions = {
        name for name in _VERSIONS if _agrees(address, server_name, name, "ALL:eNULL:aNULL")
    }
    ciphers = [name for name in _all_ciphers() if _agrees(address, server_name, "TLSv1.2", name)]
    return Scan(frozenset(versions), frozenset(ciphers))


def _all_ciphers() -> Iterator[str]:
    client = LegacySslClient(ssl_version=OpenSslVersionEnum.TLSV1_2)
    client.set_cipher_list(_EVERYTHING)
    yield from client.get_cipher_list()


def _agrees(address: tuple[str, int], server_name: str, version: str, ciphers: str) -> bool:
    """Whether the listener shakes hands, or would with a client certificate."""
    with socket.create_connection(address, timeout=10) as connection:
        client = LegacySslClient(
            underlying_socket=connection,
            ssl_version=_VERSIONS[version],
            ssl_verify=OpenSslVerifyEnum.NONE,
        )
        client.set_cipher_list(ciphers)
        if server_name:
            client.set_tlsext_host_name(server_name)
        try:
            client.do_handshake()
        except ClientCertificateRequested:
            return True
        except (OpenSSLError, OSError):
            return False
        return True
