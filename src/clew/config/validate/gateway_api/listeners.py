"""Rules for the listeners of Gateways and ListenerSets."""

from __future__ import annotations

from collections.abc import Iterator

from clew.config.finding import FieldPath, Finding
from clew.config.validate.gateway_api.formats import (
    GROUP,
    HOSTNAME,
    KIND,
    PROTOCOL,
    SECTION_NAME,
    check_count,
    check_length,
    check_text,
    check_unique,
)
from clew.config.validate.gateway_api.references import check_placed
from clew.config.validate.hosts import check_port
from clew.model.gateway_api.listener import (
    AllowedRoutes,
    FromNamespaces,
    Listener,
    ListenerTLSConfig,
    TLSModeType,
)

_WITHOUT_TLS = frozenset({"HTTP", "TCP", "UDP"})
_WITHOUT_HOSTNAME = frozenset({"TCP", "UDP"})


def check_listeners(
    listeners: tuple[Listener, ...], *, least: int = 1, fold_case: bool = False
) -> Iterator[Finding]:
    """``fold_case``: whether HTTP and http count as the same protocol, as in ListenerSets."""
    path: FieldPath = ("spec", "listeners")
    yield from check_count(listeners, 64, path, least=least)
    for index, listener in enumerate(listeners):
        yield from _check_listener(listener, (*path, index))
        yield from _check_protocol(listener, (*path, index))
    yield from check_unique((each.name for each in listeners), path, ("name",))
    for_protocol = str.lower if fold_case else str
    keys = ((each.port, for_protocol(each.protocol), each.hostname) for each in listeners)
    yield from check_unique(keys, path)


def _check_listener(listener: Listener, path: FieldPath) -> Iterator[Finding]:
    yield from check_text(listener.name, SECTION_NAME, (*path, "name"))
    yield from check_text(listener.hostname, HOSTNAME, (*path, "hostname"))
    yield from check_port(listener.port, (*path, "port"))
    yield from check_text(listener.protocol, PROTOCOL, (*path, "protocol"))
    yield from _check_allowed_routes(listener.allowed_routes, (*path, "allowedRoutes"))
    if listener.tls is not None:
        yield from _check_tls(listener.tls, (*path, "tls"))


def _check_protocol(listener: Listener, path: FieldPath) -> Iterator[Finding]:
    protocol = listener.protocol.upper()
    if protocol in _WITHOUT_TLS and listener.tls is not None:
        yield Finding((*path, "tls"), f"a listener of protocol {protocol} has no tls")
    if protocol in _WITHOUT_HOSTNAME and listener.hostname:
        yield Finding((*path, "hostname"), f"a listener of protocol {protocol} has no hostname")
    if protocol == "TLS" and listener.tls is None:
        yield Finding((*path, "tls"), "a listener of protocol TLS needs tls")
    if protocol == "HTTPS" and listener.tls and listener.tls.mode is TLSModeType.PASSTHROUGH:
        problem = "a listener of protocol HTTPS terminates TLS"
        yield Finding((*path, "tls", "mode"), problem, "use protocol TLS to pass it through")


def _check_tls(tls: ListenerTLSConfig, path: FieldPath) -> Iterator[Finding]:
    yield from check_count(tls.certificate_refs, 64, (*path, "certificateRefs"))
    for index, reference in enumerate(tls.certificate_refs):
        yield from check_placed(reference, (*path, "certificateRefs", index))
    yield from check_count(tls.options, 16, (*path, "options"))
    for key, value in tls.options.items():
        yield from check_length(value, 4096, (*path, "options", key))
    if tls.mode is TLSModeType.TERMINATE and not (tls.certificate_refs or tls.options):
        yield Finding(path, "to terminate TLS, certificateRefs or options are needed")


def _check_allowed_routes(allowed: AllowedRoutes, path: FieldPath) -> Iterator[Finding]:
    if allowed.namespaces.from_ is FromNamespaces.NONE:
        at = (*path, "namespaces", "from")
        yield Finding(at, "None is not a value of this field", "one of All, Selector, Same")
    yield from check_count(allowed.kinds, 8, (*path, "kinds"))
    for index, kind in enumerate(allowed.kinds):
        yield from check_text(kind.group, GROUP, (*path, "kinds", index, "group"))
        yield from check_text(kind.kind, KIND, (*path, "kinds", index, "kind"))
