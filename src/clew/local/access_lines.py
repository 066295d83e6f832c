"""Lines of access logs among what an Envoy writes, and what they say of requests."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import msgspec

# Source: spdlog's pattern, as Envoy sets it: [2026-03-01 12:00:00.123][17][warning][config] …
_OWN = re.compile(rb"\[\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d+\]\[\d+\]\[")
# How a message of several lines goes on.
_GOES_ON = (b"'", b" ", b"\t")

# Source: Istio's default format (`clew.compile.access_log.TEXT_FORMAT`).
_TEXT = re.compile(
    r'\[[^\]]*\] "\S* .* \S*" (?P<response_code>\S+) (?P<response_flags>\S+) '
    r'(?P<response_code_details>\S+) \S+ ".*?" \S+ \S+ \S+ \S+ "[^"]*" ".*?" "[^"]*" '
    r'"(?P<authority>[^"]*)" "[^"]*" (?P<upstream_cluster>\S+) \S+ \S+ \S+ \S+ (?P<route_name>.*)'
)


class AccessLine(NamedTuple):
    """What tells why a request failed; the names are those of Istio's JSON format."""

    response_code: str
    response_flags: str
    response_code_details: str
    authority: str
    upstream_cluster: str
    route_name: str


def access_lines(lines: Iterable[bytes]) -> Iterator[bytes]:
    """Yield those that are not of Envoy's own log."""
    own = False
    for line in lines:
        own = bool(_OWN.match(line)) or (own and (not line or line.startswith(_GOES_ON)))
        if not own and line:
            yield line


def read_access_line(line: str) -> AccessLine | None:
    """Read a line in one of Istio's default formats; None if it is in another one."""
    if line.startswith("{"):
        try:
            fields = msgspec.json.decode(line, type=dict[str, str | int | None])
        except msgspec.MsgspecError:
            return None
        return AccessLine(*(str(fields.get(name) or "-") for name in AccessLine._fields))
    found = _TEXT.fullmatch(line)
    return AccessLine(**found.groupdict()) if found else None
