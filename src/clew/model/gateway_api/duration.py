"""Durations as the Gateway API writes them."""

from __future__ import annotations

import re
from typing import Self

from clew.model.duration import Duration

_GRAMMAR = re.compile(r"(\d{1,5}(h|m|s|ms)){1,4}", re.ASCII)


class GatewayDuration(Duration):
    """A duration in the Gateway API's smaller grammar: whole numbers of h, m, s and ms."""

    __slots__ = ()

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read GEP-2257's syntax. Raises: ValueError."""
        if not _GRAMMAR.fullmatch(text):
            raise ValueError(
                f"{text!r} is not a duration of the Gateway API, "
                "which has up to four whole numbers of h, m, s or ms, such as 1h30m or 500ms"
            )
        return super().parse(text)
