"""Whether Envoy uses the certificate and the roots that its files hold."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
from cryptography import x509

from clew.agent.directory import ADMIN_SOCKET, SDS_DIRECTORY
from clew.agent.http_client import request_unix
from clew.model.names import ROOT_CERTIFICATE, WORKLOAD_CERTIFICATE

_CERTIFICATE_FILE = "default.json"
# A gateway may have thousands of others.
_SECRETS = (
    "/config_dump?resource=dynamic_active_secrets"
    f"&name_regex={WORKLOAD_CERTIFICATE}%7C{ROOT_CERTIFICATE}"
)
_POLL_SECONDS = 0.05


async def wait_until_in_use(directory: str, chain: Sequence[str], roots: str) -> None:
    """Return when Envoy has taken over what was written, or does not run: then it reads it when
    it starts.
    """
    while not await _in_use(directory, "".join(chain), roots):  # noqa: ASYNC110  # Envoy sets no event
        await asyncio.sleep(_POLL_SECONDS)


async def _in_use(directory: str, chain: str, roots: str) -> bool:
    try:
        page = await request_unix(str(Path(directory, ADMIN_SOCKET)), "GET", _SECRETS)
        dump = msgspec.json.decode(page.body or b"{}")
    except (ConnectionError, FileNotFoundError):
        return True
    except (OSError, ValueError, msgspec.DecodeError):
        return False
    used = {
        each.get("name"): each.get("secret", {})
        for each in dump.get("configs", ())
        if "secret" in each
    }
    certificate = used.get(WORKLOAD_CERTIFICATE, {}).get("tls_certificate", {})
    trusted = used.get(ROOT_CERTIFICATE, {}).get("validation_context", {})
    return (
        _text(certificate.get("certificate_chain", {})).split() == chain.split()
        and _text(trusted.get("trusted_ca", {})).split() == roots.split()
    )


def _text(source: Mapping[str, Any]) -> str:
    if "inline_string" in source:
        return str(source["inline_string"])
    return base64.b64decode(source.get("inline_bytes", "")).decode(errors="replace")


def certificate_in_use(directory: Path) -> x509.Certificate:
    """The certificate in the file that Envoy reads. Raises: OSError, ValueError, LookupError."""
    secret = msgspec.json.decode((directory / SDS_DIRECTORY / _CERTIFICATE_FILE).read_bytes())
    chain = secret["resources"][0]["tls_certificate"]["certificate_chain"]["inline_string"]
    return x509.load_pem_x509_certificate(chain.encode())
