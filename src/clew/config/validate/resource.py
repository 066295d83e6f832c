"""One table: which admission rules hold for which kind."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from clew.config.finding import Finding
from clew.config.validate.destination_rule import validate_destination_rule
from clew.config.validate.gateway import validate_gateway
from clew.config.validate.service_entry import validate_service_entry
from clew.config.validate.virtual_service import validate_virtual_service
from clew.model.base import Resource
from clew.model.destination_rule import DestinationRule
from clew.model.gateway import Gateway
from clew.model.kinds import kind_of
from clew.model.service_entry import ServiceEntry
from clew.model.virtual_service import VirtualService

_RULES: Mapping[type[Resource], Callable[[Any], Iterator[Finding]]] = {
    VirtualService: validate_virtual_service,
    DestinationRule: validate_destination_rule,
    Gateway: validate_gateway,
    ServiceEntry: validate_service_entry,
}


def validate_resource(resource: Resource) -> Iterator[Finding]:
    """Yield what Istio's admission would say, and a warning if the kind has no effect yet."""
    kind = kind_of(resource.key.group, resource.kind)
    if kind is not None and not kind.effective:
        yield Finding((), f"{kind.kind} is stored, but not yet effective in clew", "", True)
    if rules := _RULES.get(type(resource)):
        yield from rules(resource)
