"""The roots of a running mesh are changed under constant load, and no request fails."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from cryptography import x509

from clew.ca.authority import fingerprint
from tests.ca.issuer import Issuer
from tests.ca.plugged_in_files import files
from tests.e2e.mesh import Mesh, eventually, needs_root, running_mesh
from tests.e2e.test_failures import load

pytestmark = needs_root


# So that each request needs a handshake, and is lost if one side does not trust the other.
ONE_REQUEST_PER_CONNECTION = """
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: handshakes, namespace: istio-system}
spec:
  host: "*.local"
  trafficPolicy:
    connectionPool: {http: {maxRequestsPerConnection: 1}}
"""
STRICT = """
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: default, namespace: istio-system}
spec: {mtls: {mode: STRICT}}
"""


def authority(mesh: Mesh) -> dict[str, Any]:
    said = mesh.clew("ca", "status", "-o", "json")
    return dict(json.loads(said.stdout))


def sidecars(mesh: Mesh) -> Iterator[Path]:
    return mesh.directory.glob("agents/*/*/sds")


def held(sds: Path, file: str, *path: str) -> list[x509.Certificate]:
    value = json.loads((sds / file).read_text())["resources"][0]
    for key in path:
        value = value[key]
    return x509.load_pem_x509_certificates(value["inline_string"].encode())


def lives_under(sds: Path, root: str) -> bool:
    """Whether this proxy trusts that root alone, and has a certificate that leads to it."""
    [trusted] = held(sds, "rootca.json", "validation_context", "trusted_ca")
    *_, top = held(sds, "default.json", "tls_certificate", "certificate_chain")
    top.verify_directly_issued_by(trusted)
    return fingerprint(trusted) == root


@pytest.mark.timeout(400)
def test_no_request_fails_while_roots_are_rotated_and_an_authority_is_plugged_in() -> None:
    with running_mesh("rotation", capture="netns") as mesh, load(mesh) as requests:
        for text in (ONE_REQUEST_PER_CONNECTION, STRICT):
            assert mesh.clew("apply", "-f", "-", text=text).returncode == 0
        assert mesh.clew("wait", "destinationrule/handshakes", "-n", "istio-system").returncode == 0
        requests.sample(100)
        first = authority(mesh)["root"]["fingerprint"]
        plan = mesh.clew("ca", "rotate", "--dry-run")
        assert "Nothing was changed" in plan.stdout
        assert authority(mesh)["phase"] == ""

        rotated = mesh.clew("ca", "rotate", "--key", "rsa-2048", "--timeout", "55s")
        assert rotated.returncode == 0, rotated.stdout + rotated.stderr
        requests.sample(100)
        second = authority(mesh)["root"]["fingerprint"]
        assert second != first
        proxies = list(sidecars(mesh))
        assert len(proxies) > 5
        assert all(lives_under(sds, second) for sds in proxies)

        corporate = Issuer.root("Corporate Root", datetime.now(UTC))
        plugged = files(corporate.authority("Mesh CA", datetime.now(UTC)), corporate)
        secret = {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": "cacerts", "namespace": "istio-system"},
            "stringData": {name: content.decode() for name, content in plugged.items()},
        }
        applied = mesh.clew("apply", "-f", "-", text=yaml.safe_dump(secret))
        assert applied.returncode == 0, applied.stdout + applied.stderr
        third = fingerprint(corporate.certificate)
        eventually(
            lambda: (
                (found := authority(mesh))["root"]["fingerprint"] == third and not found["phase"]
            ),
            what="the plugged-in authority is in force",
        )
        assert all(lives_under(sds, third) for sds in sidecars(mesh))
        requests.sample(100)
        failures = [each.failure for each in requests.outcomes if each.failure]
        print(len(requests.outcomes), "requests", len(failures), "failures")
        assert failures == []
        assert len(requests.outcomes) > 300
        status = mesh.clew("status")
        assert status.returncode == 0, status.stdout
        assert "NO" not in status.stdout.split(), "all proxies are connected"
        log = (mesh.directory / "server.log").read_text()
        assert "BEGIN" not in log
