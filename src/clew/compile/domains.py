"""The names by which clients may call a host: in full, and short as DNS search allows."""

from __future__ import annotations

from collections.abc import Iterable

from clew.model.addresses import is_ip
from clew.model.service import Resolution, Service

_KUBERNETES = ".svc."


def service_domains(
    service: Service, dns_domain: str, aliases: Iterable[str] = ()
) -> tuple[list[str], frozenset[str]]:
    """All domains of a service as seen from ``dns_domain``, and which of them are short forms.

    A short form gives way to a host that is really called so. Any instance of a headless service
    may be called by a name of its own.
    Source: istio ``generateVirtualHostDomains``.
    """
    domains: list[str] = []
    short: list[str] = []
    for hostname in (service.hostname, *aliases):
        forms = short_forms(hostname, dns_domain)
        domains += [*_full_forms(hostname), *forms]
        short += forms
    if service.headless or (service.kubernetes and service.resolution is Resolution.PASSTHROUGH):
        domains += [f"*.{domain}" for domain in domains]
    domains += [bracketed(address) for address in service.addresses if "/" not in address]
    return list(dict.fromkeys(domains)), frozenset(short)


def short_forms(hostname: str, dns_domain: str) -> list[str]:
    """``reviews``, ``reviews.default`` and so on, as far as the DNS search path completes them.

    Source: istio ``GenerateAltVirtualHosts``.
    """
    if is_ip(hostname):
        return []
    if _KUBERNETES in dns_domain:
        return _kubernetes_forms(hostname, dns_domain)
    ours, theirs = dns_domain.split("."), hostname.split(".")
    shared = 0
    while shared < min(len(ours), len(theirs)) and ours[-1 - shared] == theirs[-1 - shared]:
        shared += 1
    own = theirs[: len(theirs) - shared]
    if not shared or not own:
        return []
    forms = [".".join(own)]
    if len(own) == 2:
        forms.append(".".join([*own, theirs[len(own)]]))
    return forms


def bracketed(host: str) -> str:
    """IPv6 addresses stand in brackets in a URL's host."""
    return f"[{host}]" if ":" in host else host


def _kubernetes_forms(hostname: str, dns_domain: str) -> list[str]:
    namespace, _, suffix = dns_domain.partition(_KUBERNETES)
    qualified, found, own_suffix = hostname.partition(_KUBERNETES)
    name, dot, own_namespace = qualified.partition(".")
    if not found or not dot or own_suffix != suffix:
        return []
    forms = [f"{qualified}.svc", qualified]
    return [name, *forms] if own_namespace == namespace else forms


def _full_forms(hostname: str) -> list[str]:
    """With a final dot a name is absolute: resolvers do not try their search path on it."""
    if is_ip(hostname):
        return [bracketed(hostname)]
    return [hostname] if hostname == "*" else [hostname, f"{hostname}."]
