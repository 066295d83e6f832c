"""What a request asks of the echo application: to wait, another status, more headers.

Source: the Gateway API's echo server, ``echo-basic``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from urllib.parse import parse_qs, urlsplit

_SET_HEADERS = "x-echo-set-header"


def seconds_asked(target: str) -> float:
    """Return for how long to wait before the answer: ``?delay=1s``."""
    given = parse_qs(urlsplit(target).query).get("delay", [""])[0]
    match = re.fullmatch(r"([\d.]+)(ms|s)", given)
    return float(match[1]) / (1000 if match[2] == "ms" else 1) if match else 0.0


def status_asked(target: str) -> int:
    """Return the status to answer with: that of ``/status/503``, else 200."""
    match = re.fullmatch(r"/status/(\d{3})", urlsplit(target).path)
    return int(match[1]) if match else 200


def headers_asked(headers: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """Return the headers to answer with: ``X-Echo-Set-Header: name:value,name:value``."""
    listed = [each for name, value in headers if name == _SET_HEADERS for each in value.split(",")]
    pairs = [each.partition(":") for each in listed]
    return [(name.strip(), value) for name, _, value in pairs]
