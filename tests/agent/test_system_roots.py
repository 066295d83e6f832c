"""What the host trusts is what Envoy trusts of servers outside the mesh."""

from __future__ import annotations

from pathlib import Path

from clew.agent.system_roots import link_system_roots, system_bundle


def test_envoy_finds_the_hosts_roots_beside_its_certificate(tmp_path: Path) -> None:
    bundle = tmp_path / "bundle.pem"
    bundle.write_text("roots")
    for _ in range(2):
        link_system_roots(tmp_path / "agent", {"SSL_CERT_FILE": str(bundle)})
    assert (tmp_path / "agent/sds/system-roots.pem").read_text() == "roots"


def test_a_bundle_that_is_not_there_is_not_chosen(tmp_path: Path) -> None:
    missing = tmp_path / "nothing.pem"
    assert system_bundle({"SSL_CERT_FILE": str(missing)}) != missing
