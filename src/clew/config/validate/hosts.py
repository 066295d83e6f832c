"""Rules for host names, ports and visibility that several kinds share."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from clew.config.finding import FieldPath, Finding

_LABEL = re.compile(r"[a-zA-Z0-9]([-a-zA-Z0-9]*[a-zA-Z0-9])?")
_FIRST_WILDCARD = re.compile(r"\*|(\*|\*-)?[a-zA-Z0-9]([-a-zA-Z0-9]*[a-zA-Z0-9])?")
_DNS_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")


def is_host_label(text: str) -> bool:
    """One part of a host name, in either case; what Istio asks of names, too.

    Source: istio ``labels.IsDNS1123Label``.
    """
    return len(text) <= 63 and _LABEL.fullmatch(text) is not None


def is_dns_label(text: str) -> bool:
    """A name of Kubernetes, of a namespace for example, which has small letters only."""
    return len(text) <= 63 and _DNS_LABEL.fullmatch(text) is not None


def is_object_name(text: str) -> bool:
    """Tell whether an object may have this name. Source: Kubernetes' DNS-1123 subdomain."""
    labels = text.split(".")
    return len(text) <= 253 and all(_DNS_LABEL.fullmatch(label) for label in labels)


def host_problem(host: str, *, wildcard: bool = True) -> str:
    """Return why ``host`` is not a DNS name (``*`` as its first label allowed), or "".

    Source: istio ``ValidateWildcardDomain`` and ``ValidateFQDN``.
    """
    if not host:
        return "the host is empty"
    if len(host) > 255:
        return f"the host has {len(host)} characters, and at most 255 are allowed"
    if host == "*" and wildcard:
        return ""
    absolute = host.endswith(".")
    labels = host.removesuffix(".").split(".")
    for index, label in enumerate(labels):
        pattern = _FIRST_WILDCARD if wildcard and index == 0 else _LABEL
        if len(label) > 63 or not pattern.fullmatch(label):
            return f'"{label}" is not a DNS label' + (
                "" if "*" not in label else "; * may only stand as the first label"
            )
    if labels[-1].isdigit() and not absolute and (len(labels) > 1 or not wildcard):
        return f'the top-level domain "{labels[-1]}" is a number'
    return ""


def check_port(number: int | None, path: FieldPath) -> Iterator[Finding]:
    if number is not None and not 1 <= number <= 65535:
        yield Finding(path, f"port {number} is not between 1 and 65535")


def check_export_to(
    values: Sequence[str], namespace: str, path: FieldPath, *, nowhere: bool = False
) -> Iterator[Finding]:
    """``.``, ``*``, (``~`` where ``nowhere``) or namespaces, each once; ``*`` stands alone.

    Source: istio ``validateExportTo``.
    """
    seen: set[str] = set()
    for index, value in enumerate(values):
        resolved = namespace if value == "." and namespace else value
        if value == "~" and not nowhere:
            yield Finding((*path, index), '"~" is only for Services and ServiceEntries')
        elif value not in (".", "*", "~") and not is_host_label(value):
            yield Finding((*path, index), f'"{value}" is not ".", "*" or a namespace')
        if resolved in seen:
            yield Finding((*path, index), f'"{value}" is there twice')
        seen.add(resolved)
    if len(values) > 1 and seen & {"*", "~"}:
        yield Finding(path, '"*" or "~" must stand alone')
