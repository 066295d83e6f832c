import asyncio
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from clew.server.listening import listen
from tests.server.serving import serving


def test_a_socket_is_for_the_owner_only_and_what_the_dead_left_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "xds.sock"
    listen(f"unix:{path}").close()
    assert path.is_socket()
    with listen(f"unix:{path}"):
        assert path.stat().st_mode & 0o777 == 0o600


def test_a_server_that_stops_leaves_no_socket(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with serving(f"unix:{tmp_path}/xds.sock", {}):
            assert (tmp_path / "xds.sock").is_socket()

    asyncio.run(scenario())
    assert list(tmp_path.iterdir()) == []


def test_an_address_that_is_taken_is_an_error_that_says_what_to_do(tmp_path: Path) -> None:
    with listen("127.0.0.1:0") as first, listen(f"unix:{tmp_path}/xds.sock"):
        port = first.getsockname()[1]
        with pytest.raises(OSError, match="is another control plane running"):
            listen(f"127.0.0.1:{port}")
        with pytest.raises(OSError, match="is another control plane running"):
            listen(f"unix:{tmp_path}/xds.sock")
        with pytest.raises(OSError, match="shorter state directory"):
            listen(f"unix:{tmp_path}/{'x' * 120}")
        with pytest.raises(OSError, match="cannot listen on localhost:many"):
            listen("localhost:many")
        with pytest.raises(OSError, match="must be HOST:PORT"):
            listen("127.0.0.1:99999")


def test_ipv6_is_an_address_too() -> None:
    with listen("[::1]:0") as listener:
        assert listener.getsockname()[0] == "::1"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")
def test_another_user_of_the_machine_gets_no_connection(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with tempfile.TemporaryDirectory(prefix="clew") as folder:
        path = Path(folder, "ca.sock")
        connect = (
            "import os, socket, sys\n"
            "os.setuid(int(sys.argv[2]))\n"
            "s = socket.socket(socket.AF_UNIX)\n"
            "s.connect(sys.argv[1])\n"
            "s.sendall(b'PRI * HTTP/2.0\\r\\n\\r\\nSM\\r\\n\\r\\n')\n"
            "s.sendall(bytes.fromhex('000000040000000000'))\n"
            "sys.exit(len(s.recv(100)) == 0)\n"
        )

        def open_to_all() -> None:
            """As a careless hand could."""
            Path(folder).chmod(0o755)
            path.chmod(0o666)

        async def answered(user: int) -> bool:
            child = await asyncio.create_subprocess_exec(
                *(sys.executable, "-c", connect, str(path), str(user)), stderr=subprocess.DEVNULL
            )
            return await child.wait() == 0

        async def scenario() -> None:
            async with serving(f"unix:{path}", {}):
                assert await answered(0)
                open_to_all()
                assert not await answered(65534)
                assert await answered(0)

        asyncio.run(scenario())
    assert f"connection refused socket={path} reason=another user's" in caplog.text
