from __future__ import annotations

import json
from pathlib import Path

import httpx2
import pytest

from clew.api.traces import trace
from clew.cli.trace import waterfall
from tests.cli.mesh import Shell
from tests.spans import TRACE, bookinfo_trace, export

WEB = "0" * 31 + "1"


@pytest.fixture
def traced(mesh: Shell) -> Shell:
    """The mesh of a terminal, which knows one trace."""
    socket = Path(mesh.home, "default", "api.sock")
    kind = {"content-type": "application/x-protobuf"}
    with httpx2.Client(
        transport=httpx2.HTTPTransport(uds=str(socket)), base_url="http://clew"
    ) as http:
        body = export(1, 2, trace=WEB).SerializeToString()
        assert http.post("/v1/traces", content=body, headers=kind).is_success
        while http.get(f"/v1/traces/{WEB}").status_code == 404:
            pass
    return mesh


def test_traces_are_listed_and_chosen(traced: Shell) -> None:
    header, row = traced.good("trace", "list", "--service", "web", "--min-duration", "5ms").split(
        "\n"
    )[:2]
    assert header.split() == ["ID", "START", "TIME", "STATUS", "SPANS", "SERVICE", "OPERATION"]
    assert row.split() == [WEB, "2025-11-28T12:00:00Z", "5.00", "ms", "200", "2", "web", "GET", "/"]
    none = traced.clew("trace", "list", "--since", "1h")
    assert (none.exit_code, none.stdout) == (0, "")
    items = json.loads(traced.good("trace", "list", "-o", "json"))["items"]
    assert [each["id"] for each in items] == [WEB]


def test_a_trace_is_shown_as_a_waterfall(traced: Shell) -> None:
    lines = traced.good("trace", "show", WEB).split("\n")
    assert lines[:2] == [f"trace {WEB}", "  2025-11-28T12:00:00.000000Z, 5.00 ms, 2 spans"]
    assert lines[4].split() == ["web", "(server)", "GET", "/", "200", "5.00", "ms", "█" * 40]
    trace = json.loads(traced.good("trace", "show", WEB, "-o", "json"))
    assert [span["depth"] for span in trace["spans"]] == [0, 0]


def test_what_nobody_understands_or_knows_is_said(traced: Shell) -> None:
    for arguments, code, words in (
        (("list", "--since", "soon"), 2, "--since"),
        (("list", "--status", "bad"), 1, "status is a number"),
        (("show", TRACE), 1, "clew trace list"),
    ):
        result = traced.clew("trace", *arguments)
        assert result.exit_code == code
        assert words in result.output


def test_a_waterfall_is_indented_and_has_envoys_flags() -> None:
    lines = list(waterfall(trace(bookinfo_trace())))[3:]
    assert lines[0].split() == ["SPAN", "STATUS", "TIME"]
    assert [len(line) - len(line.lstrip()) for line in lines[1:]] == [0, 2, 4]
    assert "503 UH" in lines[2]
    assert "(client)" in lines[2]
    # The second begins a ninth after the first, and each ends with it.
    assert lines[2].index("█") - lines[1].index("█") == 4
