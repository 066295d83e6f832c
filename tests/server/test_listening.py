from pathlib import Path

import pytest

from clew.server.listening import listen


def test_a_socket_is_for_the_owner_only_and_what_the_dead_left_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "xds.sock"
    listen(f"unix:{path}").close()
    assert path.is_socket()
    with listen(f"unix:{path}"):
        assert path.stat().st_mode & 0o777 == 0o600


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


def test_ipv6_is_an_address_too() -> None:
    with listen("[::1]:0") as listener:
        assert listener.getsockname()[0] == "::1"
