"""What there is to say of one operation of the admin API."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

JSON, LINES, EVENTS = "application/json", "application/x-ndjson", "text/event-stream"

TEXT = {"type": "string"}
NUMBER = {"type": "integer", "minimum": 0, "maximum": 2**53 - 1}
YES_OR_NO = {"type": "string", "enum": ["true", "false"]}


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One method of one path. ``answer`` and ``body`` are messages, or JSON of any form (dict);
    ``manifests``: the body is YAML or JSON of Kubernetes objects. ``errors``: statuses that
    requests of the right form may meet.
    """

    method: str
    path: str
    summary: str
    answer: Any = dict
    status: int = 200
    also: tuple[int, ...] = ()
    media_type: str = JSON
    query: tuple[tuple[str, dict[str, Any]], ...] = ()
    body: Any = None
    manifests: bool = False
    errors: tuple[int, ...] = ()
