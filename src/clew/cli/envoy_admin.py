"""How commands ask a workload's Envoy itself: its admin socket on this machine, or a saved dump."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click
import httpx2
import msgspec

from clew.agent.directory import ADMIN_SOCKET
from clew.agent.spec import AgentSpec
from clew.api.location import BadLocation, mesh_directory, no_mesh
from clew.cli.envoy.dump import CLUSTERS_PATH, CONFIG_PATH
from clew.local.logs import replica_specs, select
from clew.local.state import is_locked

_SECONDS = 10.0


class AdminFailed(Exception):
    """The Envoy did not answer; the message is for people."""


@dataclass(frozen=True, slots=True)
class Admin:
    """One Envoy's admin interface. ``file``: what answers instead of it."""

    name: str
    socket: Path = field(default_factory=Path)
    file: Path | None = None

    def config(self) -> Mapping[str, Any]:
        """Raises: AdminFailed."""
        return self._read(CONFIG_PATH)

    def clusters(self) -> Mapping[str, Any]:
        """Raises: AdminFailed."""
        if self.file is not None:
            raise AdminFailed(
                "endpoints are not in a dump: ask the workload itself, as in: "
                "clew proxy-config endpoints reviews-v1"
            )
        return self._read(CLUSTERS_PATH)

    def version(self) -> str:
        """``1.40.0``; "-" if it does not say. Raises: AdminFailed."""
        if self.file is not None:
            return "-"
        words = str(self._read("/server_info").get("version", "")).split("/")
        return words[1] if len(words) > 1 else "-"

    def _read(self, path: str) -> Mapping[str, Any]:
        try:
            body = self.file.read_bytes() if self.file is not None else self._ask(path)
            found = msgspec.json.decode(body)
        except (OSError, msgspec.DecodeError) as error:
            raise AdminFailed(f"{self.file or self.name} is no dump of Envoy: {error}") from None
        except httpx2.TransportError as error:
            raise AdminFailed(
                f"the Envoy of {self.name} does not answer: {error}\n"
                f"  hint: what it wrote last: clew logs {self.name} --proxy"
            ) from None
        if not isinstance(found, dict):
            raise AdminFailed(f"{self.file or self.name} is no dump of Envoy: not an object")
        return found

    def _ask(self, path: str) -> bytes:
        transport = httpx2.HTTPTransport(uds=str(self.socket))
        with httpx2.Client(transport=transport, timeout=_SECONDS) as client:
            return client.get(f"http://envoy{path}").content


def admin_of(mesh: str, namespace: str, workload: str, file: Path | None) -> Admin:
    """The Envoy of a workload on this machine, or what answers instead of one."""
    if bool(workload) == (file is not None):
        raise click.UsageError("name a workload, as in: clew proxy-config clusters reviews-v1")
    if file is not None:
        return Admin(str(file), file=file)
    try:
        directory = mesh_directory(mesh, os.environ)
    except BadLocation as error:
        raise click.UsageError(str(error)) from None
    specs = [each for each in replica_specs(directory) if each.proxy]
    found = find_replica(specs, namespace, workload)
    if found is None and not is_locked(directory):
        raise click.ClickException(str(no_mesh(mesh, os.environ)))
    if found is None:
        known = sorted({f"{each.workload}.{each.namespace}" for each in specs})
        hint = f"there are: {', '.join(known)}" if known else "nothing has a proxy; see: clew ps"
        raise click.ClickException(f'no workload "{workload}" with a proxy.\n  hint: {hint}')
    return Admin(found.name, socket=Path(found.directory, ADMIN_SOCKET))


def find_replica(specs: list[AgentSpec], namespace: str, workload: str) -> AgentSpec | None:
    """The first replica that is meant: ``[<type>/]<name>[.<namespace>]``, as istioctl reads it."""
    name = workload.rpartition("/")[2]
    inside = tuple(each for each in specs if namespace in ("", each.namespace))
    if found := select(inside, name):
        return found[0]
    name, _, place = name.rpartition(".")
    found = select(tuple(each for each in specs if each.namespace == place), name)
    return found[0] if found else None
