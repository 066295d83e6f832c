"""What Envoy makes of the names of its statistics: labels, and what is left as the name."""

from __future__ import annotations

import re

import pytest

from clew.agent.bootstrap_stats import stats


def read(name: str) -> tuple[str, dict[str, str]]:
    """What Envoy does: each tag's first group is taken out of the name, the second is its value."""
    found: dict[str, str] = {}
    taken: set[int] = set()
    for tag in stats(None)["stats_config"]["stats_tags"]:
        if match := re.search(tag["regex"], name):
            found[tag["tag_name"]] = match[2]
            taken.update(range(*match.span(1)))
    return "".join(c for place, c in enumerate(name) if place not in taken), found


CLUSTER, MANAGER = "envoy.cluster_name", "envoy.http_conn_manager_prefix"
HOST = "outbound|9080||reviews.default.svc.cluster.local"


@pytest.mark.parametrize(
    ("name", "left", "tags"),
    [
        (f"cluster.{HOST};.upstream_cx_total", "cluster.upstream_cx_total", {CLUSTER: HOST}),
        ("cluster.xds-grpc.upstream_rq", "cluster.upstream_rq", {CLUSTER: "xds-grpc"}),
        (
            "http.inbound_0.0.0.0_9080;..rbac.allowed",
            "http.rbac",
            {MANAGER: "inbound_0.0.0.0_9080", "authz_enforce_result": "allowed"},
        ),
        (
            "http.inbound_0.0.0.0_9080;..rbac.istio_dry_run_deny_.shadow_denied",
            "http.rbac",
            {
                MANAGER: "inbound_0.0.0.0_9080",
                "authz_dry_run_action": "deny",
                "authz_dry_run_result": "denied",
            },
        ),
        ("tcp.rbac.denied", "tcp.rbac", {"authz_enforce_result": "denied"}),
        ("tcp.x.downstream_cx_total", "tcp.downstream_cx_total", {"envoy.tcp_prefix": "x"}),
        ("server.uptime", "server.uptime", {}),
    ],
)
def test_names_are_told_from_what_they_name(name: str, left: str, tags: dict[str, str]) -> None:
    assert read(name) == (left, tags)
