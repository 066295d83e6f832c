"""Tells agents what their proxies are to do for a while."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

import msgspec

from clew.api.runtime_settings import METHOD, LogLevel
from clew.api.runtime_settings import RuntimeSettings as Message
from clew.model.proxy import Proxy
from clew.server.http2.call import UNAUTHENTICATED, Call, Method
from clew.server.mtls import peer_name, peer_of

Wanted = Callable[[Proxy], bool]
_LONGEST_REQUEST = 1024


@dataclass(slots=True, eq=False)
class _Tap:
    wanted: Wanted
    until: float


@dataclass(frozen=True, slots=True)
class _Levels:
    levels: Mapping[str, LogLevel]
    until: float


@dataclass(slots=True, eq=False)
class RuntimeSettings:
    """What is wanted of each proxy. ``now``: seconds of a clock that nobody sets."""

    proxies: Callable[[], Iterable[Proxy]]
    now: Callable[[], float]
    _taps: set[_Tap] = field(default_factory=set)
    _levels: dict[str, _Levels] = field(default_factory=dict)
    _followers: set[_Follower] = field(default_factory=set)

    def methods(self) -> Mapping[str, Method]:
        return {METHOD: Method(lambda call: _Follower(call, self), _LONGEST_REQUEST)}

    @contextmanager
    def tapping(self, wanted: Wanted, seconds: float) -> Iterator[None]:
        """Let proxies tell of each request meanwhile, and no longer than so many seconds."""
        tap = _Tap(wanted, self.now() + seconds)
        self._taps.add(tap)
        self._tell()
        try:
            yield
        finally:
            self._taps.discard(tap)
            self._tell()

    def log(self, proxies: Iterable[Proxy], levels: Mapping[str, LogLevel], seconds: float) -> None:
        """Let proxies log at these levels; at none, as usual."""
        now = self.now()
        self._levels = {name: each for name, each in self._levels.items() if each.until > now}
        for proxy in proxies:
            self._levels[peer_name(proxy)] = _Levels(levels, now + seconds if levels else now)
        self._tell()

    def follow(self, follower: _Follower) -> None:
        self._followers.add(follower)
        known = self._by_name() if self._taps or self._levels else {}
        follower.tell(self._of(follower.proxy, known))

    def leave(self, follower: _Follower) -> None:
        self._followers.discard(follower)

    def _tell(self) -> None:
        known = self._by_name()
        for follower in self._followers:
            follower.tell(self._of(follower.proxy, known))

    def _by_name(self) -> dict[str, Proxy]:
        return {peer_name(proxy): proxy for proxy in self.proxies()}

    def _of(self, name: str, known: Mapping[str, Proxy]) -> Message:
        now, proxy, logs = self.now(), known.get(name), self._levels.get(name)
        until = [tap.until for tap in self._taps if proxy is not None and tap.wanted(proxy)]
        return Message(
            tap_seconds=max(0.0, max(until, default=now) - now),
            log_levels=dict(logs.levels) if logs is not None and logs.until > now else {},
            log_seconds=max(0.0, logs.until - now) if logs is not None else 0.0,
        )


class _Follower:
    """One agent that listens. Its certificate says which proxy it is beside."""

    def __init__(self, call: Call, settings: RuntimeSettings) -> None:
        peer = peer_of(call.caller)
        self.proxy = peer.proxy if peer is not None else ""
        self._call = call
        self._settings = settings
        self._said = Message()

    def message(self, _body: bytes) -> None:
        if not self.proxy:
            self._call.finish(UNAUTHENTICATED, "ask with the certificate of a proxy")
            return
        self._settings.follow(self)

    def tell(self, wanted: Message) -> None:
        """Say it, unless nothing was said before, and there is nothing to say."""
        if wanted != Message() or self._said != Message():
            self._said = wanted
            self._call.send(msgspec.json.encode(wanted))

    def ended(self) -> None: ...

    def drained(self) -> None: ...

    def closed(self) -> None:
        self._settings.leave(self)
