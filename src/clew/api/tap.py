"""Requests as they happen, as `clew tap` shows them."""

from __future__ import annotations

from clew.api.explanations import Explanation
from clew.api.messages import Message


class TapEvent(Message, frozen=True, kw_only=True):
    """One request, as the proxy of its caller tells it (``source``), or that of who was called.

    The latter tells of those that only it knows: calls of who has no proxy, and what it refused.
    ``at``: when it began, RFC 3339; ``duration``: milliseconds. ``source`` and ``destination``:
    workloads, as ``default/reviews-v1``; "" if there is none, or nobody knows. ``status`` 0: there
    was no response. ``missed``: how many requests before this one were not shown, as there were
    too many.
    """

    at: str
    reporter: str
    source: str
    destination: str
    method: str
    authority: str
    path: str
    protocol: str
    status: int
    duration: float
    flags: tuple[str, ...] = ()
    details: str = ""
    route: str = ""
    cluster: str = ""
    upstream: str = ""
    request_bytes: int = 0
    response_bytes: int = 0
    request_id: str = ""
    trace: str = ""
    explanations: tuple[Explanation, ...] = ()
    missed: int = 0
