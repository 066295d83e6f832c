"""Where Prometheus reads the control plane's metrics, and where those of workloads are."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime
from importlib.metadata import version

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from uvicorn.protocols.http.h11_impl import H11Protocol

from clew.model.proxy import STATUS_ADDRESS
from clew.server.api import ApiServer, api_config
from clew.server.api_tcp import listen_on
from clew.server.authority_metrics import authority_metrics
from clew.server.directory import Directory
from clew.server.identities import Identities
from clew.server.metrics import metrics_page

_TEXT = "text/plain; version=0.0.4; charset=utf-8"
_MOST_CONNECTIONS = 32


class Monitoring:
    """The page of metrics, made when it is asked for."""

    def __init__(
        self, directory: Directory, identities: Identities, now: Callable[[], datetime]
    ) -> None:
        self._directory, self._identities, self._now = directory, identities, now
        self._began = time.monotonic()

    def page(self) -> str:
        directory = self._directory
        # An agent is connected beside its Envoy, and says the same of itself.
        proxies = {proxy.node_id: proxy.version for proxy in directory.proxies()}
        return metrics_page(
            directory.meters,
            directory.publisher.snapshot,
            versions=(each or "unknown" for each in proxies.values()),
            refused=directory.refused_now(),
            authority=authority_metrics(self._identities, self._now()),
            version=version("clew"),
            uptime_seconds=time.monotonic() - self._began,
        )

    def targets(self) -> list[dict[str, object]]:
        """Where the metrics of each workload are, as Prometheus' HTTP service discovery has it."""
        found: dict[str, dict[str, object]] = {}
        for proxy in self._directory.proxies():
            address = dict(proxy.metadata).get(STATUS_ADDRESS, "")
            if address:
                labels = {"namespace": proxy.namespace, "pod": proxy.name}
                found[address] = {"targets": [address], "labels": labels}
        return [found[address] for address in sorted(found)]

    def routes(self) -> list[Route]:
        async def metrics(_request: Request) -> Response:
            return Response(self.page(), media_type=_TEXT)

        async def targets(_request: Request) -> Response:
            return JSONResponse(self.targets())

        return [
            Route("/metrics", metrics, methods=["GET"]),
            Route("/targets", targets, methods=["GET"]),
        ]


@asynccontextmanager
async def serving_metrics(address: str, monitoring: Monitoring) -> AsyncIterator[None]:
    """Serve both pages, and no more, in plain HTTP where the address says, if it says anything.

    Raises: OSError when the address cannot be used; the text says why.
    """
    if not address:
        yield
        return
    try:
        listener = listen_on(address)
    except ValueError as error:
        raise OSError(f"the address for metrics: {error}") from None
    except OSError as error:
        raise OSError(f"cannot listen for metrics on {address}: {error.strerror}") from error
    app = Starlette(routes=monitoring.routes())
    config = api_config(app, protocol=H11Protocol, limit_concurrency=_MOST_CONNECTIONS)
    async with ApiServer(config, asyncio.Event()).serving(listener):
        yield
