"""The echo application: servers on its ports, and a client that does what a Unix socket says.

It is a workload like any other: its traffic is captured. The socket is a file, so that the test
can ask from outside of the workload's network.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
from pathlib import Path

from tests.corpora.echo.client import make_call
from tests.corpora.echo.server import EchoPort, Place, serve

# A call is one line of JSON.
_LONGEST_LINE = 1 << 20


async def answer_calls(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Make every call that comes in at once; answer each, in order."""
    while line := await reader.readline():
        calls = json.loads(line)
        results = await asyncio.gather(*map(make_call, calls))
        writer.write(json.dumps(results).encode() + b"\n")
        await writer.drain()
    writer.close()


async def run(ports: list[EchoPort], place: Place, socket: Path) -> None:
    servers = await serve(ports, place)
    control = await asyncio.start_unix_server(answer_calls, socket, limit=_LONGEST_LINE)
    ended = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
    await ended.wait()
    for server in (*servers, control):
        server.close()


def _port(described: dict[str, object], ip: str) -> EchoPort:
    binds = {"pod ip only": ip, "localhost only": "127.0.0.1"}
    return EchoPort(
        number=int(str(described["workload_port"])),
        bind=binds.get(str(described.get("bind", "")), ""),
        tls=bool(described.get("tls")),
        server_first=bool(described.get("server_first")),
        proxy_protocol=bool(described.get("proxy_protocol")),
    )


def main(configuration: Path, hostname: str, ip: str) -> None:
    settings = json.loads(configuration.read_text())
    place = Place(hostname=hostname, ip=ip, certificate=settings["certificate"])
    ports = [_port(described, ip) for described in settings["ports"]]
    asyncio.run(run(ports, place, configuration.with_name(f"{ip}.sock")))


if __name__ == "__main__":
    main(Path(os.environ["ECHO_FILE"]), os.environ["HOSTNAME"], os.environ["ECHO_ADDRESS"])
