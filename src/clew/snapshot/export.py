"""``exportTo``: which namespaces may see a configuration object."""

from __future__ import annotations

from collections.abc import Sequence

PUBLIC = "*"
OWN = "."
NOBODY = "~"

EVERYONE = frozenset({PUBLIC})


def exported_to(declared: Sequence[str], namespace: str, default: Sequence[str]) -> frozenset[str]:
    """The namespaces that see an object of ``namespace``; ``*`` is all, the empty set none.

    Without a declaration the mesh's default holds (``defaultServiceExportTo`` and its sisters).
    """
    values = [value.strip() for value in (declared or default or (PUBLIC,))]
    if PUBLIC in values:
        return EVERYONE
    return frozenset(namespace if v == OWN else v for v in values if v and v != NOBODY)


def visible(export_to: frozenset[str], namespace: str) -> bool:
    return PUBLIC in export_to or namespace in export_to
