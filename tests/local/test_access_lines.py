from __future__ import annotations

import json
import re

from clew.compile.access_log import JSON_FORMAT, TEXT_FORMAT
from clew.local.access_lines import AccessLine, access_lines, read_access_line

FAILED = AccessLine(
    response_code="503",
    response_flags="UF,URX",
    response_code_details="upstream_reset_before_response_started{connection_failure}",
    authority="reviews:9080",
    upstream_cluster="outbound|9080||reviews.default.svc.cluster.local",
    route_name="all the rest",
)
VALUES = {
    "%START_TIME%": "2026-11-28T14:35:12.772Z",
    "%REQ(:METHOD)%": "GET",
    "%REQ(X-ENVOY-ORIGINAL-PATH?:PATH)%": '/reviews/0?q="a b"',
    "%RESPONSE_CODE%": FAILED.response_code,
    "%RESPONSE_FLAGS%": FAILED.response_flags,
    "%RESPONSE_CODE_DETAILS%": FAILED.response_code_details,
    "%UPSTREAM_TRANSPORT_FAILURE_REASON%": "TLS_error: certificate verify failed",
    "%REQ(USER-AGENT)%": 'curl "7"',
    "%REQ(:AUTHORITY)%": FAILED.authority,
    "%UPSTREAM_CLUSTER_RAW%": FAILED.upstream_cluster,
    "%ROUTE_NAME%": FAILED.route_name,
}


def written(format_: str) -> str:
    return re.sub(r"%.*?%", lambda field: VALUES.get(field[0], "-"), format_)


def test_both_of_istios_formats_are_read() -> None:
    assert read_access_line(written(TEXT_FORMAT).rstrip("\n")) == FAILED
    fields = {name: written(field) for name, field in JSON_FORMAT.items()}
    assert read_access_line(json.dumps({**fields, "response_code": 503})) == FAILED
    quiet = read_access_line('{"response_code": 0, "route_name": null}')
    assert quiet == AccessLine("-", "-", "-", "-", "-", "-")


def test_other_lines_are_not() -> None:
    assert read_access_line("GET / 200") is None
    assert read_access_line('{"a": [}') is None


def test_what_envoy_says_of_itself_is_left_out() -> None:
    own = b"[2026-11-28 14:33:37.123][17][debug][http] [source/x.cc:1] request headers:"
    access = written(TEXT_FORMAT).rstrip("\n").encode()
    lines = [own, b"':path', '/'", b"", access, b"", own, b"  more", b'{"a": 1}', b"mine"]
    assert list(access_lines(lines)) == [access, b'{"a": 1}', b"mine"]
