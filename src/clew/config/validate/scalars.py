"""Rules for durations, expressions, percentages and URLs that several kinds share."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator
from urllib.parse import urlsplit

import re2

from clew.config.finding import FieldPath, Finding
from clew.model.duration import Duration

_PREFIX_LENGTH = re.compile(r"0|[1-9][0-9]{0,2}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_AUTHORITY = re.compile(r"(?:[^@]*@)?(?:\[[^]]*\]|[^ \\^`{|}:@\[\]]*)(?::[0-9]*)?")
_WRONG_ESCAPE = re.compile(r"%(?![0-9a-fA-F]{2})")
_LOOK_OR_REFERENCE = re.compile(r"\(\?<?[=!]|\\[1-9]")
_QUIET = re2.Options()
_QUIET.log_errors = False


def check_duration(value: Duration | None, path: FieldPath) -> Iterator[Finding]:
    """At least a millisecond, in whole milliseconds; unset is fine.

    Source: istio ``ValidateDuration``.
    """
    if value is None:
        return
    if value.nanoseconds < 1_000_000:
        yield Finding(path, f"{value} is shorter than 1ms")
    elif value.nanoseconds % 1_000_000:
        yield Finding(path, f"{value} is not a whole number of milliseconds")


def check_regex(pattern: str, path: FieldPath) -> Iterator[Finding]:
    """The expressions that Envoy and Istio take: RE2's."""
    if not pattern:
        yield Finding(path, "the expression is empty")
    elif len(pattern) > 1024:
        yield Finding(path, f"the expression has {len(pattern)} characters; 1024 are allowed")
    else:
        try:
            re2.compile(pattern, _QUIET)
        except re2.error as error:
            beyond = _LOOK_OR_REFERENCE.search(pattern)
            hint = "RE2 has no look-around and no back-references" if beyond else ""
            problem = error.args[0].decode(errors="replace")
            yield Finding(path, f"not a regular expression of RE2: {problem}", hint)


def check_range(value: float | None, low: float, high: float, path: FieldPath) -> Iterator[Finding]:
    if value is not None and not low <= value <= high:
        yield Finding(path, f"{value:g} is not between {low:g} and {high:g}")


def check_not_negative(value: float | None, path: FieldPath) -> Iterator[Finding]:
    if value is not None and value < 0:
        yield Finding(path, "cannot be negative")


def is_address_or_range(text: str) -> bool:
    """An IP address, or a range of them such as ``10.0.0.0/8``: its length is no netmask.

    Source: istio ``ValidateIPSubnet``, with Go's ``netip.ParsePrefix``.
    """
    _, slash, length = text.partition("/")
    if slash and not _PREFIX_LENGTH.fullmatch(length):
        return False
    try:
        ipaddress.ip_network(text, strict=False)
    except ValueError:
        return False
    return True


def is_url(text: str, schemes: tuple[str, ...]) -> bool:
    """Tell whether ``text`` is a URL with one of ``schemes``, in either case.

    Source: Go's ``net/url``, which Istio and the CRDs ask.
    """
    try:
        parts = urlsplit(text)
    except ValueError:
        return False
    wrong = _CONTROL.search(text) or _WRONG_ESCAPE.search(parts.path)
    return parts.scheme in schemes and not wrong and bool(_AUTHORITY.fullmatch(parts.netloc))
