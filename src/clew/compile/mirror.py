"""A VirtualService's ``mirror`` and ``mirrors``: copies of requests whose answers nobody sees."""

from __future__ import annotations

from collections.abc import Iterator

from clew._pb.envoy.config.route.v3.route_components_pb2 import RouteAction
from clew.compile.destinations import ClusterOf
from clew.compile.fault import fraction
from clew.model.virtual_service import HTTPRoute, Percent

_ALL = Percent(value=100.0)


def compile_mirrors(
    rule: HTTPRoute, cluster_of: ClusterOf
) -> Iterator[RouteAction.RequestMirrorPolicy]:
    """Where copies go. Absent a percentage everything is mirrored; at 0 nothing is.

    The copy keeps the host that the request is for, without Envoy's ``-shadow``.
    """
    old = Percent(value=float(rule.mirror_percent)) if rule.mirror_percent is not None else None
    wanted = [(mirror.destination, mirror.percentage) for mirror in rule.mirrors]
    if rule.mirror is not None:
        wanted.append((rule.mirror, rule.mirror_percentage or old))
    for destination, percentage in wanted:
        share = fraction(percentage or _ALL)
        if share.numerator:
            policy = RouteAction.RequestMirrorPolicy(
                cluster=cluster_of(destination), disable_shadow_host_suffix_append=True
            )
            policy.runtime_fraction.default_value.CopyFrom(share)
            policy.trace_sampled.value = False
            yield policy
