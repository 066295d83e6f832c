"""What a proxy starts with: its settings in force, and patches of its bootstrap.

A change of them reaches a proxy when it starts the next time, as in Istio.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
from google.protobuf.json_format import ParseError

from clew.agent.node import node_id, node_metadata
from clew.agent.spec import AgentSpec, AppSpec
from clew.config import yaml
from clew.config.validate.mesh_proxy_config import check_proxy_config
from clew.local.programs import CannotRun
from clew.model import names
from clew.model.base import Resource
from clew.model.envoy_filter import ApplyTo, EnvoyFilter
from clew.model.envoy_messages import PATCHED, missing_extension, read_message
from clew.model.mesh_config import MeshConfig
from clew.model.mesh_proxy_config import ANNOTATION, MeshProxyConfig
from clew.model.proxy import Proxy
from clew.model.proxy_config import ProxyConfig
from clew.model.service import Locality
from clew.snapshot.envoy_filters import index_envoy_filters, selected_patches
from clew.snapshot.proxy_configs import effective_config, parse_config

_PROMETHEUS, _MERGE = "prometheus.io/", "prometheus.istio.io/merge-metrics"

# The kinds that have a say in it, besides MeshConfig.
KINDS = ("ProxyConfig", "EnvoyFilter")


def with_proxy_settings(
    spec: AgentSpec,
    annotations: Mapping[str, str],
    resources: Iterable[Resource],
    mesh: MeshConfig,
) -> AgentSpec:
    """Return ``spec`` with its proxy's settings. ``annotations``: those of the workload.

    Raises:
        CannotRun: the annotation does not say what it should.
    """
    own, said = _annotated(annotations.get(ANNOTATION, ""))
    found = tuple(resources)
    settings = effective_config(
        mesh,
        (each for each in found if isinstance(each, ProxyConfig)),
        namespace=spec.namespace,
        labels=spec.labels,
        annotation=said,
    )
    threads = spec.concurrency if settings.concurrency is None else settings.concurrency
    status = spec.status_port
    if settings.status_port and status == names.STATUS_PORT:  # elsewhere a free one has been chosen
        status = settings.status_port
    spec = msgspec.structs.replace(
        spec,
        settings=settings,
        own_settings=own,
        concurrency=threads,
        status_port=status,
        app=_with_metrics(spec.app, annotations, mesh),
    )
    filters = (each for each in found if isinstance(each, EnvoyFilter))
    patches = _bootstrap_patches(spec, filters, mesh.root_namespace)
    return msgspec.structs.replace(spec, bootstrap_patches=patches)


def _with_metrics(
    app: AppSpec | None, annotations: Mapping[str, str], mesh: MeshConfig
) -> AppSpec | None:
    """The program, and where it has metrics, which the agent joins with the proxy's.

    Source: Istio's ``enablePrometheusMerge`` and the annotations of Prometheus.
    """
    merged = mesh.enable_prometheus_merge and annotations.get(_MERGE) != "false"
    wanted = annotations.get(f"{_PROMETHEUS}scrape") == "true"
    port = annotations.get(f"{_PROMETHEUS}port", "80")
    if app is None or not merged or not wanted or not port.isdigit():
        return app
    path = annotations.get(f"{_PROMETHEUS}path", "/metrics")
    path = path if path.startswith("/") else f"/{path}"
    return msgspec.structs.replace(app, metrics_port=int(port), metrics_path=path)


def _annotated(text: str) -> tuple[dict[str, Any], MeshProxyConfig]:
    """Return the annotation's settings, as they are written and as they are understood."""
    if not text.strip():
        return {}, MeshProxyConfig()
    try:
        own = yaml.load(text)
        if not isinstance(own, dict):
            raise _useless("it is no mapping of settings to values")
        settings = parse_config(own)
    except (yaml.BadYaml, msgspec.ValidationError, ValueError) as error:
        raise _useless(str(error)) from error
    for finding in check_proxy_config(settings, ()):
        if not finding.warning:
            raise _useless(f"{'.'.join(map(str, finding.path))}: {finding.problem}")
    return own, settings


def _useless(why: str) -> CannotRun:
    return CannotRun(
        f"its annotation {ANNOTATION} cannot be used: {why}. Correct it: it takes what "
        "defaultConfig of MeshConfig takes"
    )


def _bootstrap_patches(
    spec: AgentSpec, filters: Iterable[EnvoyFilter], root_namespace: str
) -> tuple[dict[str, Any], ...]:
    locality = Locality.parse(spec.locality)
    proxy = Proxy.from_node(node_id(spec), node_metadata(spec), locality)
    return tuple(
        each.patch.patch.value
        for each in selected_patches(index_envoy_filters(filters), proxy, root_namespace)
        if each.meant and each.patch.apply_to is ApplyTo.BOOTSTRAP
        if each.patch.patch is not None and each.patch.patch.value is not None
        if _is_possible(each.patch.patch.value)
    )


def _is_possible(value: dict[str, Any]) -> bool:
    """Whether Envoy can have it; the status of the EnvoyFilter says if not, and why."""
    try:
        read_message(value, PATCHED[ApplyTo.BOOTSTRAP])
    except ParseError:
        return False
    return not missing_extension(value)
