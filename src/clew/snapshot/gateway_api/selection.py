"""Which namespaces a Gateway lets in."""

from __future__ import annotations

from clew.model.gateway_api.listener import FromNamespaces
from clew.model.selectors import LabelSelector
from clew.snapshot.gateway_api.sources import Sources
from clew.snapshot.labels import fits

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
            return tuple(name for name, labels in found if fits(selector, labels))
        case _:
            return ()
