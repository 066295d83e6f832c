from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from clew.api.answers import Unreachable
from clew.api.client import Client
from clew.api.explanations import Explanation
from clew.api.tap import TapEvent
from clew.cli.tap import lines_of
from clew.local.state import lock
from tests.cli.mesh import Shell

EVENT = TapEvent(
    at="2026-03-01T12:00:00.123Z",
    reporter="source",
    source="default/productpage-v1",
    destination="default/reviews-v1",
    method="GET",
    authority="reviews:9080",
    path="/reviews/0",
    protocol="HTTP/1.1",
    status=200,
    duration=12.34,
)


@pytest.mark.parametrize(
    ("changes", "lines"),
    [
        (
            {},
            [
                "12:00:00.123  default/productpage-v1 → default/reviews-v1  "
                "GET reviews:9080/reviews/0  200  12.3 ms"
            ],
        ),
        (
            {
                "source": "",
                "destination": "",
                "status": 0,
                "flags": ("UH",),
                "missed": 3,
                "explanations": (
                    Explanation(
                        flag="UH",
                        says="found no healthy endpoint",
                        hint="see: clew ps",
                        objects=("DestinationRule default/reviews",),
                    ),
                ),
            },
            [
                "… 3 requests are not shown: there are too many",
                "12:00:00.123  (outside) → reviews:9080  GET /reviews/0  - UH  12.3 ms",
                "    UH: it found no healthy endpoint ← DestinationRule default/reviews "
                "(see: clew ps)",
            ],
        ),
    ],
)
def test_a_request_is_a_line_and_what_there_is_to_say_of_it(
    changes: dict[str, Any], lines: list[str]
) -> None:
    assert list(lines_of(msgspec.structs.replace(EVENT, **changes))) == lines


def test_a_tap_ends_by_itself(mesh: Shell) -> None:
    assert mesh.good("tap", "--for", "1s", "--to", "api.example.com", "-o", "json") == ""


def test_a_tap_goes_on_when_the_control_plane_is_started_again(
    mesh: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries = 0

    def tap(client: Client, **wanted: str) -> Iterator[TapEvent]:
        nonlocal tries
        tries += 1
        if tries == 1:
            raise Unreachable("killed")
        yield EVENT
        raise KeyboardInterrupt

    monkeypatch.setattr(Client, "tap", tap)
    with lock(mesh.home / "default"):
        found = mesh.clew("tap")
    assert found.exit_code == 0
    assert "is started again" in found.stderr
    assert "reviews:9080/reviews/0" in found.stdout
    tries = 0
    assert "no mesh" in mesh.clew("tap").stderr


def test_known_workloads_only_are_watched_and_have_levels(mesh: Shell) -> None:
    for arguments, code, words in (
        (("tap", "--for", "2h"), 2, "between 1s and 1h"),
        (("tap", "--for", "soon"), 2, "--for"),
        (("tap", "--status", "bad"), 1, "503, 5xx or error"),
        (("tap", "--from", "reviews"), 1, 'no workload "reviews"'),
        (("tap", "--to", "reviews"), 1, 'no workload "reviews"'),
        (("proxy-log", "reviews"), 2, "--level http:debug"),
        (("proxy-log", "reviews", "--level", "http:loud"), 2, "there are trace, debug"),
        (("proxy-log", "reviews", "--level", "HTTP:debug"), 1, "no name of a logger"),
        (("proxy-log", "reviews", "--level", "http:debug"), 1, 'workload "reviews"'),
    ):
        result = mesh.clew(*arguments)
        assert result.exit_code == code, arguments
        assert words in result.output, arguments
