"""The filters in front of everything that a proxy serves, as its security policies ask for.

Their order is Istio's: CUSTOM, tokens, AUDIT, DENY, ALLOW. Each has a name of its own here, under
which its configuration may be fetched (see ``extension_configs.py``).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from google.protobuf.any_pb2 import Any as PackedMessage

from clew._pb.envoy.config.listener.v3.listener_components_pb2 import Filter
from clew._pb.envoy.config.rbac.v3.rbac_pb2 import RBAC
from clew._pb.envoy.extensions.filters.http.rbac.v3.rbac_pb2 import RBAC as HttpRBAC
from clew._pb.envoy.extensions.filters.network.http_connection_manager.v3 import (
    http_connection_manager_pb2 as hcm_pb2,
)
from clew._pb.envoy.extensions.filters.network.rbac.v3.rbac_pb2 import RBAC as NetworkRBAC
from clew.compile.ext_authz import SHADOW, compile_authorizer, rules_prefix
from clew.compile.rbac import (
    NETWORK_STATS,
    Dialect,
    compile_http_rbac,
    compile_network_rbac,
    compile_rules,
)
from clew.compile.token_filter import compile_token_filter
from clew.compile.typed_config import typed_config
from clew.model.authorization_policy import AuthorizationAction, AuthorizationPolicy
from clew.model.mesh_config import MeshConfig
from clew.snapshot.authorization_policies import Authorization
from clew.snapshot.request_authentication import TokenRule

# What is fetched under which name, in order.
CUSTOM, EXTERNAL, TOKENS, AUDIT, DENY, ALLOW = (
    "custom",
    "external",
    "tokens",
    "audit",
    "deny",
    "allow",
)
_RBAC, _NETWORK_RBAC = "envoy.filters.http.rbac", "envoy.filters.network.rbac"
HTTP_FILTERS = {
    CUSTOM: _RBAC,
    EXTERNAL: "envoy.filters.http.ext_authz",
    TOKENS: "envoy.filters.http.jwt_authn",
    AUDIT: _RBAC,
    DENY: _RBAC,
    ALLOW: _RBAC,
}
NETWORK_FILTERS = {
    CUSTOM: _NETWORK_RBAC,
    EXTERNAL: "envoy.filters.network.ext_authz",
    AUDIT: _NETWORK_RBAC,
    DENY: _NETWORK_RBAC,
    ALLOW: _NETWORK_RBAC,
}
# Source: Istio: the end of the names of CUSTOM rules that deny because nobody can be asked.
_NOBODY = "-deny-due-to-bad-CUSTOM-action"

Named = tuple[str, PackedMessage]


def compile_http_policies(
    authorization: Authorization,
    token_rules: Sequence[TokenRule],
    mesh: MeshConfig,
    *,
    router: bool,
) -> tuple[hcm_pb2.HttpFilter, ...]:
    """The filters of an HTTP connection manager; ``router``: claims decide on routes."""
    return tuple(
        hcm_pb2.HttpFilter(name=HTTP_FILTERS[name], typed_config=config)
        for name, config in http_configs(authorization, token_rules, mesh, router=router)
    )


def compile_network_policies(authorization: Authorization, mesh: MeshConfig) -> tuple[Filter, ...]:
    """The filters of a chain that forwards connections."""
    return tuple(
        Filter(name=NETWORK_FILTERS[name], typed_config=config)
        for name, config in network_configs(authorization, mesh)
    )


def http_configs(
    authorization: Authorization,
    token_rules: Sequence[TokenRule],
    mesh: MeshConfig,
    *,
    router: bool,
) -> Iterator[Named]:
    dialect = _dialect(mesh, tcp=False)
    yield from _http_custom(authorization, mesh, dialect)
    for each in compile_token_filter(token_rules, router=router):
        yield TOKENS, each.typed_config
    for name, action, policies in _listed(authorization):
        yield name, typed_config(compile_http_rbac(policies, action, dialect))


def network_configs(authorization: Authorization, mesh: MeshConfig) -> Iterator[Named]:
    dialect = _dialect(mesh, tcp=True)
    yield from _network_custom(authorization, mesh, dialect)
    for name, action, policies in _listed(authorization):
        yield name, typed_config(compile_network_rbac(policies, action, dialect))


def _dialect(mesh: MeshConfig, *, tcp: bool) -> Dialect:
    return Dialect(tcp=tcp, trust_domains=(mesh.trust_domain, *mesh.trust_domain_aliases))


def _listed(
    authorization: Authorization,
) -> Iterable[tuple[str, AuthorizationAction, Sequence[AuthorizationPolicy]]]:
    found = (
        (AUDIT, AuthorizationAction.AUDIT, authorization.audit),
        (DENY, AuthorizationAction.DENY, authorization.deny),
        (ALLOW, AuthorizationAction.ALLOW, authorization.allow),
    )
    return (each for each in found if each[2])


def _http_custom(
    authorization: Authorization, mesh: MeshConfig, dialect: Dialect
) -> Iterator[Named]:
    if not authorization.custom:
        return
    authorizer = compile_authorizer(authorization, mesh.extension_providers)
    if isinstance(authorizer, str):
        yield CUSTOM, typed_config(HttpRBAC(rules=_denied(authorization, dialect)))
        return
    rules = HttpRBAC(shadow_rules=_asked(authorization, dialect), shadow_rules_stat_prefix=SHADOW)
    yield CUSTOM, typed_config(rules)
    yield EXTERNAL, typed_config(authorizer.requests)


def _network_custom(
    authorization: Authorization, mesh: MeshConfig, dialect: Dialect
) -> Iterator[Named]:
    if not authorization.custom:
        return
    authorizer = compile_authorizer(authorization, mesh.extension_providers)
    rules = NetworkRBAC(stat_prefix=NETWORK_STATS)
    if isinstance(authorizer, str):
        rules.rules.CopyFrom(_denied(authorization, dialect))
        yield CUSTOM, typed_config(rules)
    elif authorizer.connections is not None:
        rules.shadow_rules.CopyFrom(_asked(authorization, dialect))
        rules.shadow_rules_stat_prefix = SHADOW
        yield CUSTOM, typed_config(rules)
        yield EXTERNAL, typed_config(authorizer.connections)


def _asked(authorization: Authorization, dialect: Dialect) -> RBAC:
    """The rules whose requests are put to the authorizer."""
    return _custom_rules(authorization, dialect, suffix="")


def _denied(authorization: Authorization, dialect: Dialect) -> RBAC:
    """The same, where there is no authorizer: what it may not be asked is denied."""
    return _custom_rules(authorization, dialect, suffix=_NOBODY)


def _custom_rules(authorization: Authorization, dialect: Dialect, *, suffix: str) -> RBAC:
    action, prefix = AuthorizationAction.CUSTOM, rules_prefix(authorization)
    found = compile_rules(authorization.custom, action, dialect, prefix=prefix, suffix=suffix)
    assert found is not None, "there are policies, so there are rules"
    return found
