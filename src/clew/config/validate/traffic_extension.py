"""Istio's admission rules for TrafficExtension."""

from __future__ import annotations

from collections.abc import Iterator

from clew.config.finding import Finding
from clew.config.validate.selectors import check_selector, check_target_list
from clew.config.validate.wasm_plugin import check_traffic, check_wasm
from clew.model.traffic_extension import TrafficExtension

_LONGEST_LUA = 65_536


def validate_traffic_extension(resource: TrafficExtension) -> Iterator[Finding]:
    spec = resource.spec
    if spec.selector is not None and spec.target_refs:
        yield Finding(("spec",), "set only one of selector and targetRefs")
    yield from check_selector(spec.selector)
    yield from check_target_list(spec.target_refs)
    yield from check_traffic(spec.match)
    if (spec.wasm is None) == (spec.lua is None):
        yield Finding(("spec",), "set exactly one of wasm and lua")
    if spec.wasm is not None:
        yield from check_wasm(spec.wasm, ("spec", "wasm"))
    if spec.lua is not None and not 1 <= len(spec.lua.inline_code) <= _LONGEST_LUA:
        size = len(spec.lua.inline_code)
        problem = f"the code has {size} characters, and needs 1 to {_LONGEST_LUA}"
        yield Finding(("spec", "lua", "inlineCode"), problem)
