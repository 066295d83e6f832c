"""A golden case: a folder with configuration, a proxy, and what Envoy is to get."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from clew.cli.output import as_yaml
from clew.compile.config_dump import config_dump
from clew.compile.memo import Memo
from clew.compile.proxy import compile_proxy
from clew.model.proxy import Interception, Proxy, ProxyType
from clew.model.service import Locality
from clew.model.xds import Published
from clew.snapshot.scope_builder import build_scope
from clew.snapshot.snapshot import build_snapshot
from clew.snapshot.telemetries import NO_TELEMETRY
from tests.manifests import resources_of


@dataclass(frozen=True, slots=True)
class Case:
    """``input.yaml`` holds manifests, ``proxy.yaml`` the options of ``clew compile``.

    ``show`` in ``proxy.yaml`` names the kinds of resources that the case is about, so that a
    change elsewhere does not touch its files; ``telemetry``: that it is about what is told of
    traffic, which is left out else; ``proves``, the fields of the API that it shows at work (see
    ``docs/generate.py``).
    """

    folder: Path

    @property
    def expected(self) -> Path:
        return self.folder / "expected"

    def published(self) -> Published:
        resources = resources_of((self.folder / "input.yaml").read_text())
        about = ("show", "proves", "telemetry")
        given = self._settings()
        settings = {key: value for key, value in given.items() if key not in about}
        scope = build_scope(build_snapshot(resources), _proxy(**settings))
        if not given.get("telemetry"):
            scope = replace(scope, telemetry=NO_TELEMETRY)
        return compile_proxy(scope, Memo())

    def _settings(self) -> dict[str, Any]:
        return dict(yaml.safe_load((self.folder / "proxy.yaml").read_text()))

    def compiled(self) -> dict[str, list[dict[str, Any]]]:
        return config_dump(self.published())

    def files(self) -> dict[str, str]:
        """What the folder ``expected`` should hold: file name and text."""
        compiled = self.compiled()
        return {f"{kind}.yaml": as_yaml(compiled[kind]) for kind in self._settings()["show"]}

    def write(self) -> None:
        """Make ``expected`` hold exactly ``files``."""
        self.expected.mkdir(exist_ok=True)
        files = self.files()
        for stale in self.expected.iterdir():
            if stale.name not in files:
                stale.unlink()
        for name, text in files.items():
            (self.expected / name).write_text(text)


CASES = tuple(Case(path.parent) for path in sorted(Path(__file__).parent.glob("*/input.yaml")))


def _proxy(**described: Any) -> Proxy:
    settings: dict[str, Any] = {"name": "proxy", "ip": "10.0.0.1", **described}
    settings["type"] = ProxyType(settings["type"])
    settings["labels"] = tuple(sorted(settings.get("labels", {}).items()))
    settings["locality"] = Locality.parse(settings.get("locality", ""))
    settings["interception"] = Interception(settings.get("interception", "REDIRECT"))
    settings["app_ports"] = tuple(sorted(settings.get("app_ports", {}).items()))
    settings["config"] = json.dumps(settings["config"]) if "config" in settings else ""
    return Proxy(**settings)
