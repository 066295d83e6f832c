"""What a running proxy is to do for a while: tell of each request, or log more."""

from __future__ import annotations

from typing import Literal

from clew.api.messages import Message

# How agents hear of it, over gRPC, as JSON; the request is empty.
METHOD = "/clew.proxy.v1.RuntimeSettings/Follow"
LONGEST_SECONDS = 3600.0

LogLevel = Literal["trace", "debug", "info", "warning", "error", "critical", "off"]
# In place of a logger's name: all of them.
ALL_LOGGERS = "all"


class RuntimeSettings(Message, frozen=True, kw_only=True):
    """What holds from now on, each for so many seconds, unless something else is said meanwhile.

    ``log_levels``: by the name of Envoy's logger; those that are not named log as they always do.
    """

    tap_seconds: float = 0.0
    log_levels: dict[str, LogLevel] = {}
    log_seconds: float = 0.0


class LogLevelRequest(Message, frozen=True, kw_only=True):
    """``workload``: a replica, a workload or the label app. Without levels, all is as usual."""

    workload: str
    namespace: str = ""
    levels: dict[str, LogLevel] = {}
    seconds: float = 600.0


class LogLevelAnswer(Message, frozen=True, kw_only=True):
    """``proxies``: who was told, as ``default/reviews-v1-0``."""

    proxies: tuple[str, ...]
    seconds: float
