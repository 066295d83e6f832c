"""A mesh that is up: what is to be had of it, and what others read of it in its directory."""

from __future__ import annotations

import os
from dataclasses import dataclass
from ipaddress import IPv4Network
from pathlib import Path

from clew.api.async_client import AsyncClient
from clew.local.capture_choice import Choice
from clew.local.control_plane import ControlPlane
from clew.local.controller import Controller
from clew.local.network import MeshNetwork
from clew.local.published_ports import PublishedPorts
from clew.local.state import RunState, process_id, write_state


@dataclass(slots=True, kw_only=True)
class RunningMesh:
    """What is to be had of a mesh. ``up``: all that it was started with serves, or cannot."""

    name: str
    directory: Path
    choice: Choice
    subnet: IPv4Network
    ports: PublishedPorts
    client: AsyncClient
    control_plane: ControlPlane
    controller: Controller
    network: MeshNetwork | None
    up: bool = False

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.ports.http}"


def save(mesh: RunningMesh) -> None:
    """Note what runs, for commands, and for the next run if this one is killed."""
    supervisor = process_id(os.getpid())
    assert supervisor is not None
    state = RunState(
        mesh=mesh.name,
        supervisor=supervisor,
        up=mesh.up,
        capture=mesh.choice.capture,
        user_namespace=mesh.choice.user_namespace,
        why=mesh.choice.why,
        subnet=str(mesh.subnet),
        http_port=mesh.ports.http,
        https_port=mesh.ports.https,
        tcp_port=mesh.ports.tcp,
        namespace_holder=process_id(mesh.network.holder) if mesh.network else None,
        server=mesh.control_plane.process_id,
        replicas=mesh.controller.replicas,
        problems=mesh.controller.problems,
    )
    write_state(mesh.directory, state)
