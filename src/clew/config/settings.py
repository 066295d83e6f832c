"""Settings that are text within other objects: of the mesh, of its networks and of one proxy."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from clew.config import yaml
from clew.config.finding import FieldPath, Finding
from clew.config.structure import convert, with_json_names
from clew.config.validate.crd_limits import check_limits
from clew.config.validate.mesh_config import validate_mesh_config
from clew.config.validate.mesh_networks import validate_mesh_networks
from clew.config.validate.mesh_proxy_config import check_proxy_config
from clew.config.validate.unsupported import check_support
from clew.model.base import Resource
from clew.model.config_map import ConfigMap
from clew.model.deployment import Deployment
from clew.model.interception import problems_of_interception
from clew.model.mesh_config import MeshConfig
from clew.model.mesh_networks import MeshNetworks
from clew.model.mesh_proxy_config import ANNOTATION, MeshProxyConfig
from clew.model.pod import Pod
from clew.model.replica_set import ReplicaSet
from clew.model.stateful_set import StatefulSet
from clew.model.workload_group import WorkloadGroup

_NOT_EXCEPTED = "the annotation is left out, so all traffic that it is about is captured"
_CANNOT_START = "until it is corrected, programs with this annotation are not started"


def read_mesh_config(value: Any) -> tuple[MeshConfig | None, list[Finding]]:
    value = with_json_names(MeshConfig, value)
    mesh, findings = convert(MeshConfig, value)
    if mesh is None:
        return None, findings
    findings = [*validate_mesh_config(mesh), *check_limits("MeshConfig", value, ())]
    return mesh, [*findings, *check_support(mesh)]


def read_mesh_networks(value: Any) -> tuple[MeshNetworks | None, list[Finding]]:
    networks, findings = convert(MeshNetworks, with_json_names(MeshNetworks, value))
    if networks is None:
        return None, findings
    return networks, [*validate_mesh_networks(networks), *check_support(networks)]


def read_proxy_settings(value: Any) -> tuple[MeshProxyConfig | None, list[Finding]]:
    settings, findings = convert(MeshProxyConfig, with_json_names(MeshProxyConfig, value))
    if settings is None:
        return None, findings
    return settings, [*check_proxy_config(settings, ()), *check_support(settings)]


def check_texts(resource: Resource) -> Iterator[Finding]:
    """Yield what is wrong with MeshConfig and MeshNetworks, and with a workload's annotation.

    The former are in ConfigMap ``istio`` or ``istio-…``. The annotation is warned of only: its
    object can be had, whatever it says.
    """
    if isinstance(resource, ConfigMap):
        name = resource.metadata.name
        if name == "istio" or name.startswith("istio-"):
            yield from _within(resource.data, ("data", "mesh"), read_mesh_config)
            yield from _within(resource.data, ("data", "meshNetworks"), read_mesh_networks)
        return
    at, annotations = _of_workload(resource)
    for finding in _within(annotations, (*at, ANNOTATION), read_proxy_settings):
        hint = finding.hint if finding.warning else _CANNOT_START
        yield dataclasses.replace(finding, hint=hint, warning=True)
    for name, problem in problems_of_interception(annotations):
        yield Finding((*at, name), problem, hint=_NOT_EXCEPTED, warning=True)


def _of_workload(resource: Resource) -> tuple[FieldPath, Mapping[str, str]]:
    """Return where the annotations of a workload are, and which; none for other kinds."""
    match resource:
        case Pod():
            return ("metadata", "annotations"), resource.metadata.annotations
        case Deployment() | ReplicaSet() | StatefulSet():
            at = ("spec", "template", "metadata", "annotations")
            return at, resource.spec.template.metadata.annotations
        case WorkloadGroup() if resource.spec.metadata is not None:
            return ("spec", "metadata", "annotations"), resource.spec.metadata.annotations
    return (), {}


def _within(
    texts: Mapping[str, str], at: FieldPath, read: Callable[[Any], tuple[Any, list[Finding]]]
) -> Iterator[Finding]:
    """Yield the findings of the text under the last part of ``at``, if it is there."""
    if not (text := texts.get(str(at[-1]))):
        return
    try:
        value = yaml.without_nulls(yaml.load(text) or {})
    except yaml.BadYaml as error:
        yield Finding(at, f"line {error.line} of this text: {error.problem}")
        return
    for finding in read(value)[1]:
        yield dataclasses.replace(finding, path=(*at, *finding.path))
