"""Which requests go to the same backend as the first of their session."""

from __future__ import annotations

from enum import StrEnum

from clew.model.base import Model
from clew.model.gateway_api.duration import GatewayDuration


class SessionPersistenceType(StrEnum):
    COOKIE = "Cookie"
    HEADER = "Header"


class CookieLifetimeType(StrEnum):
    PERMANENT = "Permanent"
    SESSION = "Session"


class CookieConfig(Model, frozen=True, kw_only=True):
    """The cookie of a session. Only a ``cookie`` has a name, a ``cookieConfig`` has none."""

    name: str | None = None
    lifetime_type: CookieLifetimeType = CookieLifetimeType.SESSION


class HeaderConfig(Model, frozen=True, kw_only=True):
    name: str


class SessionPersistence(Model, frozen=True, kw_only=True):
    """``sessionName`` and ``cookieConfig`` are how ``cookie`` and ``header`` were spelt before."""

    session_name: str | None = None
    absolute_timeout: GatewayDuration | None = None
    idle_timeout: GatewayDuration | None = None
    type: SessionPersistenceType = SessionPersistenceType.COOKIE
    cookie_config: CookieConfig | None = None
    cookie: CookieConfig | None = None
    header: HeaderConfig | None = None
