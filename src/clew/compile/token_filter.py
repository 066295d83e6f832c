"""The HTTP filter that verifies JSON Web Tokens and says what they claim."""

from __future__ import annotations

from collections.abc import Sequence

from clew._pb.envoy.extensions.filters.http.jwt_authn.v3.config_pb2 import (
    JwtAuthentication,
    JwtClaimToHeader,
    JwtHeader,
    JwtProvider,
    JwtRequirement,
    RequirementRule,
)
from clew._pb.envoy.extensions.filters.network.http_connection_manager.v3 import (
    http_connection_manager_pb2 as hcm_pb2,
)
from clew.compile.token_keys import set_keys
from clew.compile.typed_config import typed_config
from clew.snapshot.request_authentication import TokenRule

# Where routes and policies find the claims.
PAYLOAD = "payload"
_SPACE_DELIMITED = ("permission", "scope")


def compile_token_filter(
    rules: Sequence[TokenRule], *, router: bool
) -> tuple[hcm_pb2.HttpFilter, ...]:
    """Return the filter that holds requests to these rules; without rules there is none.

    A request without a token passes, one with a token that no rule accepts does not. At a router,
    the claims decide on the route.
    Source: istio ``policy_applier.go``.
    """
    if not rules:
        return ()
    names = [f"origins-{number}" for number in range(len(rules))]
    providers = {n: _provider(rule, router) for n, rule in zip(names, rules, strict=True)}
    rule = RequirementRule(requires=_required(names))
    rule.match.prefix = "/"
    config = JwtAuthentication(providers=providers, rules=[rule], bypass_cors_preflight=True)
    name = "envoy.filters.http.jwt_authn"
    return (hcm_pb2.HttpFilter(name=name, typed_config=typed_config(config)),)


def _provider(token: TokenRule, router: bool) -> JwtProvider:
    rule = token.rule
    provider = JwtProvider(
        issuer=rule.issuer,
        audiences=rule.audiences,
        forward=bool(rule.forward_original_token),
        forward_payload_header=rule.output_payload_to_header,
        payload_in_metadata=PAYLOAD,
        from_headers=[JwtHeader(name=h.name, value_prefix=h.prefix) for h in rule.from_headers],
        from_params=rule.from_params,
        from_cookies=rule.from_cookies,
        claim_to_headers=[
            JwtClaimToHeader(header_name=each.header, claim_name=each.claim)
            for each in rule.output_claim_to_headers
        ],
        clear_route_cache=router,
    )
    set_keys(provider, token)
    delimited = dict.fromkeys((*_SPACE_DELIMITED, *rule.space_delimited_claims))
    provider.normalize_payload_in_metadata.space_delimited_claims.extend(delimited)
    return provider


def _required(names: Sequence[str]) -> JwtRequirement:
    """A good token of any of them, or none at all."""
    nothing = JwtRequirement()
    nothing.allow_missing.SetInParent()
    required = JwtRequirement()
    alternatives = required.requires_any.requirements
    alternatives.extend(JwtRequirement(provider_name=name) for name in names)
    if len(names) == 1:
        alternatives.append(nothing)
        return required
    missing = alternatives.add().requires_all.requirements
    for name in names:
        either = missing.add().requires_any.requirements
        either.extend([JwtRequirement(provider_name=name), nothing])
    return required
