"""What programs and proxies of a mesh wrote: which files, their ends, and what comes next."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec

from clew.agent.app import LOG as APP_LOG
from clew.agent.envoy_process import LOG as ENVOY_LOG
from clew.agent.spec import AgentSpec, decode
from clew.local.state import AGENT_LOG, AGENTS, SPEC

_BLOCK = 64 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Log:
    """One file of one replica."""

    replica: str
    path: Path


def replica_specs(directory: Path, namespace: str = "") -> tuple[AgentSpec, ...]:
    """Return the specs of the replicas that run, or ran last, in this mesh."""
    files = sorted((directory / AGENTS).glob(f"{namespace or '*'}/*/{SPEC}"))
    return tuple(spec for spec in map(_read_spec, files) if spec is not None)


def _read_spec(file: Path) -> AgentSpec | None:
    try:
        return decode(file.read_bytes())
    except (FileNotFoundError, msgspec.MsgspecError):
        return None  # it is going, or just coming


def select(specs: tuple[AgentSpec, ...], name: str) -> tuple[AgentSpec, ...]:
    """Return the replicas that ``name`` means: a replica, a workload, or else an ``app`` label."""
    rules: tuple[Callable[[AgentSpec], bool], ...] = (
        lambda spec: spec.name == name,
        lambda spec: spec.workload == name,
        lambda spec: spec.labels.get("app") == name,
    )
    matches = (tuple(filter(rule, specs)) for rule in rules)
    return next((found for found in matches if found), ())


def logs_of(spec: AgentSpec, *, proxy: bool) -> tuple[Log, ...]:
    """Return the program's log, or those of its agent and Envoy."""
    names = (AGENT_LOG, ENVOY_LOG) if proxy or spec.app is None else (APP_LOG,)
    return tuple(Log(replica=spec.name, path=Path(spec.directory, name)) for name in names)


def access_log_of(spec: AgentSpec) -> tuple[Log, ...]:
    """Return the log that has the lines of the access log among others."""
    return (Log(replica=spec.name, path=Path(spec.directory, ENVOY_LOG)),)


class Reader:
    """Reads a file that grows, line by line."""

    def __init__(self, path: Path, *, last: int | None) -> None:
        self._path = path
        self._position = 0 if last is None else start_of_last_lines(path, last)
        self._rest = b""

    def lines(self) -> Iterator[bytes]:
        """Yield the complete lines that are new since the last call."""
        try:
            with self._path.open("rb") as file:
                if file.seek(0, 2) < self._position:  # begun anew
                    self._position, self._rest = 0, b""
                file.seek(self._position)
                while block := file.read(_BLOCK):
                    self._position += len(block)
                    *complete, self._rest = (self._rest + block).split(b"\n")
                    yield from complete
        except FileNotFoundError:
            return

    def rest(self) -> Iterator[bytes]:
        """Yield a last line without an end."""
        if self._rest:
            yield self._rest
            self._rest = b""


def start_of_last_lines(path: Path, count: int) -> int:
    """Return where the last ``count`` lines of a file begin; it is read from its end."""
    try:
        with path.open("rb") as file:
            end = position = file.seek(0, 2)
            text = b""
            while position > 0 and text.rstrip(b"\n").count(b"\n") < count:
                step = min(_BLOCK, position)
                position = file.seek(position - step)
                text = file.read(step) + text
    except FileNotFoundError:
        return 0
    lines = text.splitlines(keepends=True)
    return end - sum(map(len, lines[len(lines) - min(count, len(lines)) :]))
