"""Secrets that a router's servers and its DestinationRules name, and that are not there."""

from __future__ import annotations

from collections.abc import Iterator

from clew.compile.secrets import certificate_names, compile_secrets, roots_name
from clew.model.destination_rule import DestinationRule
from clew.model.diagnostic import Diagnostic
from clew.model.gateway import ServerTLSMode
from clew.model.status import REFERENCE_NOT_FOUND, object_warning
from clew.snapshot.credentials import ROOTS, tls_settings
from clew.snapshot.scope import GatewayScope, GatewayServer, ProxyScope

# Of a Secret that a user names; the Gateway API's objects say in a status of their own what is
# missing.
_NAMED = "kubernetes://"
_VERIFYING = (ServerTLSMode.MUTUAL, ServerTLSMode.OPTIONAL_MUTUAL)
_ENDING = (ServerTLSMode.SIMPLE, *_VERIFYING)


def servers_without_secrets(scope: GatewayScope) -> Iterator[Diagnostic]:
    """Yield the servers that cannot end TLS before a Secret comes."""
    secrets = {secret.metadata.name: secret for secret in scope.credentials}
    for server in scope.servers:
        settings = server.server.tls
        if settings is None or settings.mode not in _ENDING:
            continue
        there = {secret.name for secret in compile_secrets([settings], secrets)}
        for name in certificate_names(settings):
            if name.startswith(_NAMED) and name not in there:
                yield _of_server(server, scope, name, "tls.crt and tls.key")
        roots = roots_name(settings) if settings.mode in _VERIFYING else ""
        if roots.startswith(_NAMED) and roots not in there:
            yield _of_server(server, scope, roots.removesuffix(ROOTS), "ca.crt")


def _of_server(server: GatewayServer, scope: GatewayScope, name: str, keys: str) -> Diagnostic:
    secret = f"{scope.namespace}/{name.removeprefix(_NAMED)}"
    port, gateway = server.server.port, server.gateway
    return object_warning(
        gateway.key,
        f"there is no Secret {secret} with {keys}: until it comes, port {port.number} "
        "closes every connection to these hosts",
        field=f"spec.servers[{gateway.spec.servers.index(server.server)}].tls",
        code=REFERENCE_NOT_FOUND,
        hint=f"it has to be in {scope.namespace}, the namespace of the gateway's proxy",
    )


def rules_without_secrets(scope: ProxyScope) -> Iterator[Diagnostic]:
    """Yield the DestinationRules whose clients cannot do TLS before a Secret or ConfigMap comes."""
    known = scope.outbound.credentials
    for rule in scope.outbound.destination_rules.values():
        for name in dict.fromkeys(tls.credential_name for tls in tls_settings(rule)):
            if name in known and known[name] is None and known.get(name + ROOTS) is None:
                yield _of_rule(rule, name, scope.proxy.namespace)


def _of_rule(rule: DestinationRule, name: str, namespace: str) -> Diagnostic:
    secret = f"Secret {namespace}/{name.removeprefix(_NAMED)}"
    return object_warning(
        rule.key,
        f"there is no {name if '://' in name and not name.startswith(_NAMED) else secret}: "
        "until it comes, connections by this rule fail",
        field="spec.trafficPolicy.tls.credentialName",
        code=REFERENCE_NOT_FOUND,
    )
