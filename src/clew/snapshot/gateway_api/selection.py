"""Which namespaces a Gateway lets in."""

from __future__ import annotations

from collections.abc import Mapping

from clew.model.gateway_api.listener import FromNamespaces
from clew.model.selectors import LabelSelector, LabelSelectorRequirement
from clew.snapshot.gateway_api.sources import Sources
from clew.snapshot.labels import selects

EVERY_NAMESPACE = "*"


def chosen_namespaces(
    source: FromNamespaces, selector: LabelSelector | None, own: str, sources: Sources
) -> tuple[str, ...]:
    """Return the namespaces, in stable order; ``*`` for every one."""
    match source:
        case FromNamespaces.ALL:
            return (EVERY_NAMESPACE,)
        case FromNamespaces.SAME:
            return (own,)
        case FromNamespaces.SELECTOR if selector is not None:
            found = sources.namespaces().items()
            return tuple(name for name, labels in found if _fits(selector, labels))
        case _:
            return ()


def _fits(selector: LabelSelector, labels: Mapping[str, str]) -> bool:
    expressions = all(_holds(each, labels) for each in selector.match_expressions)
    return selects(selector.match_labels, labels) and expressions


def _holds(requirement: LabelSelectorRequirement, labels: Mapping[str, str]) -> bool:
    value = labels.get(requirement.key)
    match requirement.operator:
        case "In":
            return value in requirement.values
        case "NotIn":
            return value not in requirement.values
        case "Exists":
            return value is not None
        case "DoesNotExist":
            return value is None
        case _:
            return False
