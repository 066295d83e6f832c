"""ProxyConfig: settings of the proxies of a namespace or workload."""

from __future__ import annotations

from clew.model.base import Model, Resource
from clew.model.selectors import PolicySelector


class ProxyImage(Model, frozen=True, kw_only=True):
    image_type: str = ""


class ProxyConfigSpec(Model, frozen=True, kw_only=True):
    selector: PolicySelector | None = None
    concurrency: int | None = None
    environment_variables: dict[str, str] = {}
    image: ProxyImage | None = None


class ProxyConfig(Resource, frozen=True, kw_only=True):
    spec: ProxyConfigSpec = ProxyConfigSpec()
