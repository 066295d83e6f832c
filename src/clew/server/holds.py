"""Objects that proxies refused, held at the last generation that was good."""

from __future__ import annotations

from dataclasses import dataclass

from clew.model.base import Resource


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """``refused`` is what the store has, ``good`` is in force instead; None: nothing is."""

    refused: Resource
    good: Resource | None
    reason: str

    @property
    def good_generation(self) -> int:
        return self.good.metadata.generation if self.good is not None else 0
