"""Routes of the server side: every request goes to the application."""

from __future__ import annotations

from datetime import timedelta

from clew._pb.envoy.config.route.v3.route_components_pb2 import (
    Decorator,
    RetryPolicy,
    Route,
    RouteAction,
    RouteMatch,
    VirtualHost,
)
from clew._pb.envoy.config.route.v3.route_pb2 import RouteConfiguration
from clew.model.mesh_config import MeshConfig
from clew.model.service import Protocol


def compile_inbound_route(
    *, cluster: str, port: int, operation: str, protocol: Protocol, mesh: MeshConfig
) -> RouteConfiguration:
    """The route configuration of one inbound port; ``operation`` names its spans.

    Source: istio ``buildSidecarInboundHTTPRouteConfig``.
    """
    action = RouteAction(cluster=cluster)
    # Timeouts are the client side's business: zero is none, Envoy's own default would be 15 s.
    action.timeout.FromTimedelta(timedelta(0))
    action.max_stream_duration.max_stream_duration.FromTimedelta(timedelta(0))
    action.max_stream_duration.grpc_timeout_header_max.FromTimedelta(timedelta(0))
    retry = _retry_policy(protocol, mesh)
    if retry is not None:
        action.retry_policy.CopyFrom(retry)
    route = Route(
        name="default",
        match=RouteMatch(prefix="/"),
        route=action,
        decorator=Decorator(operation=operation),
    )
    host = VirtualHost(name=f"inbound|http|{port}", domains=["*"], routes=[route])
    routes = RouteConfiguration(name=cluster, virtual_hosts=[host])
    routes.validate_clusters.value = False
    return routes


def _retry_policy(protocol: Protocol, mesh: MeshConfig) -> RetryPolicy | None:
    """Requests that the application cannot have seen yet are tried again.

    It lets an application close an idle connection without failing a request. gRPC has retries of
    its own. Source: istio ``defaultInboundHttpRetryPolicy``, where an empty policy is none.
    """
    if protocol is Protocol.GRPC:
        return None
    declared = mesh.default_inbound_http_retry_policy
    if declared is None:
        attempts, retry_on = 2, "reset-before-request"
    else:
        attempts, retry_on = declared.attempts or 0, declared.retry_on or "reset-before-request"
    if attempts <= 0:
        return None
    policy = RetryPolicy(retry_on=retry_on)
    policy.num_retries.value = attempts
    return policy
