"""What texts of the Gateway API look like, and how long they and lists may be."""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sized
from dataclasses import dataclass

from clew.config.finding import FieldPath, Finding

_LABEL = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_DOMAIN = rf"{_LABEL}(\.{_LABEL})*"
_PATH = r"/[A-Za-z0-9/\-._~%!$&'()*+,;=:]+"
_QUALIFIED = rf"({_DOMAIN}/)?([A-Za-z0-9][-A-Za-z0-9_.]{{0,61}})?[A-Za-z0-9]"


@dataclass(frozen=True, slots=True)
class Format:
    """``meaning`` is for people: the value *is not* that."""

    meaning: str
    pattern: re.Pattern[str]
    longest: int = 253


def _format(meaning: str, pattern: str, longest: int = 253) -> Format:
    return Format(meaning, re.compile(pattern, re.ASCII), longest)


HOSTNAME = _format("a host name, or *. before one", rf"(\*\.)?{_DOMAIN}")
PRECISE_HOSTNAME = _format("a host name without wildcards", _DOMAIN)
GROUP = _format('an API group such as "apps", or ""', rf"({_DOMAIN})?")
KIND = _format("a kind such as Service", r"[a-zA-Z]([-a-zA-Z0-9]*[a-zA-Z0-9])?", 63)
OBJECT_NAME = _format("an object's name", r"(?s:.+)")
NAMESPACE = _format("a namespace", _LABEL, 63)
SECTION_NAME = _format("a name of a-z, 0-9, '-' and '.'", _DOMAIN)
CONTROLLER = _format("a controller such as example.com/gateways", _DOMAIN + _PATH)
HEADER_NAME = _format("a header's name", r"[A-Za-z0-9!#$%&'*+\-.^_`|~]+", 256)
HEADER_VALUE = _format("a header's value", r"[!-~]+([\t ][!-~]+)*", 4096)
LABEL_VALUE = _format("a label value", r"(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?", 63)
LABEL_KEY = _format("a label key", _QUALIFIED)
# The second part of the CRD's expression is not bound to the start.
PROTOCOL = _format(
    "a protocol such as HTTPS or example.com/mine",
    r"[a-zA-Z0-9]([-a-zA-Z0-9]*[a-zA-Z0-9])?|(?s:.*)[a-z0-9]/[A-Za-z0-9]+",
    255,
)
ABSOLUTE_URI = _format(
    "a URI such as spiffe://cluster.local/ns/a/sa/b", r"[^:/?#]+://[^/?#]*[^?#]*(\?[^#]*)?(#.*)?"
)
CORS_ORIGIN = _format(
    "an origin such as https://example.com or https://*.example.com:8443",
    r"\*|https?://((\*\.)?([a-zA-Z0-9\-]+\.)*[a-zA-Z0-9-]+|\*)(:[0-9]{1,5})?",
)
CA_CERTIFICATES = _format(
    "System, or a name with a domain before it",
    rf"System|{_DOMAIN}/([A-Za-z0-9][-A-Za-z0-9_.]{{0,61}})?[A-Za-z0-9]",
)
URL_PATH = _format(
    "a path of letters, digits, %-escapes and any of -/._~!$&'()*+,;=:@",
    r"(?:[-A-Za-z0-9/._~!$&'()*+,;=:@]|[%][0-9a-fA-F]{2})+",
    1024,
)
# The expression of the CRD is bound to neither end, so that hardly anything is refused.
ADDRESS_TYPE = _format(
    "IPAddress, Hostname, or a name with a domain before it",
    rf"Hostname.*|.*(IPAddress|NamedAddress).*|.*[a-z0-9]{_PATH}",
)


def check_text(value: str | None, wanted: Format, path: FieldPath) -> Iterator[Finding]:
    """Yield why ``value`` does not have the format; unset is fine."""
    if value is None:
        return
    if len(value) > wanted.longest:
        yield Finding(path, f"{len(value)} characters, and at most {wanted.longest} are allowed")
    elif not wanted.pattern.fullmatch(value):
        yield Finding(path, f'"{value}" is not {wanted.meaning}')


def check_texts(values: Iterable[str], wanted: Format, path: FieldPath) -> Iterator[Finding]:
    for index, value in enumerate(values):
        yield from check_text(value, wanted, (*path, index))


def check_length(
    value: str | None, longest: int, path: FieldPath, *, shortest: int = 0
) -> Iterator[Finding]:
    if value is not None and not shortest <= len(value) <= longest:
        problem = f"{len(value)} characters, and {shortest} to {longest} are allowed"
        yield Finding(path, problem)


def check_count(items: Sized, most: int, path: FieldPath, *, least: int = 0) -> Iterator[Finding]:
    if len(items) > most:
        yield Finding(path, f"{len(items)} entries, and at most {most} are allowed")
    elif len(items) < least:
        yield Finding(path, f"at least {least} {'entry is' if least == 1 else 'are'} needed")


def check_unique(
    keys: Iterable[Hashable], path: FieldPath, field: tuple[str, ...] = ()
) -> Iterator[Finding]:
    """Yield every entry whose key another had before; None is no key."""
    seen: set[Hashable] = set()
    for index, key in enumerate(keys):
        if key is not None and key in seen:
            shown = key if isinstance(key, str) else "this entry"
            yield Finding((*path, index, *field), f"{shown} is there twice")
        seen.add(key)


def check_number(value: int | None, low: int, high: int, path: FieldPath) -> Iterator[Finding]:
    if value is not None and not low <= value <= high:
        yield Finding(path, f"{value} is not between {low} and {high}")


def check_label_keys(labels: Mapping[str, str], path: FieldPath) -> Iterator[Finding]:
    """Names of labels and annotations: up to 63 characters, after a domain and a slash or not."""
    for key in labels:
        prefix = key.split("/")[0]
        if len(prefix) >= 253 or not LABEL_KEY.pattern.fullmatch(key):
            yield Finding(path, f'"{key}" is not {LABEL_KEY.meaning}')
