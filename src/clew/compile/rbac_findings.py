"""What there is to say of AuthorizationPolicies that do something else than they seem to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from clew.compile.ext_authz import compile_authorizer
from clew.compile.gateway_servers import ServerKind, server_kind
from clew.compile.rbac_tcp import has_http
from clew.model.authorization_policy import AuthorizationAction, Rule
from clew.model.diagnostic import Diagnostic
from clew.model.service import Protocol
from clew.model.status import object_error, object_warning
from clew.snapshot.authorization_policies import UNRESTRICTED, Authorization, action_of
from clew.snapshot.scope import ProxyScope

_ON_TCP: Mapping[AuthorizationAction, str] = {
    AuthorizationAction.ALLOW: "there this rule matches nothing, and allows nothing",
    AuthorizationAction.DENY: "there this rule leaves it out, and denies whatever else it matches",
    AuthorizationAction.CUSTOM: "there this rule leaves it out, and asks about more",
    AuthorizationAction.AUDIT: "there this rule leaves it out, and logs whatever else it matches",
}


def policies_without_authorizer(scope: ProxyScope) -> Iterator[Diagnostic]:
    """Yield the CUSTOM policies that nobody answers for.

    Source: Istio: what they match is denied.
    """
    authorization = _authorization(scope)
    if not authorization.custom:
        return
    found = compile_authorizer(authorization, scope.outbound.mesh.extension_providers)
    if isinstance(found, str):
        for policy in authorization.custom:
            problem = f"{found}: whatever the rules match is denied"
            hint = (
                "name a provider of extensionProviders with envoyExtAuthzHttp or envoyExtAuthzGrpc"
            )
            yield object_error(policy.key, problem, field="spec.provider.name", hint=hint)


def rules_on_tcp(scope: ProxyScope) -> Iterator[Diagnostic]:
    """Yield the rules that ask for what only HTTP has, at proxies that serve TCP on their ports."""
    served = _tcp_ports(scope)
    if not served:
        return
    for policy in _authorization(scope).policies:
        for number, rule in enumerate(policy.spec.rules):
            ports = sorted(port for port in served if _is_about(rule, port))
            if ports and has_http(rule):
                where = ("port " if len(ports) == 1 else "ports ") + ", ".join(map(str, ports))
                consequence = _ON_TCP[action_of(policy)]
                yield object_warning(
                    policy.key,
                    f"{where} of {scope.proxy.name} is TCP, which has no HTTP: {consequence}",
                    field=f"spec.rules[{number}]",
                    hint="say which ports the rule is for: to: [{operation: {ports: [...]}}]",
                )


def _authorization(scope: ProxyScope) -> Authorization:
    serving = scope.inbound or scope.gateway
    return serving.authorization if serving is not None else UNRESTRICTED


def _tcp_ports(scope: ProxyScope) -> set[int]:
    """The ports that are served as TCP; those where Envoy looks for itself are none of them."""
    if scope.gateway is not None:
        servers = scope.gateway.servers
        https = (ServerKind.HTTP, ServerKind.HTTPS)
        return {each.listen_port for each in servers if server_kind(each) not in https}
    ports = scope.inbound.ports if scope.inbound is not None else ()
    return {
        each.target_port
        for each in ports
        if not each.port.protocol.is_http and each.port.protocol is not Protocol.AUTO
    }


def _is_about(rule: Rule, port: int) -> bool:
    """Whether a rule may match at this port."""
    named = [to.operation.ports for to in rule.to if to.operation is not None]
    excluded = [to.operation.not_ports for to in rule.to if to.operation is not None]
    wanted = not named or any(not ports or str(port) in ports for ports in named)
    return wanted and not (excluded and all(str(port) in ports for ports in excluded))
