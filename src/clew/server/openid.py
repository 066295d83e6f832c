"""Asking an issuer of tokens where its keys are, as OpenID Connect Discovery has it."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Iterable, Sequence
from urllib.parse import SplitResult, urlsplit

import httpx2
import msgspec

from clew.model.addresses import is_link_local

_DOCUMENT = "/.well-known/openid-configuration"
_SECONDS = 5.0
_LONGEST_DOCUMENT = 256 * 1024
_PORTS = {"http": 80, "https": 443}


class NotDiscovered(Exception):
    """The issuer did not say where its keys are; the message says why."""


Network = ipaddress.IPv4Network | ipaddress.IPv6Network


async def discover(issuer: str, blocked: Sequence[Network] = ()) -> str:
    """Return the ``jwks_uri`` of an issuer.

    A connection is made only to addresses that were looked at: never to ``blocked`` ones, nor to
    those of the link, where clouds tell a host its secrets, whatever a name resolves to. Redirects
    are not followed. Nor do the keys count as known whose host is at such an address.

    Raises: NotDiscovered.
    Source: OpenID Connect Discovery 1.0, section 4; istio ``jwks_resolver.go``.
    """
    try:
        async with asyncio.timeout(_SECONDS):
            uri = keys_of(await _fetch(issuer.rstrip("/") + _DOCUMENT, blocked))
            host, port = _place(uri)
            _refuse_some(host, await _addresses_of(host, port), blocked)
            return uri
    except TimeoutError as error:
        raise NotDiscovered(f"no answer within {_SECONDS:g} s") from error


async def _fetch(url: str, blocked: Sequence[Network]) -> bytes:
    host, port = _place(url)
    addresses = await _addresses_of(host, port)
    if not addresses:
        raise NotDiscovered(f"{host} cannot be resolved")
    _refuse_some(host, addresses, blocked)
    try:
        return await _get(urlsplit(url), host, port, addresses[0])
    except (httpx2.HTTPError, httpx2.InvalidURL) as error:
        raise NotDiscovered(f"{url}: {error or type(error).__name__}") from error


def _place(url: str) -> tuple[str, int]:
    """Host and port of an http(s) URL. Raises: NotDiscovered."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port or _PORTS.get(parts.scheme, 0)
    except ValueError as error:
        raise NotDiscovered(f"{url} is not a URL: {error}") from error
    if not host or not port:
        raise NotDiscovered(f"{url} is not an http(s) URL")
    return host, port


async def _addresses_of(host: str, port: int) -> list[str]:
    """Where a host is; nowhere for a name that only the mesh knows."""
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return []
    return [str(each[4][0]) for each in found]


def _refuse_some(host: str, addresses: Iterable[str], blocked: Sequence[Network]) -> None:
    for text in addresses:
        address = ipaddress.ip_address(text.partition("%")[0])
        address = getattr(address, "ipv4_mapped", None) or address
        odd = is_link_local(text) or address.is_unspecified or address.is_multicast
        if odd or any(address in network for network in blocked):
            raise NotDiscovered(f"{host} is at {text}, which is never asked")


async def _get(parts: SplitResult, host: str, port: int, address: str) -> bytes:
    at = f"[{address}]" if ":" in address else address
    url = f"{parts.scheme}://{at}:{port}{parts.path}"
    name = f"[{host}]" if ":" in host else host
    own = port == _PORTS[parts.scheme]
    headers = {"host": name if own else f"{name}:{port}", "accept": "application/json"}
    async with httpx2.AsyncClient(timeout=_SECONDS, trust_env=False) as client:
        request = client.stream("GET", url, headers=headers, extensions={"sni_hostname": host})
        async with request as response:
            if response.status_code != 200:
                raise NotDiscovered(f"{parts.geturl()} is answered with {response.status_code}")
            return await _bounded(response)


async def _bounded(response: httpx2.Response) -> bytes:
    body = b""
    async for part in response.aiter_bytes():
        body += part
        if len(body) > _LONGEST_DOCUMENT:
            raise NotDiscovered(f"its document is longer than {_LONGEST_DOCUMENT} bytes")
    return body


def keys_of(document: bytes) -> str:
    try:
        content = msgspec.json.decode(document)
    except (ValueError, RecursionError) as error:
        raise NotDiscovered(f"its document is not JSON: {error}") from error
    uri = content.get("jwks_uri") if isinstance(content, dict) else None
    if not isinstance(uri, str) or not uri.startswith(("http://", "https://")):
        raise NotDiscovered("its document has no jwks_uri")
    return uri
