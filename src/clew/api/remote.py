"""A control plane on another machine: where it is, how it is verified, what is shown to it."""

from __future__ import annotations

import base64
import binascii
import ssl
from pathlib import Path
from urllib.parse import urlsplit

import httpx2

from clew.model import names

_TIMEOUT = httpx2.Timeout(30.0)


class BadRemote(ValueError):
    """The address, or what the token's file holds, cannot be used; the message says why."""


def with_roots(token: str, roots: str) -> str:
    """A token's text, with the roots that the server's certificate leads to after a dot."""
    return f"{token}.{base64.urlsafe_b64encode(roots.encode()).decode()}" if roots else token


def remote(server: str, token_file: Path, roots: Path | None = None) -> httpx2.Client:
    """A client of ``https://host:port`` that shows the token of a file.

    A control plane with a certificate of its mesh is verified by the roots that came with the
    token, and by the name that all of them have; another one, by its host's name and ``roots``,
    else by what this machine trusts.

    Raises: BadRemote.
    """
    try:
        url = urlsplit(server)
        port = url.port
    except ValueError as error:
        raise BadRemote(f'"{server}" is not https://host:port: {error}') from None
    if url.scheme != "https" or not url.hostname or url.path not in ("", "/"):
        raise BadRemote(f'"{server}" is not https://host:port')
    try:
        text = token_file.read_text().strip()
    except (OSError, ValueError) as error:
        raise BadRemote(f"cannot read the token of {token_file}: {error}") from None
    token, _, encoded = text.partition(".")
    if not token.isascii() or not token.isprintable() or not token:
        raise BadRemote(f"{token_file} holds no token: clew token create --role viewer makes one")
    of_mesh = bool(encoded) and roots is None
    context = _context(_decoded(encoded, token_file) if of_mesh else "", roots)
    host = f"[{url.hostname}]" if ":" in url.hostname else url.hostname
    transport: httpx2.BaseTransport = httpx2.HTTPTransport(verify=context)
    return httpx2.Client(
        transport=_Named(transport) if of_mesh else transport,
        base_url=f"https://{host}:{port or 443}",
        headers={"authorization": f"Bearer {token}"},
        timeout=_TIMEOUT,
    )


def _decoded(encoded: str, file: Path) -> str:
    try:
        return base64.b64decode(encoded, altchars=b"-_", validate=True).decode()
    except (binascii.Error, ValueError) as error:
        raise BadRemote(f"the token in {file} is damaged after its dot: {error}") from None


def _context(roots: str, file: Path | None) -> ssl.SSLContext:
    try:
        if file is not None:
            return ssl.create_default_context(cafile=file)
        return ssl.create_default_context(cadata=roots or None)
    except (OSError, ssl.SSLError) as error:
        where = file or "the token"
        raise BadRemote(f"the roots in {where} cannot be used: {error}") from None


class _Named(httpx2.BaseTransport):
    """Verifies the name that every control plane has, instead of the one it is reached by."""

    def __init__(self, inside: httpx2.BaseTransport) -> None:
        self._inside = inside

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        request.extensions = {**request.extensions, "sni_hostname": names.CONTROL_PLANE_SERVER_NAME}
        return self._inside.handle_request(request)

    def close(self) -> None:
        self._inside.close()
