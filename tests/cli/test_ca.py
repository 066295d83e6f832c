"""``clew ca`` against a real control plane's API, without proxies."""

from __future__ import annotations

import json
from pathlib import Path

from tests.cli.mesh import shell
from tests.server.api_server import server_thread


def test_the_status_shows_what_signs_and_until_when(home: Path) -> None:
    with server_thread(home):
        shown = shell(home).good("ca", "status")
        assert "Trust domain:  cluster.local" in shown
        assert "EC secp256r1  expires" in shown
        assert "(in 3649 days)" in shown
        printed = json.loads(shell(home).good("ca", "status", "-o", "json"))
        assert [each["subject"] for each in printed["trusted"]] == [printed["root"]["subject"]]
        summary = shell(home).clew("status").stdout.splitlines()[-1]
        assert summary.startswith("Certificate authority: root expires 20")
        described = json.loads(shell(home).clew("status", "-o", "json").stdout)
        root = described["authority"]["root"]
        assert root["fingerprint"] == printed["root"]["fingerprint"]


def test_a_dry_run_says_what_would_happen_and_changes_nothing(home: Path) -> None:
    with server_thread(home):
        before = shell(home).good("ca", "status")
        plan = shell(home).good("ca", "rotate", "--dry-run", "--key", "rsa-2048")
        for step in ("trust:", "sign:", "drop:", "key: rsa-2048", "Nothing was changed."):
            assert step in plan
        assert shell(home).good("ca", "status") == before


def test_a_rotation_is_followed_to_its_end(home: Path) -> None:
    with server_thread(home):
        before = json.loads(shell(home).good("ca", "status", "-o", "json"))
        said = shell(home).good("ca", "rotate", "--key", "rsa-2048").splitlines()
        after = json.loads(shell(home).good("ca", "status", "-o", "json"))
        assert [line.partition(":")[0] for line in said] == ["trust", "sign", "In force"]
        assert after["root"]["key"] == "RSA 2048"
        assert after["root"]["fingerprint"] != before["root"]["fingerprint"]
        assert [each["key"] for each in after["trusted"]] == ["RSA 2048"]


def test_a_rotation_goes_on_when_nobody_waits_and_there_is_one_at_a_time(home: Path) -> None:
    with server_thread(home):
        assert "has begun" in shell(home).good("ca", "rotate", "--no-wait")
        again = shell(home).clew("ca", "rotate")
        assert again.exit_code == 1
        assert "being changed already" in again.stderr
        assert "Rotation:      trust" in shell(home).good("ca", "status")
        assert "changing roots" in shell(home).clew("status").stdout


def test_tokens_are_made_listed_and_revoked(home: Path) -> None:
    with server_thread(home):
        made = shell(home).clew(
            *("ca", "token", "create", "-n", "prod", "--service-account", "billing"),
            *("--host", "vm-1", "--address", "10.0.0.7", "--ttl", "10m"),
        )
        token = made.stdout.strip()
        assert "good once, for vm-1 as prod/billing from 10.0.0.7" in made.stderr
        header, row = shell(home).good("ca", "token", "list").splitlines()
        assert header.split()[0] == "ID"
        assert row.split()[1:5] == ["prod", "billing", "vm-1", "10.0.0.7"]
        assert token.partition(".")[0] not in row
        token_id = row.split()[0]
        assert shell(home).good("ca", "token", "revoke", token_id) == f"{token_id} revoked\n"
        assert len(shell(home).good("ca", "token", "list").splitlines()) == 1
        assert shell(home).clew("ca", "token", "revoke", token_id).exit_code == 1


def test_what_makes_no_sense_is_refused(home: Path) -> None:
    with server_thread(home):
        for arguments in (
            ("ca", "rotate", "--timeout", "soon"),
            ("ca", "token", "create", "--host", "a", "--ttl", "forever"),
            ("ca", "token", "create", "--host", "Not A Name"),
            ("ca", "token", "create", "--host", "a", "--address", "localhost"),
        ):
            assert shell(home).clew(*arguments).exit_code != 0, arguments
