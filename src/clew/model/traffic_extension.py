"""TrafficExtension: a WebAssembly or Lua filter in proxies."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from clew.model.base import Model, Resource
from clew.model.selectors import PolicySelector, PolicyTargetReference
from clew.model.wasm_plugin import FailStrategy, PluginType, PullPolicy, TrafficSelector, VmConfig


class ExtensionPhase(StrEnum):
    UNSPECIFIED = "UNSPECIFIED"
    AUTHN = "AUTHN"
    AUTHZ = "AUTHZ"
    STATS = "STATS"


class WasmConfig(Model, frozen=True, kw_only=True):
    url: str
    sha256: str = ""
    image_pull_policy: PullPolicy | None = None
    image_pull_secret: str | None = None
    verification_key: str = ""
    plugin_config: dict[str, Any] | None = None
    plugin_name: str | None = None
    fail_strategy: FailStrategy | None = None
    vm_config: VmConfig | None = None
    type: PluginType | None = None


class LuaConfig(Model, frozen=True, kw_only=True):
    inline_code: str


class TrafficExtensionSpec(Model, frozen=True, kw_only=True):
    selector: PolicySelector | None = None
    target_refs: tuple[PolicyTargetReference, ...] = ()
    match: tuple[TrafficSelector, ...] = ()
    phase: ExtensionPhase | None = None
    priority: int | None = None
    wasm: WasmConfig | None = None
    lua: LuaConfig | None = None


class TrafficExtension(Resource, frozen=True, kw_only=True):
    spec: TrafficExtensionSpec
