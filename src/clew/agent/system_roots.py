"""What this host trusts, put where its Envoy looks for it."""

from __future__ import annotations

import os
import ssl
from collections.abc import Mapping
from pathlib import Path

from clew.agent.directory import SDS_DIRECTORY

# Where Linux distributions and macOS keep them. Source: Go's crypto/x509, as Istio's agent.
_BUNDLES = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/pki/tls/cacert.pem",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/cert.pem",
)


def system_bundle(environment: Mapping[str, str]) -> Path | None:
    """Return the file with this host's roots, None if there is none."""
    own = (environment.get("SSL_CERT_FILE"), *_BUNDLES, ssl.get_default_verify_paths().cafile)
    return next((Path(each) for each in own if each and Path(each).is_file()), None)


def link_system_roots(directory: Path, environment: Mapping[str, str] = os.environ) -> None:
    """Make ``sds/system-roots.pem`` stand for the host's roots, if it has any."""
    link = directory / SDS_DIRECTORY / "system-roots.pem"
    link.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    link.unlink(missing_ok=True)
    if (bundle := system_bundle(environment)) is not None:
        link.symlink_to(bundle)
