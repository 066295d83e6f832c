"""A control plane that publishes the same resources, made by hand, to every proxy."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from clew.model.proxy import Proxy
from clew.model.xds import Published, TypeUrl
from clew.server.publications import OnPublish
from clew.xds.answers import Acked, Conversation, Nacked


@dataclass(eq=False)
class Connected:
    proxy: Proxy
    on_publish: OnPublish


@dataclass
class Directory:
    published: Published = field(default_factory=dict)
    connected: list[Connected] = field(default_factory=list)
    verdicts: list[Acked | Nacked] = field(default_factory=list)
    _happened: asyncio.Event = field(default_factory=asyncio.Event)

    def connect(self, proxy: Proxy, on_publish: OnPublish, conversation: Conversation) -> Connected:
        connection = Connected(proxy, on_publish)
        self.connected.append(connection)
        on_publish(self.published, None)
        self._happened.set()
        return connection

    def report(self, connection: Connected, verdict: Acked | Nacked) -> None:
        assert connection in self.connected
        self.verdicts.append(verdict)
        self._happened.set()

    def disconnect(self, connection: Connected) -> None:
        self.connected.remove(connection)
        self._happened.set()

    def publish(self, published: Published) -> None:
        self.published = published
        for connection in self.connected:
            connection.on_publish(published, None)

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait, for at most 20 s, until proxies have brought this about."""
        async with asyncio.timeout(20):
            while not condition():
                self._happened.clear()
                await self._happened.wait()

    async def acked(self, type_url: TypeUrl, name: str, version: str | None) -> None:
        """Wait until some proxy accepted this version (None: the removal)."""
        await self.until(
            lambda: any(
                isinstance(verdict, Acked)
                and verdict.type_url == type_url
                and (name, version) in verdict.versions.items()
                for verdict in self.verdicts
            )
        )

    async def nacked(self, type_url: TypeUrl) -> Nacked:
        """Wait for the refusal of something of this type; return the latest."""

        def refusals() -> list[Nacked]:
            return [v for v in self.verdicts if isinstance(v, Nacked) and v.type_url == type_url]

        await self.until(lambda: bool(refusals()))
        return refusals()[-1]
