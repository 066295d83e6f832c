"""No listener of the mesh agrees to a broken version of TLS or to a weak cipher."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.e2e.mesh import REVIEWS, Mesh, eventually, running_mesh
from tests.envoy.rig import free_port
from tests.server.test_api_port import control_plane, home
from tests.tls_scan import Scan, scan

assert home  # A fixture.

STRICT = """
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: default, namespace: default}
spec: {mtls: {mode: STRICT}}
"""


def assert_sound(found: Scan) -> None:
    assert found.versions == {"TLSv1.2"}
    assert found.ciphers
    assert not found.weak


def address_of(mesh: Mesh, app: str) -> str:
    found = json.loads(mesh.clew("get", "pods", "-o", "json").stdout)["items"]
    (pod,) = (each for each in found if each["metadata"]["labels"].get("app") == app)
    return str(pod["status"]["podIP"])


def test_proxies_and_their_ports_at_the_control_plane_are_sound(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    xds, join = free_port(), free_port()
    monkeypatch.setenv("CLEW_LISTEN", f"127.0.0.1:{xds}")
    monkeypatch.setenv("CLEW_LISTEN_JOIN", f"127.0.0.1:{join}")
    with running_mesh("tls", capture="env", served=REVIEWS) as mesh:
        assert_sound(scan(("127.0.0.1", xds)))
        assert_sound(scan(("127.0.0.1", join)))
        applied = mesh.clew("apply", "--wait", "-f", "-", text=STRICT)
        assert applied.returncode == 0, applied.stderr
        details = (address_of(mesh, "details"), 9080)
        eventually(lambda: scan(details).versions, what="details takes TLS only")
        assert_sound(scan(details))


def test_the_admin_api_of_other_machines_is_sound(home: Path) -> None:
    with control_plane(home) as url:
        host, _, port = url.removeprefix("https://").partition(":")
        assert_sound(scan((host, int(port))))
