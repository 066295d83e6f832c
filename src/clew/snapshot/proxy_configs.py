"""A proxy's own settings: MeshConfig's defaults, ProxyConfigs and the workload's annotation."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

import msgspec

from clew.config.structure import decode_custom, with_json_names
from clew.model.base import Model, age_order
from clew.model.duration import Duration
from clew.model.mesh_config import MeshConfig
from clew.model.mesh_proxy_config import (
    ConnectionProfile,
    ConnectionSettings,
    HeadersWithUnderscoresAction,
    MeshProxyConfig,
    PathWithEscapedSlashesAction,
    ProxyHeaders,
)
from clew.model.proxy_config import ProxyConfig
from clew.snapshot.labels import selects

M = TypeVar("M", bound=Model)

_SECOND = 1_000_000_000
# Source: Envoy's advice for proxies that strangers reach, Istio's profile EDGE.
_EDGE = ConnectionSettings(
    listener_per_connection_buffer_limit_bytes=32 * 1024,
    cluster_per_connection_buffer_limit_bytes=32 * 1024,
    http_idle_timeout=Duration(3600 * _SECOND),
    http_request_timeout=Duration(300 * _SECOND),
    http_request_headers_timeout=Duration(60 * _SECOND),
    http_stream_idle_timeout=Duration(300 * _SECOND),
    http_max_concurrent_streams=100,
    http2_initial_stream_window_size=64 * 1024,
    http2_initial_connection_window_size=1024 * 1024,
    http_headers_with_underscores_action=(
        HeadersWithUnderscoresAction.HEADERS_WITH_UNDERSCORES_REJECT_REQUEST
    ),
    http_merge_slashes=True,
    http_path_with_escaped_slashes_action=PathWithEscapedSlashesAction.UNESCAPE_AND_REDIRECT,
)
_UNSAID = (
    None,
    HeadersWithUnderscoresAction.HEADERS_WITH_UNDERSCORES_UNSPECIFIED,
    PathWithEscapedSlashesAction.PATH_WITH_ESCAPED_SLASHES_UNSPECIFIED,
)


def effective_config(
    mesh: MeshConfig,
    configs: Iterable[ProxyConfig],
    *,
    namespace: str,
    labels: Mapping[str, str],
    annotation: MeshProxyConfig,
) -> MeshProxyConfig:
    """Return what a workload's proxy starts with.

    The mesh's defaults give way to the root namespace's ProxyConfig, that to the namespace's, that
    to the annotation, and that to the ProxyConfig that selects the workload.

    Source: istio ``EffectiveProxyConfig``.
    """
    of_namespaces: dict[tuple[str, bool], MeshProxyConfig] = {}
    for config in sorted(configs, key=age_order):
        selector = config.spec.selector
        chosen = selector is not None and bool(selector.match_labels)
        if selector is None or selects(selector.match_labels, labels):
            # Of several, the oldest counts.
            of_namespaces.setdefault((config.metadata.namespace, chosen), _settings(config))
    found = mesh.default_config or MeshProxyConfig()
    for place in dict.fromkeys((mesh.root_namespace, namespace)):
        found = merge_configs(found, of_namespaces.get((place, False), MeshProxyConfig()))
    found = merge_configs(found, annotation)
    return merge_configs(found, of_namespaces.get((namespace, True), MeshProxyConfig()))


def _settings(config: ProxyConfig) -> MeshProxyConfig:
    spec = config.spec
    return MeshProxyConfig(
        concurrency=spec.concurrency, proxy_metadata=spec.environment_variables, image=spec.image
    )


def merge_configs(base: MeshProxyConfig, over: MeshProxyConfig) -> MeshProxyConfig:
    """Return ``base`` where ``over`` says nothing. Metadata and headers are joined one by one.

    Source: istio ``MergeProxyConfig``.
    """
    merged = _overlaid(base, over)
    if base.proxy_metadata and over.proxy_metadata:
        metadata = base.proxy_metadata | over.proxy_metadata
        merged = msgspec.structs.replace(merged, proxy_metadata=metadata)
    if base.proxy_headers is not None and over.proxy_headers is not None:
        headers: ProxyHeaders = _overlaid(base.proxy_headers, over.proxy_headers)
        merged = msgspec.structs.replace(merged, proxy_headers=headers)
    return merged


def _overlaid(base: M, over: M) -> M:
    """Return ``base`` with the fields of ``over`` that are set."""
    fields = msgspec.structs.fields(type(over))
    said = {f.name: getattr(over, f.name) for f in fields}
    unsaid = type(over)()
    said = {name: value for name, value in said.items() if value != getattr(unsaid, name)}
    return msgspec.structs.replace(base, **said) if said else base


def parse_config(given: Mapping[str, Any]) -> MeshProxyConfig:
    """Return what a proxy, or its workload's annotation, says of itself.

    Raises:
        msgspec.ValidationError: a field is unknown or its value is not of its type.
    """
    named = with_json_names(MeshProxyConfig, given)
    return msgspec.convert(named, MeshProxyConfig, dec_hook=decode_custom, strict=False)


def proxy_mesh(mesh: MeshConfig, own: str, *, router: bool) -> MeshConfig:
    """Return the mesh's settings as one proxy has them; ``own``: what it said of itself, as JSON.

    A proxy that nothing special is said of has the mesh's own object.
    """
    base = mesh.default_config or MeshProxyConfig()
    found = merge_configs(base, _lenient(own)) if own else base
    connections = found.connection_settings
    if router and connections is not None and connections.profile is ConnectionProfile.EDGE:
        found = msgspec.structs.replace(found, connection_settings=_hardened(connections))
    return mesh if found is base else msgspec.structs.replace(mesh, default_config=found)


def _lenient(own: str) -> MeshProxyConfig:
    """Return what is understood of it: a proxy of another version may say what is not known."""
    known = {field.encode_name for field in msgspec.structs.fields(MeshProxyConfig)}
    said = with_json_names(MeshProxyConfig, msgspec.json.decode(own))
    given = {key: value for key, value in said.items() if key in known}
    try:
        return parse_config(given)
    except (msgspec.ValidationError, ValueError):
        return MeshProxyConfig()


def _hardened(settings: ConnectionSettings) -> ConnectionSettings:
    """Return the settings with the profile's in place of those that are not set."""
    fields = [field.name for field in msgspec.structs.fields(ConnectionSettings)]
    said = {n: v for n in fields if (v := getattr(settings, n)) not in _UNSAID}
    return msgspec.structs.replace(_EDGE, **said)
