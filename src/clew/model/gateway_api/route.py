"""What routes of several kinds have in common: header filters, mirrors, attachment."""

from __future__ import annotations

from enum import StrEnum

from clew.model.base import Model
from clew.model.gateway_api.references import BackendObjectReference


class UseDefaultGateways(StrEnum):
    ALL = "All"
    NONE = "None"


class HeaderMatchType(StrEnum):
    EXACT = "Exact"
    REGULAR_EXPRESSION = "RegularExpression"


class HTTPHeader(Model, frozen=True, kw_only=True):
    name: str
    value: str


class HTTPHeaderFilter(Model, frozen=True, kw_only=True):
    set: tuple[HTTPHeader, ...] = ()
    add: tuple[HTTPHeader, ...] = ()
    remove: tuple[str, ...] = ()


class Fraction(Model, frozen=True, kw_only=True):
    numerator: int
    denominator: int = 100


class HTTPRequestMirrorFilter(Model, frozen=True, kw_only=True):
    """All requests are mirrored when neither ``percent`` nor ``fraction`` is set."""

    backend_ref: BackendObjectReference
    percent: int | None = None
    fraction: Fraction | None = None
