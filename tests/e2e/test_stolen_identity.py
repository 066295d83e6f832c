"""Whoever is not who a certificate or token says is refused and told of in the log.

One real mesh, with Bookinfo under load, for all of it: nobody else is disturbed.
"""

from __future__ import annotations

import base64
import os
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import grpc
import pytest

from clew.ca.authority import Authority
from clew.demo.load import Load
from tests.e2e.attacker import (
    Stolen,
    ask_certificate,
    ask_xds,
    authority_of,
    call_proxy,
    certificate,
)
from tests.e2e.mesh import Mesh, eventually, needs_root, running_mesh
from tests.e2e.test_failures import load

pytestmark = needs_root

CONFIGURATION = """
apiVersion: v1
kind: ConfigMap
metadata: {name: istio, namespace: istio-system}
data:
  mesh: |
    accessLogFile: /dev/stdout
---
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: default, namespace: istio-system}
spec: {mtls: {mode: STRICT}}
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: reviews-viewer, namespace: default}
spec:
  selector: {matchLabels: {app: reviews}}
  rules:
  - from: [{source: {principals: [cluster.local/ns/default/sa/bookinfo-productpage]}}]
"""
PRODUCTPAGE = "spiffe://cluster.local/ns/default/sa/bookinfo-productpage"
OTHER = "spiffe://cluster.local/ns/other/sa/bookinfo-productpage"
CLAIM = {"namespace": "prod", "serviceAccount": "billing", "proxy": "vm-1"}


@dataclass
class Scene:
    """The mesh, its load, and one replica of reviews to attack."""

    mesh: Mesh
    requests: Load
    victim: str
    address: str
    join: str

    @property
    def authority(self) -> Authority:
        return authority_of(self.mesh.directory)

    @property
    def xds(self) -> str:
        return f"unix:{self.mesh.directory}/xds.sock"

    def node(self, name: str = "", namespace: str = "default") -> str:
        name = name or self.victim
        return f"sidecar~{self.address}~{name}.{namespace}~{namespace}.svc.cluster.local"

    def call(self, stolen: Stolen | None, *, tls: bool = True) -> int:
        return call_proxy(self.address, 9080, "/reviews/0", stolen, tls=tls)

    def server_log(self) -> str:
        return (self.mesh.directory / "server.log").read_text()

    def proxy_log(self) -> str:
        folder = self.mesh.directory / "agents" / "default" / self.victim
        return (folder / "envoy.log").read_text()

    def told(self, text: str, log: str = "server") -> None:
        """Wait until the log has said so."""
        read = self.server_log if log == "server" else self.proxy_log
        eventually(lambda: text in read(), seconds=20, what=f"{text!r} in the log of the {log}")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="module")
def scene() -> Iterator[Scene]:
    join = f"127.0.0.1:{_free_port()}"
    os.environ["CLEW_LISTEN_JOIN"] = join
    try:
        with running_mesh("stolen", capture="netns") as mesh, load(mesh) as requests:
            applied = mesh.clew("apply", "-f", "-", text=CONFIGURATION)
            assert applied.returncode == 0, applied.stdout + applied.stderr
            for name, namespace in (
                ("peerauthentication/default", "istio-system"),
                ("authorizationpolicy/reviews-viewer", "default"),
            ):
                assert mesh.clew("wait", name, "-n", namespace).returncode == 0
            victim = next(r for r in mesh.state.replicas if r.workload == "reviews-v1")
            yield Scene(mesh, requests, victim.name, victim.ip, join)
    finally:
        del os.environ["CLEW_LISTEN_JOIN"]


@pytest.fixture(autouse=True)
def undisturbed(scene: Scene) -> Iterator[None]:
    """All proxies stay connected, and no request fails, whatever is tried."""
    before = len(scene.requests.outcomes)
    yield
    scene.requests.sample(20)
    assert [o.failure for o in scene.requests.outcomes[before:] if o.failure] == []
    status = scene.mesh.clew("status")
    assert status.returncode == 0, status.stdout


def test_its_own_certificate_serves_a_workload(scene: Scene) -> None:
    assert scene.call(certificate(scene.authority, PRODUCTPAGE)) == 200


def test_a_certificate_of_another_namespace_is_somebody_else(scene: Scene) -> None:
    stolen = certificate(scene.authority, OTHER, "productpage-v1-0.other")
    assert scene.call(stolen) == 403
    scene.told("rbac_access_denied", "proxy")
    code, reason = ask_xds(
        scene.xds, stolen.credentials(), scene.node(), {"SERVICE_ACCOUNT": "bookinfo-reviews"}
    )
    assert code is grpc.StatusCode.PERMISSION_DENIED
    assert f"the certificate is of {OTHER}" in reason
    scene.told(f"reason=the certificate is of {OTHER}, the proxy claims to be")
    claim = {"namespace": "default", "serviceAccount": "bookinfo-productpage"}
    code, reason = ask_certificate(scene.xds, stolen.credentials(), claim)
    assert code is grpc.StatusCode.PERMISSION_DENIED
    assert "may only renew its own certificate" in reason
    scene.told("certificate refused")


def test_an_expired_certificate_is_worth_nothing(scene: Scene) -> None:
    stolen = certificate(scene.authority, PRODUCTPAGE, expired=True)
    assert scene.call(stolen) == 0
    scene.told("certificate_has_expired", "proxy")
    code, _ = ask_xds(scene.xds, stolen.credentials(), scene.node(), {})
    assert code is grpc.StatusCode.UNAVAILABLE
    scene.told("connection refused reason=certificate has expired")


def test_a_certificate_of_another_trust_domain_is_a_stranger_s(scene: Scene) -> None:
    name = scene.node().split("~")[2]
    foreign = PRODUCTPAGE.replace("cluster.local", "evil.example")
    stolen = certificate(scene.authority, foreign, name)
    assert scene.call(stolen) == 0
    scene.told(f"SAN_matcher,_certificate_SANs_are_[{foreign}", "proxy")
    code, _ = ask_xds(
        scene.xds, stolen.credentials(), scene.node(), {"SERVICE_ACCOUNT": "bookinfo-productpage"}
    )
    assert code is grpc.StatusCode.PERMISSION_DENIED
    scene.told(f"reason=the certificate is of {foreign}")


def test_a_self_signed_certificate_convinces_nobody(scene: Scene, tmp_path: Path) -> None:
    roots = certificate(scene.authority, PRODUCTPAGE).roots
    stolen = certificate(authority_of(tmp_path), PRODUCTPAGE, roots=roots)
    assert scene.call(stolen) == 0
    scene.told("CERTIFICATE_VERIFY_FAILED", "proxy")
    code, _ = ask_xds(scene.xds, stolen.credentials(), scene.node(), {})
    assert code is grpc.StatusCode.UNAVAILABLE
    scene.told("connection refused reason=")


def test_without_a_certificate_there_is_no_connection(scene: Scene) -> None:
    assert scene.call(None) == 0
    scene.told("PEER_DID_NOT_RETURN_A_CERTIFICATE", "proxy")
    roots = certificate(scene.authority, PRODUCTPAGE).roots
    credentials = grpc.ssl_channel_credentials(roots.encode())
    code, _ = ask_xds(scene.xds, credentials, scene.node(), {})
    assert code is grpc.StatusCode.UNAVAILABLE
    scene.told("connection refused reason=PEER_DID_NOT_RETURN_A_CERTIFICATE")


def test_plaintext_to_a_strict_port_is_cut_off(scene: Scene) -> None:
    assert scene.call(None, tls=False) == 0
    scene.told(" NR ", "proxy")


@pytest.mark.parametrize(
    ("claim", "name"),
    [
        ({"NAMESPACE": "prod"}, ""),
        ({"SERVICE_ACCOUNT": "bookinfo-ratings"}, ""),
        ({"SERVICE_ACCOUNT": "bookinfo-reviews"}, "reviews-v2-0"),
        ({"SERVICE_ACCOUNT": "bookinfo-reviews", "NAMESPACE": "default"}, "istiod.istio-system"),
    ],
)
def test_forged_metadata_of_a_node_is_found_out(
    scene: Scene, claim: dict[str, str], name: str
) -> None:
    identity = "spiffe://cluster.local/ns/default/sa/bookinfo-reviews"
    own = certificate(scene.authority, identity, f"{scene.victim}.default")
    before = scene.server_log().count("proxy refused")
    code, _ = ask_xds(scene.xds, own.credentials(), scene.node(name), claim)
    assert code is grpc.StatusCode.PERMISSION_DENIED
    eventually(lambda: scene.server_log().count("proxy refused") > before, what="its line")


def _token(scene: Scene, host: str = "vm-1", *more: str) -> tuple[str, grpc.ChannelCredentials]:
    made = scene.mesh.clew(
        *("ca", "token", "create", "-n", "prod", "--service-account", "billing"),
        *("--host", host, *more),
    )
    assert made.returncode == 0, made.stderr
    token = made.stdout.strip()
    roots = base64.urlsafe_b64decode(token.partition(".")[2])
    return token, grpc.ssl_channel_credentials(roots)


def test_a_join_token_is_good_once(scene: Scene) -> None:
    token, credentials = _token(scene)
    assert ask_certificate(scene.join, credentials, CLAIM, token) == (
        grpc.StatusCode.OK,
        '["spiffe://cluster.local/ns/prod/sa/billing"]',
    )
    code, reason = ask_certificate(scene.join, credentials, CLAIM, token)
    assert code is grpc.StatusCode.UNAUTHENTICATED
    assert "was used already" in reason
    scene.told("was used already")
    assert token.partition(".")[0] not in scene.server_log()


def test_a_join_token_of_another_host_is_refused(scene: Scene) -> None:
    token, credentials = _token(scene, "vm-2")
    code, _ = ask_certificate(scene.join, credentials, CLAIM, token)
    assert code is grpc.StatusCode.UNAUTHENTICATED
    scene.told('is for the host "vm-2", not "vm-1"')
    token, credentials = _token(scene, "vm-1", "--address", "192.0.2.1")
    code, _ = ask_certificate(scene.join, credentials, CLAIM, token)
    assert code is grpc.StatusCode.UNAUTHENTICATED
    scene.told("may be used from 192.0.2.1 only, not from 127.0.0.1")


def test_without_a_join_token_there_is_no_first_certificate(scene: Scene) -> None:
    _, credentials = _token(scene, "vm-3")
    for token in ("", "guessed"):
        code, _ = ask_certificate(scene.join, credentials, CLAIM, token)
        assert code is grpc.StatusCode.UNAUTHENTICATED
    scene.told("a join token is required here")
    scene.told("the join token is unknown")


def test_no_key_or_token_is_in_any_log(scene: Scene) -> None:
    logs = [*scene.mesh.directory.rglob("*.log")]
    assert len(logs) > 5
    for log in logs:
        assert "PRIVATE KEY" not in log.read_text(errors="replace"), log
    assert scene.mesh.directory.stat().st_mode & 0o077 == 0
    private = [*scene.mesh.directory.glob("*.sock"), *scene.mesh.directory.glob("ca/*")]
    private += scene.mesh.directory.rglob("sds/*.json")
    private += scene.mesh.directory.glob("join-*.json")
    assert len(private) > 10
    for path in private:
        assert path.stat().st_mode & 0o077 == 0, path
    assert datetime.now(UTC) < scene.authority.ends
