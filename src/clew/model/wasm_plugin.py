"""WasmPlugin: code that proxies run as a filter."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from clew.model.base import Model, Resource
from clew.model.selectors import PolicySelector, PolicyTargetReference


class FailStrategy(StrEnum):
    FAIL_CLOSE = "FAIL_CLOSE"
    FAIL_OPEN = "FAIL_OPEN"
    FAIL_RELOAD = "FAIL_RELOAD"


class PullPolicy(StrEnum):
    UNSPECIFIED_POLICY = "UNSPECIFIED_POLICY"
    IfNotPresent = "IfNotPresent"
    Always = "Always"


class PluginPhase(StrEnum):
    UNSPECIFIED_PHASE = "UNSPECIFIED_PHASE"
    AUTHN = "AUTHN"
    AUTHZ = "AUTHZ"
    STATS = "STATS"


class PluginType(StrEnum):
    UNSPECIFIED_PLUGIN_TYPE = "UNSPECIFIED_PLUGIN_TYPE"
    HTTP = "HTTP"
    NETWORK = "NETWORK"


class EnvValueSource(StrEnum):
    INLINE = "INLINE"
    HOST = "HOST"


class TrafficMode(StrEnum):
    UNDEFINED = "UNDEFINED"
    CLIENT = "CLIENT"
    SERVER = "SERVER"
    CLIENT_AND_SERVER = "CLIENT_AND_SERVER"


class TrafficPort(Model, frozen=True, kw_only=True):
    number: int


class TrafficSelector(Model, frozen=True, kw_only=True):
    mode: TrafficMode | None = None
    ports: tuple[TrafficPort, ...] = ()


class VmEnvironment(Model, frozen=True, kw_only=True):
    name: str
    value: str | None = None
    value_from: EnvValueSource | None = None


class VmConfig(Model, frozen=True, kw_only=True):
    env: tuple[VmEnvironment, ...] = ()


class WasmPluginSpec(Model, frozen=True, kw_only=True):
    selector: PolicySelector | None = None
    target_ref: PolicyTargetReference | None = None
    target_refs: tuple[PolicyTargetReference, ...] = ()
    url: str
    sha256: str = ""
    image_pull_policy: PullPolicy | None = None
    image_pull_secret: str | None = None
    verification_key: str = ""
    plugin_config: dict[str, Any] | None = None
    plugin_name: str | None = None
    phase: PluginPhase | None = None
    priority: int | None = None
    fail_strategy: FailStrategy | None = None
    vm_config: VmConfig | None = None
    match: tuple[TrafficSelector, ...] = ()
    type: PluginType | None = None


class WasmPlugin(Resource, frozen=True, kw_only=True):
    spec: WasmPluginSpec
