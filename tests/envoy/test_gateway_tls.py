"""A gateway ends TLS with the certificate of a Secret, and takes a renewed one at once."""

from __future__ import annotations

import asyncio
from pathlib import Path

from clew.model.xds import SECRET
from tests.envoy.program import backend
from tests.envoy.rig import envoy_rig, free_port
from tests.envoy.tls_gateway import ask, connect, published, serial_of, visit
from tests.tls_scan import scan


def test_a_gateway_shows_the_certificate_of_a_secret_and_a_renewed_one_at_once(
    tmp_path: Path,
) -> None:
    async def scenario() -> None:
        port = free_port()
        async with backend("hello") as upstream:
            first, second = (published(port, upstream, serial) for serial in (1, 2))
            async with envoy_rig(tmp_path, first) as envoy:
                for serial, current in ((1, first), (2, second)):
                    envoy.directory.publish(current)
                    secret = current[SECRET]["kubernetes://web"]
                    await envoy.directory.acked(SECRET, secret.name, secret.version)
                    async with asyncio.timeout(20):
                        while not await envoy.stat("listener_manager.total_listeners_active"):
                            pass
                    shown, answer = await visit(port)
                    assert shown == serial
                    assert answer == b"hello"
                found = await asyncio.to_thread(scan, ("127.0.0.1", port), "web.example.com")
                assert found.versions == {"TLSv1.2"}
                assert not found.weak

    asyncio.run(scenario())


def test_no_request_is_lost_while_the_certificate_is_renewed(tmp_path: Path) -> None:
    async def scenario() -> None:
        port = free_port()
        async with backend("hello") as upstream:
            first, second = (published(port, upstream, serial) for serial in (1, 2))
            async with envoy_rig(tmp_path, first) as envoy:
                secret = first[SECRET]["kubernetes://web"]
                await envoy.directory.acked(SECRET, secret.name, secret.version)
                async with asyncio.timeout(20):
                    while not await envoy.stat("listener_manager.total_listeners_active"):
                        pass
                    old = await connect(port)
                    assert await ask(old) == b"hello"
                    envoy.directory.publish(second)
                    shown = 1
                    while shown == 1:
                        assert await ask(old) == b"hello"
                        shown, answer = await visit(port)
                        assert answer == b"hello"
                # Who is connected stays so, under the certificate it was shown.
                assert await ask(old) == b"hello"
                assert (shown, serial_of(old)) == (2, 1)
                old[1].close()

    asyncio.run(scenario())
