"""Where Prometheus reads a workload's metrics: the proxy's, the application's and the agent's.

Envoy listens for Prometheus and asks the agent, on a Unix socket, which asks Envoy's admin page.

Source: Istio's agent: 15090 for the proxy's metrics, 15020 for all of them.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from clew.agent.bootstrap_listeners import ALL_METRICS, PROXY_METRICS
from clew.agent.cardinality import Cardinality, cardinality
from clew.agent.directory import ADMIN_SOCKET, METRICS_SOCKET
from clew.agent.envoy_secrets import certificate_in_use
from clew.agent.exposition import istio_page, joined
from clew.agent.http_client import encode_request, exchange, request_unix
from clew.agent.probes import connect
from clew.agent.spec import AgentSpec, AppSpec, own_peer
from clew.model import names
from clew.model.metrics import Own

log = logging.getLogger("clew.agent")

# Source: Istio's agent, which gives the application as long as Prometheus would.
_APP_SECONDS = 10.0
_LONGEST_PAGE = 64 * 1024 * 1024
_TEXT = "text/plain; version=0.0.4; charset=utf-8"


class MetricsServer:
    """Answers Envoy's requests for metrics."""

    def __init__(self, spec: AgentSpec) -> None:
        self._spec = spec
        identity = names.spiffe_id(spec.trust_domain, spec.namespace, spec.service_account)
        self._own = Own(own_peer(spec), identity)
        self._warned = False
        self._scrapes = {"istio_agent_scrapes_total": 0, "istio_agent_scrape_failures_total": 0}

    async def run(self) -> None:
        """Serve until cancelled."""
        path = Path(self._spec.directory, METRICS_SOCKET)
        server = await asyncio.start_unix_server(self._answer, path)
        async with server:
            await server.serve_forever()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            head = await reader.readuntil(b"\r\n\r\n")
            path = head.split(b" ", 2)[1].decode(errors="replace")
            body = await self._page(path.partition("?")[0])
            status = "200 OK" if body is not None else "404 Not Found"
            content = (body or "").encode()
            fields = f"Content-Type: {_TEXT}\r\nContent-Length: {len(content)}\r\n"
            writer.write(f"HTTP/1.1 {status}\r\n{fields}Connection: close\r\n\r\n".encode())
            writer.write(content)
            await writer.drain()
        writer.close()

    async def _page(self, path: str) -> str | None:
        if path == PROXY_METRICS:
            return await self.proxy_page()
        if path == ALL_METRICS:
            proxy, program = await asyncio.gather(self.proxy_page(), self._application_page())
            found = await asyncio.to_thread(cardinality, proxy)
            self._warn(found)
            return joined([proxy, program, "\n".join(found.lines()), self._own_page()])
        return None

    async def proxy_page(self) -> str:
        """Return what Envoy has counted, with Istio's names; nothing while it is away."""
        with suppress(OSError, ValueError):
            socket = str(Path(self._spec.directory, ADMIN_SOCKET))
            response = await request_unix(socket, "GET", "/stats/prometheus", longest=_LONGEST_PAGE)
            text = response.body.decode(errors="replace")
            return await asyncio.to_thread(istio_page, text, self._own)
        return ""

    def _warn(self, found: Cardinality) -> None:
        """Say once that the metrics have too many series, and again when they had fewer."""
        warning = found.warning
        if warning and not self._warned:
            log.warning("metrics workload=%s %s", self._spec.name, warning)
        self._warned = bool(warning)

    async def _application_page(self) -> str:
        app = self._spec.app
        if app is None or not app.metrics_port:
            return ""
        self._scrapes["istio_agent_scrapes_total"] += 1
        try:
            async with asyncio.timeout(_APP_SECONDS):
                return await _scrape(self._spec, app)
        except (OSError, ValueError, EOFError) as error:
            self._scrapes["istio_agent_scrape_failures_total"] += 1
            log.warning(
                "metrics of the application cannot be read workload=%s port=%d path=%s error=%s",
                self._spec.name,
                app.metrics_port,
                app.metrics_path,
                error or type(error).__name__,
            )
            return ""

    def _own_page(self) -> str:
        lines = [f"# TYPE {name} counter\n{name} {n}" for name, n in self._scrapes.items()]
        with suppress(OSError, ValueError, LookupError):
            ends = certificate_in_use(Path(self._spec.directory)).not_valid_after_utc
            left = ends - datetime.now(UTC)
            name = "istio_agent_cert_expiry_seconds"
            lines.append(f"# TYPE {name} gauge\n{name} {left.total_seconds():.0f}")
        return "\n".join(lines)


async def _scrape(spec: AgentSpec, app: AppSpec) -> str:
    """Return the application's page. Raises: OSError, ValueError."""
    reader, writer, host = await connect(spec, app.metrics_port)
    headers = {"Accept": "text/plain;version=0.0.4", "User-Agent": "clew"}
    request = encode_request("GET", app.metrics_path, host=host, headers=headers)
    response = await exchange(reader, writer, request, longest=_LONGEST_PAGE)
    if not response.ok:
        raise ValueError(f"it answered {response.status}")
    return response.body.decode(errors="replace")
