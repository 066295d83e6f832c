"""Rules for MeshConfig's extension providers: services that proxies call or report to.

Source: istio ``validateExtensionProvider``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

import msgspec

from clew.config.finding import FieldPath, Finding
from clew.config.validate.hosts import check_port, host_problem, is_host_label
from clew.model.addresses import is_ip
from clew.model.extension_providers import (
    EnvoyExternalAuthorizationHttpProvider,
    ExtensionProvider,
    LightstepTracingProvider,
    OpenTelemetryTracingProvider,
)

# The status codes that Envoy has names for.
_STATUS_CODES = frozenset(
    (0, 100, *range(200, 209), 226, *range(300, 306), 307, 308, *range(400, 418), *range(421, 425))
) | frozenset((426, 428, 429, 431, *range(500, 509), 510, 511))


class _Remote(Protocol):
    @property
    def service(self) -> str: ...
    @property
    def port(self) -> int: ...


def check_providers(providers: Sequence[ExtensionProvider]) -> Iterator[Finding]:
    names = [provider.name for provider in providers]
    for index, provider in enumerate(providers):
        path: FieldPath = ("extensionProviders", index)
        if provider.name and provider.name in names[:index]:
            yield Finding((*path, "name"), f'the provider "{provider.name}" is there twice')
        yield from _check_provider(provider, path)


def _check_provider(provider: ExtensionProvider, path: FieldPath) -> Iterator[Finding]:
    kinds = {
        field.encode_name: value
        for field in msgspec.structs.fields(provider)
        if field.name != "name" and (value := getattr(provider, field.name)) is not None
    }
    if not provider.name:
        yield Finding((*path, "name"), "the name is missing")
    if len(kinds) != 1:
        yield Finding(path, "set exactly one kind of provider")
    for name, value in kinds.items():
        if hasattr(value, "service"):
            yield from _check_remote(value, (*path, name))
        yield from _check_settings(value, (*path, name))


def _check_settings(provider: object, path: FieldPath) -> Iterator[Finding]:
    match provider:
        case EnvoyExternalAuthorizationHttpProvider() if provider.path_prefix:
            if not provider.path_prefix.startswith("/"):
                problem = f'"{provider.path_prefix}" does not begin with /'
                yield Finding((*path, "pathPrefix"), problem)
        case LightstepTracingProvider() if not provider.access_token:
            yield Finding((*path, "accessToken"), "the access token is missing")
        case OpenTelemetryTracingProvider() if provider.http and provider.grpc:
            yield Finding(path, "http and grpc exclude each other")
    status = getattr(provider, "status_on_error", "")
    if status and not (status.isdecimal() and int(status) in _STATUS_CODES):
        yield Finding(
            (*path, "statusOnError"), f'"{status}" is not an HTTP status that Envoy knows'
        )


def _check_remote(remote: _Remote, path: FieldPath) -> Iterator[Finding]:
    """A service as ``host`` or ``namespace/host``, and a port beside it."""
    namespace, slash, host = remote.service.partition("/")
    if not slash:
        namespace, host = "", remote.service
    if slash and namespace not in ("*", ".", "~") and not is_host_label(namespace):
        yield Finding((*path, "service"), f'"{namespace}" is not a namespace')
    problem = host_problem(host, wildcard=False)
    if slash and not problem and "." not in host:
        problem = f'"{host}" is a short name, and a full host name is needed after a namespace'
    if problem and (slash or not is_ip(host)):
        yield Finding((*path, "service"), problem, "<host> or <namespace>/<host>, without a port")
    yield from check_port(remote.port, (*path, "port"))
