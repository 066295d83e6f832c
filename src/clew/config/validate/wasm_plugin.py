"""Istio's admission rules for WasmPlugin, and for what else runs WebAssembly."""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import urlsplit

from clew.config.finding import FieldPath, Finding
from clew.config.validate.hosts import check_port
from clew.config.validate.selectors import check_targets
from clew.model.traffic_extension import WasmConfig
from clew.model.wasm_plugin import (
    EnvValueSource,
    TrafficSelector,
    VmConfig,
    WasmPlugin,
    WasmPluginSpec,
)

_SHA256 = re.compile(r"[a-f0-9]{64}")
_SCHEMES = frozenset({"", "http", "https", "file", "oci"})


def validate_wasm_plugin(resource: WasmPlugin) -> Iterator[Finding]:
    yield from check_targets(resource.spec)
    yield from check_wasm(resource.spec, ("spec",))
    yield from check_traffic(resource.spec.match)


def check_wasm(wasm: WasmPluginSpec | WasmConfig, path: FieldPath) -> Iterator[Finding]:
    if problem := _url_problem(wasm.url):
        yield Finding((*path, "url"), problem)
    if wasm.sha256 and not _SHA256.fullmatch(wasm.sha256):
        problem = "a SHA-256 checksum has 64 characters of 0-9 and a-f"
        yield Finding((*path, "sha256"), problem)
    names = {"imagePullSecret": wasm.image_pull_secret, "pluginName": wasm.plugin_name}
    for name, value in names.items():
        if value == "":
            yield Finding((*path, name), "the name is empty")
    if wasm.vm_config is not None:
        yield from _check_vm(wasm.vm_config, (*path, "vmConfig", "env"))


def _url_problem(url: str) -> str:
    if not url:
        return "the url is missing"
    try:
        # Without a scheme it is an image: "registry.example.com:5000/plugin".
        scheme = urlsplit(url).scheme if "://" in url else ""
    except ValueError:
        return f'"{url}" is not a URL'
    known = ", ".join(sorted(_SCHEMES - {""}))
    return "" if scheme in _SCHEMES else f'"{scheme}" is not one of {known}'


def _check_vm(vm: VmConfig, path: FieldPath) -> Iterator[Finding]:
    names = [variable.name for variable in vm.env]
    for index, variable in enumerate(vm.env):
        if not variable.name:
            yield Finding((*path, index, "name"), "the name is empty")
        if variable.name in names[:index]:
            yield Finding((*path, index, "name"), f'"{variable.name}" is there twice')
        if variable.value_from is EnvValueSource.HOST and variable.value is not None:
            yield Finding((*path, index, "value"), "with valueFrom: HOST there is no value")


def check_traffic(selectors: tuple[TrafficSelector, ...]) -> Iterator[Finding]:
    for index, selector in enumerate(selectors):
        numbers = [port.number for port in selector.ports]
        for place, number in enumerate(numbers):
            at: FieldPath = ("spec", "match", index, "ports", place, "number")
            yield from check_port(number, at)
            if number in numbers[:place]:
                yield Finding(at, f"port {number} is there twice")
