"""Methods of gRPC, served as the control plane does."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager

from clew.server.http2.call import Method
from clew.server.http2.server import GrpcServer
from clew.server.listening import listen


@asynccontextmanager
async def serving(
    address: str,
    methods: Mapping[str, Method],
    context: Callable[[], ssl.SSLContext] | None = None,
) -> AsyncIterator[int]:
    """Serve at ``unix:/path`` or ``host:port``; gives the port."""
    listener = listen(address)
    server = GrpcServer(listener, methods, context)
    try:
        yield 0 if address.startswith("unix:") else int(listener.getsockname()[1])
    finally:
        await server.stop()
