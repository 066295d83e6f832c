"""Rules for sessions that stay with one backend."""

from __future__ import annotations

from collections.abc import Iterator

from clew.config.finding import FieldPath, Finding
from clew.config.validate.gateway_api.formats import HEADER_NAME, check_length, check_text
from clew.model.gateway_api.session_persistence import (
    CookieConfig,
    CookieLifetimeType,
    SessionPersistence,
    SessionPersistenceType,
)


def check_session_persistence(session: SessionPersistence, path: FieldPath) -> Iterator[Finding]:
    yield from check_length(session.session_name, 128, (*path, "sessionName"))
    for field, cookie in (("cookieConfig", session.cookie_config), ("cookie", session.cookie)):
        if cookie is not None:
            yield from _check_cookie(cookie, session, (*path, field))
    if session.cookie_config is not None and session.cookie_config.name is not None:
        yield Finding((*path, "cookieConfig", "name"), "unknown field", "use sessionName")
    if session.header is not None:
        yield from check_text(session.header.name, HEADER_NAME, (*path, "header", "name"))
        if session.type is not SessionPersistenceType.HEADER:
            yield Finding((*path, "header"), "only type Header has this field")


def _check_cookie(
    cookie: CookieConfig, session: SessionPersistence, path: FieldPath
) -> Iterator[Finding]:
    yield from check_text(cookie.name, HEADER_NAME, (*path, "name"))
    if session.type is not SessionPersistenceType.COOKIE:
        yield Finding(path, "only type Cookie has this field")
    if cookie.lifetime_type is CookieLifetimeType.PERMANENT and session.absolute_timeout is None:
        yield Finding(path, "a permanent cookie needs absoluteTimeout")
