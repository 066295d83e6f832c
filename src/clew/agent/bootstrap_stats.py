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
    return {"stats_matcher": {"inclusion_list": {"patterns": patterns}}}
