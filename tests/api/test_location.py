from __future__ import annotations

import socket
import tempfile
from pathlib import Path

import pytest

from clew.api.location import (
    BadLocation,
    mesh_directory,
    no_mesh,
    running_meshes,
    socket_path,
    state_home,
)


def test_the_state_directory_follows_the_environment() -> None:
    home = {"HOME": "/home/ada"}
    assert state_home(home) == Path("/home/ada/.local/state/clew")
    assert state_home(home | {"XDG_STATE_HOME": "/state"}) == Path("/state/clew")
    assert state_home(home | {"XDG_STATE_HOME": "/state", "CLEW_HOME": "/c"}) == Path("/c")
    with pytest.raises(BadLocation, match="set CLEW_HOME"):
        state_home({})


def test_a_mesh_is_named_by_option_then_environment_then_default() -> None:
    environ = {"CLEW_HOME": "/c", "CLEW_MESH": "shop"}
    assert mesh_directory("other", environ) == Path("/c/other")
    assert mesh_directory("", environ) == Path("/c/shop")
    assert mesh_directory("", {"CLEW_HOME": "/c"}) == Path("/c/default")


@pytest.mark.parametrize("name", ["../x", "a/b", ".hidden", ".."])
def test_a_name_that_leaves_the_state_directory_is_refused(name: str) -> None:
    with pytest.raises(BadLocation, match="is no name for a mesh"):
        mesh_directory(name, {"CLEW_HOME": "/c"})


def test_a_path_that_is_too_long_for_a_socket_is_refused_with_a_way_out() -> None:
    assert socket_path(Path("/c"), "api.sock") == Path("/c/api.sock")
    with pytest.raises(BadLocation, match="at most 103: set CLEW_HOME to a shorter directory"):
        socket_path(Path("/" + "x" * 100), "api.sock")


def test_running_meshes_are_those_that_accept_connections() -> None:
    with tempfile.TemporaryDirectory(prefix="clew") as home:
        environ = {"CLEW_HOME": home}
        for mesh in ("alive", "dead", "empty"):
            (Path(home) / mesh).mkdir()
        (Path(home) / "dead" / "api.sock").touch()
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(f"{home}/alive/api.sock")
            listener.listen()
            assert running_meshes(environ) == ("alive",)
            assert "running here: alive" in str(no_mesh("dead", environ))
        assert running_meshes(environ) == ()
