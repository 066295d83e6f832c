"""Istio's admission rules for ProxyConfig."""

from __future__ import annotations

from collections.abc import Iterator

from clew.config.finding import Finding
from clew.config.validate.scalars import check_not_negative
from clew.config.validate.selectors import check_selector
from clew.model.proxy_config import ProxyConfig


def validate_proxy_config(resource: ProxyConfig) -> Iterator[Finding]:
    yield from check_selector(resource.spec.selector)
    yield from check_not_negative(resource.spec.concurrency, ("spec", "concurrency"))
