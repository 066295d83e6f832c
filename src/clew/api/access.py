"""Who may do what over the admin API when it is served on TCP, and the tokens that say so."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import msgspec

from clew.api.messages import Message


class Role(StrEnum):
    """Each may do what those before it may: look, change objects, and change who may."""

    VIEWER = "viewer"
    EDITOR = "editor"
    ADMIN = "admin"


class ApiTokenRequest(Message, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``name``: in whose name changes are made. ``seconds``: how long the token is good."""

    role: Role
    name: Annotated[str, msgspec.Meta(min_length=1, max_length=100)]
    seconds: Annotated[int, msgspec.Meta(ge=1, le=366 * 24 * 3600)] = 30 * 24 * 3600


class ApiTokenView(Message, frozen=True, kw_only=True):
    """A token without its secret; times as RFC 3339."""

    id: str
    name: str
    role: Role
    created: str
    expires: str


class ApiTokenList(Message, frozen=True, kw_only=True):
    tokens: tuple[ApiTokenView, ...] = ()


class CreatedApiToken(Message, frozen=True, kw_only=True):
    """``token`` is shown this once. After its dot are the roots of the server's certificate, if
    that is the mesh's own.
    """

    token: str
    view: ApiTokenView
