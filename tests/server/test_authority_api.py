"""The authority and join tokens over the admin API, and what never leaves it."""

from __future__ import annotations

import asyncio
import base64
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest
from starlette.applications import Starlette

from clew.ca.authority import fingerprint, pem
from clew.ca.keys import KeyKind
from clew.ca.plugged_in import UnusableAuthority
from clew.config.parse import parse_manifest, parse_mesh_config
from clew.model.base import Resource
from clew.model.mesh_config import MeshConfig
from clew.server.authority_api import AuthorityApi
from clew.server.authority_metrics import authority_metrics
from clew.server.identities import AuthoritySettings, Identities
from clew.server.join_tokens import FILE, Claim
from clew.server.replies import EXCEPTION_HANDLERS
from clew.snapshot.snapshot import MeshSnapshot, build_snapshot
from tests.ca.issuer import Issuer
from tests.ca.plugged_in_files import files

NOW = datetime.now(UTC)


class Place:
    """A control plane's identities over a mesh that can change."""

    def __init__(self, state: Path, plugged_in: Path | None = None) -> None:
        self.state = state
        self.snapshot: MeshSnapshot = build_snapshot((), MeshConfig())
        settings = AuthoritySettings(plugged_in=plugged_in, key_kind=KeyKind.EC_P256)
        self.identities = Identities(state, settings, lambda: self.snapshot, lambda: NOW)

    def hold(self, *objects: Resource, mesh: str = "") -> None:
        self.snapshot = build_snapshot(objects, parse_mesh_config(mesh)[0])
        self.identities.look()

    async def ask(self, method: str, path: str, body: Any = None) -> httpx2.Response:
        routes = AuthorityApi(self.identities, lambda: NOW).routes()
        app = Starlette(routes=routes, exception_handlers=EXCEPTION_HANDLERS)
        transport = httpx2.ASGITransport(app=app)
        async with httpx2.AsyncClient(transport=transport, base_url="http://clew") as client:
            return await client.request(method, path, json=body)

    def said(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        response = asyncio.run(self.ask(method, path, body))
        return response.status_code, response.json()


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def secret(values: dict[str, bytes]) -> Resource:
    data = {name: base64.b64encode(value).decode() for name, value in values.items()}
    metadata = {"name": "cacerts", "namespace": "istio-system"}
    manifest = {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": data}
    resource = parse_manifest(manifest).resource
    assert resource is not None
    return resource


def test_the_status_says_what_signs_until_when_and_who_is_trusted(place: Place) -> None:
    status, said = place.said("GET", "/v1/authority")
    current = place.identities.in_force()
    assert status == 200
    assert said["trustDomain"] == "cluster.local"
    assert said["root"]["fingerprint"] == fingerprint(current.root)
    assert said["root"]["key"] == "EC secp256r1"
    assert said["signing"]["expires"].startswith(f"{current.certificate.not_valid_after_utc:%Y-%m}")
    assert 364 <= said["signing"]["secondsLeft"] / 86_400 <= 365
    assert (said["phase"], said["waiting"], said["pluggedIn"]) == ("", [], False)


def test_a_rotation_is_begun_once_and_a_dry_one_changes_nothing(place: Place) -> None:
    dry, _ = place.said("POST", "/v1/authority/rotation", {"dryRun": True})
    assert dry == 200
    assert place.said("GET", "/v1/authority")[1]["phase"] == ""
    status, said = place.said("POST", "/v1/authority/rotation", {"key": "rsa-2048"})
    assert (status, said["phase"], len(said["trusted"])) == (200, "trust", 2)
    assert said["trusted"][1]["key"] == "RSA 2048"
    for body in ({}, {"dryRun": True}):
        status, said = place.said("POST", "/v1/authority/rotation", body)
        assert status == 409
        assert "clew ca status" in said["error"]["message"]


@pytest.mark.parametrize("body", [{"key": "des"}, {"dryrun": True}, {"key": 7}, [], "x"])
def test_a_request_that_makes_no_sense_changes_nothing(place: Place, body: Any) -> None:
    assert place.said("POST", "/v1/authority/rotation", body)[0] == 400
    assert place.said("POST", "/v1/tokens", body)[0] == 400
    assert place.identities.authority.phase is None


def test_a_token_is_shown_once_with_the_roots_to_trust(place: Place) -> None:
    body = {"namespace": "prod", "serviceAccount": "billing", "host": "vm-1", "seconds": 60}
    status, said = place.said("POST", "/v1/tokens", body)
    assert status == 201
    text, _, roots = said["token"].partition(".")
    assert base64.urlsafe_b64decode(roots).decode() == pem(place.identities.in_force().root)
    assert place.identities.tokens.check(text, Claim("prod", "billing", "vm-1"), "").id
    _, listed = place.said("GET", "/v1/tokens")
    assert [each["host"] for each in listed["tokens"]] == ["vm-1"]
    assert text not in json.dumps(listed)
    assert text not in (place.state / FILE).read_text()
    token_id = said["view"]["id"]
    assert place.said("DELETE", f"/v1/tokens/{token_id}")[0] == 200
    assert place.said("DELETE", f"/v1/tokens/{token_id}")[0] == 404
    assert place.said("GET", "/v1/tokens")[1]["tokens"] == []


@pytest.mark.parametrize(
    "wrong",
    [{"host": "VM 1"}, {"namespace": ""}, {"seconds": 0}, {"seconds": 10**18}, {"address": "x"}],
)
def test_a_token_for_nobody_is_not_made(place: Place, wrong: dict[str, Any]) -> None:
    body = {"namespace": "prod", "serviceAccount": "billing", "host": "vm-1"}
    assert place.said("POST", "/v1/tokens", {**body, **wrong})[0] == 400
    assert place.identities.tokens.all() == ()


def test_the_secret_cacerts_plugs_an_authority_in(place: Place) -> None:
    corporate = Issuer.root("Corporate Root", NOW)
    plugged = files(corporate.authority("Mesh CA", NOW), corporate)
    place.hold(secret(plugged))
    status = place.said("GET", "/v1/authority")[1]
    assert (status["phase"], len(status["trusted"]), status["pluggedIn"]) == ("trust", 2, True)
    place.identities.authority.advance()
    place.identities.authority.advance()
    place.hold(secret({**plugged, "ca-cert.pem": plugged["root-cert.pem"]}))
    status = place.said("GET", "/v1/authority")[1]
    assert "ca-key.pem is not the key of ca-cert.pem" in status["problem"]
    assert status["root"]["subject"] == "CN=Corporate Root", "the good one stays"
    key = plugged["ca-key.pem"].decode().splitlines()[1]
    assert key not in json.dumps(status)


def test_a_directory_goes_before_the_secret_and_is_read_again(tmp_path: Path) -> None:
    corporate, other = (Issuer.root(name, NOW) for name in ("Corporate Root", "Other"))
    directory = tmp_path / "cacerts"
    directory.mkdir()

    def write(signer: Issuer) -> None:
        for name, content in files(signer, corporate).items():
            (directory / name).write_bytes(content)

    write(corporate.authority("Mesh CA", NOW))
    place = Place(tmp_path / "state", directory)
    place.hold(secret(files(other, other)))
    assert place.identities.authority.phase is None
    following = corporate.authority("Mesh CA 2", NOW)
    write(following)
    place.identities.look()
    assert place.identities.in_force().certificate == following.certificate


def test_a_new_mesh_says_which_authority_it_cannot_begin_with(tmp_path: Path) -> None:
    directory = tmp_path / "cacerts"
    directory.mkdir()
    with pytest.raises(
        UnusableAuthority, match=f"{directory} cannot sign .* ca-cert.pem is missing"
    ):
        Place(tmp_path / "state", directory)


@pytest.mark.proves("CertificateData.pem", "MeshConfig.caCertificates")
def test_other_roots_and_trust_domains_come_from_the_mesh_configuration(place: Place) -> None:
    other = Issuer.root("Other", NOW)
    mesh = {
        "trustDomainAliases": ["old.domain"],
        "caCertificates": [{"pem": pem(other.certificate)}],
    }
    place.hold(mesh=json.dumps(mesh))
    status = place.said("GET", "/v1/authority")[1]
    assert status["trustDomainAliases"] == ["old.domain"]
    assert [each["subject"] for each in status["trusted"]][1:] == ["CN=Other"]
    assert not status["phase"]


def test_metrics_tell_when_the_authority_ends(place: Place) -> None:
    values = authority_metrics(place.identities, NOW)
    root = place.identities.in_force().root.not_valid_after_utc
    assert values["citadel_server_root_cert_expiry_timestamp"] == root.timestamp()
    assert values["citadel_server_root_cert_expiry_seconds"] == (root - NOW).total_seconds()
    year = timedelta(days=365).total_seconds()
    assert year - 60 < values["citadel_server_cert_chain_expiry_seconds"] <= year + 60
    place.identities.counters.csr += 1
    assert authority_metrics(place.identities, NOW)["citadel_server_csr_count"] == 1
