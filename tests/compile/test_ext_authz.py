"""What Envoy is told of external authorizers, and why there may be none."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from clew._pb.envoy.extensions.filters.http.ext_authz.v3.ext_authz_pb2 import ExtAuthz
from clew._pb.envoy.extensions.filters.http.rbac.v3.rbac_pb2 import RBAC
from clew.compile.ext_authz import Authorizer, compile_authorizer
from clew.compile.policy_filters import http_configs, network_configs
from clew.model.authorization_policy import (
    AuthorizationAction,
    AuthorizationPolicy,
    AuthorizationPolicySpec,
    AuthorizationProvider,
    Operation,
    Rule,
    RuleTo,
)
from clew.model.base import ObjectMeta
from clew.model.duration import Duration
from clew.model.extension_providers import (
    EnvoyExternalAuthorizationGrpcProvider,
    EnvoyExternalAuthorizationHttpProvider,
    EnvoyExternalAuthorizationRequestBody,
    ExtensionProvider,
)
from clew.model.mesh_config import MeshConfig
from clew.snapshot.authorization_policies import Authorization

HOST = "authz.shop.svc.cluster.local"
CLUSTER = f"outbound|9000||{HOST}"
BODY = EnvoyExternalAuthorizationRequestBody(
    max_request_bytes=2048, allow_partial_message=True, pack_as_bytes=True
)


def policy(provider: str = "asked", name: str = "custom") -> AuthorizationPolicy:
    rule = Rule(to=(RuleTo(operation=Operation(paths=("/a",))),))
    return AuthorizationPolicy(
        api_version="security.istio.io/v1",
        kind="AuthorizationPolicy",
        metadata=ObjectMeta(name=name, namespace="shop"),
        spec=AuthorizationPolicySpec(
            action=AuthorizationAction.CUSTOM,
            provider=AuthorizationProvider(name=provider),
            rules=(rule,),
        ),
    )


ASKING = Authorization(custom=(policy(),), authorizers=(("asked", HOST),))


def over_http(**fields: Any) -> ExtensionProvider:
    given = {"service": HOST, "port": 9000, **fields}
    return ExtensionProvider(
        name="asked", envoy_ext_authz_http=EnvoyExternalAuthorizationHttpProvider(**given)
    )


def over_grpc(**fields: Any) -> ExtensionProvider:
    given = {"service": HOST, "port": 9000, **fields}
    return ExtensionProvider(
        name="asked", envoy_ext_authz_grpc=EnvoyExternalAuthorizationGrpcProvider(**given)
    )


def requests(provider: ExtensionProvider) -> ExtAuthz:
    found = compile_authorizer(ASKING, [provider])
    assert isinstance(found, Authorizer), found
    return found.requests


@pytest.mark.proves(
    "EnvoyExternalAuthorizationHttpProvider.timeout",
    "EnvoyExternalAuthorizationHttpProvider.clearRouteCache",
    "EnvoyExternalAuthorizationHttpProvider.includeRequestHeadersInCheck",
    "EnvoyExternalAuthorizationHttpProvider.includeHeadersInCheck",
    "EnvoyExternalAuthorizationHttpProvider.includeAdditionalHeadersInCheck",
    "EnvoyExternalAuthorizationHttpProvider.includeRequestBodyInCheck",
    "EnvoyExternalAuthorizationHttpProvider.headersToUpstreamOnAllow",
    "EnvoyExternalAuthorizationHttpProvider.headersToDownstreamOnDeny",
    "EnvoyExternalAuthorizationHttpProvider.headersToDownstreamOnAllow",
)
def test_over_http_as_the_provider_says() -> None:
    found = requests(
        over_http(
            timeout=Duration(3 * 10**9),
            clear_route_cache=True,
            include_request_headers_in_check=("x-id", "x-team-*"),
            include_headers_in_check=("unheard",),
            include_additional_headers_in_check={"x-from": "mesh"},
            include_request_body_in_check=BODY,
            headers_to_upstream_on_allow=("x-user",),
            headers_to_downstream_on_deny=("*-reason",),
            headers_to_downstream_on_allow=("set-cookie",),
        )
    )
    service = found.http_service
    assert service.server_uri.cluster == CLUSTER
    assert service.server_uri.timeout.ToTimedelta() == timedelta(seconds=3)
    assert found.clear_route_cache
    first, second = found.allowed_headers.patterns
    assert (first.exact, first.ignore_case, second.prefix) == ("x-id", True, "x-team-")
    (added,) = service.authorization_request.headers_to_add
    assert (added.key, added.value) == ("x-from", "mesh")
    response = service.authorization_response
    assert response.allowed_upstream_headers.patterns[0].exact == "x-user"
    assert response.allowed_client_headers.patterns[0].suffix == "-reason"
    assert response.allowed_client_headers_on_success.patterns[0].exact == "set-cookie"
    assert found.with_request_body.max_request_bytes == 2048
    older = requests(over_http(include_headers_in_check=("x-id",)))
    assert older.allowed_headers.patterns[0].exact == "x-id"


@pytest.mark.proves(
    "EnvoyExternalAuthorizationGrpcProvider.service",
    "EnvoyExternalAuthorizationGrpcProvider.port",
    "EnvoyExternalAuthorizationGrpcProvider.timeout",
    "EnvoyExternalAuthorizationGrpcProvider.failOpen",
    "EnvoyExternalAuthorizationGrpcProvider.clearRouteCache",
    "EnvoyExternalAuthorizationGrpcProvider.statusOnError",
    "EnvoyExternalAuthorizationGrpcProvider.includeRequestBodyInCheck",
    "EnvoyExternalAuthorizationRequestBody.maxRequestBytes",
    "EnvoyExternalAuthorizationRequestBody.allowPartialMessage",
    "EnvoyExternalAuthorizationRequestBody.packAsBytes",
    "ExtensionProvider.name",
    "ExtensionProvider.envoyExtAuthzGrpc",
    "ExtensionProvider.envoyExtAuthzHttp",
)
def test_over_grpc_as_the_provider_says() -> None:
    provider = over_grpc(
        timeout=Duration(3 * 10**9),
        fail_open=True,
        clear_route_cache=True,
        status_on_error="503",
        include_request_body_in_check=BODY,
    )
    found = compile_authorizer(ASKING, [provider])
    assert isinstance(found, Authorizer)
    asked = found.requests
    assert asked.grpc_service.envoy_grpc.cluster_name == CLUSTER
    assert asked.grpc_service.timeout.ToTimedelta() == timedelta(seconds=3)
    assert asked.failure_mode_allow
    assert asked.clear_route_cache
    assert asked.status_on_error.code == 503
    body = asked.with_request_body
    assert (body.max_request_bytes, body.allow_partial_message, body.pack_as_bytes) == (
        2048,
        True,
        True,
    )
    assert found.connections is not None
    assert found.connections.failure_mode_allow
    assert found.connections.grpc_service.envoy_grpc.cluster_name == CLUSTER


@pytest.mark.parametrize(
    ("providers", "problem"),
    [
        ((), 'no extension provider "asked"'),
        ((over_http(), over_http()), "more than one"),
        ((over_http(port=0),), "not a port"),
        ((over_http(status_on_error="999"),), "not a status"),
        ((over_http(path_prefix="check"),), "does not begin with /"),
        ((over_http(headers_to_upstream_on_allow=("*",)),), "cannot be just *"),
        ((ExtensionProvider(name="asked"),), "not an external authorizer"),
    ],
)
def test_why_nobody_can_be_asked(providers: tuple[ExtensionProvider, ...], problem: str) -> None:
    found = compile_authorizer(ASKING, providers)
    assert isinstance(found, str)
    assert problem in found


def test_a_service_that_the_mesh_does_not_have_cannot_be_asked() -> None:
    found = compile_authorizer(replace(ASKING, authorizers=()), [over_http()])
    assert isinstance(found, str)
    assert "no service" in found


def test_nor_can_two_providers() -> None:
    both = replace(ASKING, custom=(policy(), policy("other", "second")))
    found = compile_authorizer(both, [over_http()])
    assert isinstance(found, str)
    assert "asked and other" in found


def test_what_nobody_can_be_asked_about_is_denied() -> None:
    ((_, config),) = http_configs(ASKING, (), MeshConfig(), router=False)
    found = RBAC()
    assert config.Unpack(found)
    assert list(found.rules.policies) == [
        "istio-ext-authz-asked-ns[shop]-policy[custom]-rule[0]-deny-due-to-bad-CUSTOM-action"
    ]


def test_an_authorizer_for_http_has_no_say_in_connections() -> None:
    mesh = MeshConfig(extension_providers=(over_http(),))
    assert list(network_configs(ASKING, mesh)) == []
    asked = MeshConfig(extension_providers=(over_grpc(),))
    assert [name for name, _ in network_configs(ASKING, asked)] == ["custom", "external"]
