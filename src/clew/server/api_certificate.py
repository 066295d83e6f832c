"""TLS of the admin API on TCP: the mesh's own certificate, or one that its owner brings."""

from __future__ import annotations

import ssl
from pathlib import Path

from clew.server.http2.tls import load_key_and_chain, sound_context
from clew.server.own_certificate import OwnCertificate


def server_context(client_roots: Path | None) -> ssl.SSLContext:
    """TLS 1.2 and up; client certificates are asked for if there are roots to verify them by.

    Raises: OSError, ssl.SSLError: the file with the roots cannot be used.
    """
    context = sound_context()
    if client_roots is not None:
        context.load_verify_locations(client_roots)
        context.verify_mode = ssl.CERT_OPTIONAL
    return context


def present(own: OwnCertificate, context: ssl.SSLContext) -> None:
    """Let handshakes of ``context`` present the certificate, each the one that is good then."""
    loaded, current = own.key_and_chain(), context
    load_key_and_chain(context, loaded)

    def choose(connection: ssl.SSLObject, _name: str | None, _context: ssl.SSLContext) -> None:
        nonlocal loaded, current
        if (good := own.key_and_chain()) is not loaded:
            loaded, current = good, ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            load_key_and_chain(current, loaded)
        connection.context = current

    context.sni_callback = choose
