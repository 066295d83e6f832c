"""TLS as the control plane serves it to proxies and agents."""

from __future__ import annotations

import os
import ssl
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager


def server_context(
    key_and_chain: bytes, roots: str, *, certificate_required: bool = True
) -> ssl.SSLContext:
    """TLS 1.2 or newer and HTTP/2, with client certificates that lead to ``roots`` (PEM).

    ``key_and_chain``: the private key and its certificates, PEM, the leaf first. Not
    ``certificate_required``: none is looked at, callers prove themselves otherwise.
    """
    context = sound_context()
    context.set_alpn_protocols(["h2"])
    context.verify_mode = ssl.CERT_REQUIRED if certificate_required else ssl.CERT_NONE
    context.load_verify_locations(cadata=roots)
    # Streams live for days; tickets to resume them would cost each handshake a third more.
    context.num_tickets = 0
    context.options |= ssl.OP_NO_TICKET | ssl.OP_NO_RENEGOTIATION
    load_key_and_chain(context, key_and_chain)
    return context


def sound_context() -> ssl.SSLContext:
    """A server's TLS as all of the control plane's listeners speak it, without a certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    # Of TLS 1.2, what has forward secrecy and authenticates; TLS 1.3 has nothing else.
    context.set_ciphers("ECDHE+AESGCM:ECDHE+CHACHA20")
    return context


def load_key_and_chain(context: ssl.SSLContext, key_and_chain: bytes) -> None:
    """Present it. The standard library takes keys from files only."""
    with _as_file(key_and_chain) as path:
        context.load_cert_chain(path)


@contextmanager
def _as_file(content: bytes) -> Iterator[str]:
    """A path for OpenSSL to read from; the content never reaches a disk where that is possible."""
    if hasattr(os, "memfd_create"):
        descriptor = os.memfd_create("key")
        try:
            os.write(descriptor, content)
            yield f"/proc/self/fd/{descriptor}"
        finally:
            os.close(descriptor)
        return
    with tempfile.NamedTemporaryFile() as file:
        file.write(content)
        file.flush()
        yield file.name
