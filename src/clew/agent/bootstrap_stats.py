"""Which of its statistics an Envoy keeps, and how long.

Source: Istio's default stats inclusion list; without one, memory doubles.
"""

from __future__ import annotations

from typing import Any

from clew.model.mesh_proxy_config import ProxyStatsMatcher

# Series that nothing was counted in for so long are forgotten.
_SERIES_SECONDS = 3600

_PREFIXES = (
    "reporter=",
    "cluster_manager",
    "listener_manager",
    "server",
    "cluster.xds-grpc",
    "wasm",
    "component",
    "istio",
)
_SUFFIXES = (
    "rbac.allowed",
    "rbac.denied",
    "jwt_authn.denied",
    "shadow_allowed",
    "shadow_denied",
    "downstream_cx_active",
    "outlier_detection.ejections_active",
)
_REGEX = r"vhost\..*\.route\..*"
# Clusters and connection managers by their whole names, which may have dots in them: what is up to
# `;` is the name. And what authorization decides, and would decide if a dry run held.
# Source: the tags of Istio's bootstrap.
_NAME = r"(([^;.]+(?:[^;]*(?=;\.))?);?\.+)"
_TAGS = {
    "envoy.cluster_name": rf"^cluster\.{_NAME}",
    "envoy.http_conn_manager_prefix": rf"^http\.{_NAME}",
    # Envoy's own would take these for the names of what has an RBAC filter.
    "envoy.rbac_prefix": r"^((?!tcp\.|http\.)(.*?)\.)rbac\.",
    "envoy.tcp_prefix": r"^tcp\.(((?!rbac\.).*?)\.)\w+?$",
    "authz_enforce_result": r"rbac(\.(allowed|denied))",
    "authz_dry_run_action": r"(\.istio_dry_run_(allow|deny)_)",
    "authz_dry_run_result": r"(\.shadow_(allowed|denied))",
}


def stats(more: ProxyStatsMatcher | None) -> dict[str, Any]:
    """The fields of the bootstrap; ``more`` adds to the statistics that always are kept."""
    return {
        "stats_config": _matcher(more or ProxyStatsMatcher()),
        # Histograms are brought up to date this often.
        "stats_flush_interval": "1s",
        "stats_eviction_interval": f"{_SERIES_SECONDS}s",
    }


def _matcher(more: ProxyStatsMatcher) -> dict[str, Any]:
    patterns: list[dict[str, Any]] = [
        *({"prefix": prefix} for prefix in (*_PREFIXES, *more.inclusion_prefixes)),
        *({"suffix": suffix} for suffix in (*_SUFFIXES, *more.inclusion_suffixes)),
        *({"safe_regex": {"regex": r}} for r in (_REGEX, *more.inclusion_regexps)),
    ]
    return {
        "stats_tags": [{"tag_name": name, "regex": regex} for name, regex in _TAGS.items()],
        "allow_default_tag_overrides": True,
        "stats_matcher": {"inclusion_list": {"patterns": patterns}},
    }
