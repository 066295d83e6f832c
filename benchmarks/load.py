"""Processes pinned to cores, HTTP load from wrk, and what the proxies used of their core."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")
PROXY_CORE, LOAD_CORE, ANY_CORE = "0", "1", "0,1"


@dataclass(frozen=True, slots=True)
class Sample:
    """``cpu_seconds`` is what the proxies used, user and system, while ``requests`` were served."""

    requests: int
    seconds: float
    p50_ms: float
    p99_ms: float
    cpu_seconds: float
    failed: int

    @property
    def per_second(self) -> float:
        return self.requests / self.seconds

    @property
    def per_cpu_second(self) -> float:
        return self.requests / self.cpu_seconds if self.cpu_seconds else float("inf")


def missing_tools() -> list[str]:
    return [tool for tool in ("wrk", "nginx", "taskset") if not shutil.which(tool)]


@contextmanager
def running(command: Sequence[str], core: str, log: Path) -> Iterator[int]:
    """Run a program on one core and yield its pid."""
    with log.open("ab") as output:
        process = subprocess.Popen(
            ["taskset", "-c", core, *command], stdout=output, stderr=output, start_new_session=True
        )
    try:
        yield process.pid
    finally:
        process.terminate()
        process.wait(timeout=30)


def measure(url: str, pids: Sequence[int], *, seconds: int, connections: int = 32) -> Sample:
    """Load ``url`` from wrk on the load core."""
    before, start = sum(map(cpu_seconds, pids)), time.monotonic()
    wrk = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--latency", url]
    report = subprocess.run(
        ["taskset", "-c", LOAD_CORE, *wrk],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    used, elapsed = sum(map(cpu_seconds, pids)) - before, time.monotonic() - start
    return Sample(
        requests=int(_find(r"(\d+) requests in", report)),
        seconds=elapsed,
        p50_ms=_latency("50%", report),
        p99_ms=_latency("99%", report),
        cpu_seconds=used,
        failed=_failed(report),
    )


def cpu_seconds(pid: int) -> float:
    """What ``pid`` and its threads have used so far, nginx's workers included."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return _own_cpu_seconds(pid) + sum(_own_cpu_seconds(int(child)) for child in children)


def private_megabytes(pid: int) -> float:
    """Memory that one more such process takes.

    Pages that are as in the file are left out: all processes of a program share them, and they
    would count as private while there happens to be only one.
    """
    text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    [kilobytes] = re.findall(r"^Private_Dirty:\s+(\d+) kB", text, re.M)
    return int(kilobytes) / 1024


def _own_cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def _latency(percentile: str, report: str) -> float:
    value, unit = re.findall(rf"{percentile}\s+([\d.]+)(us|ms|s)", report)[0]
    return float(value) * {"us": 0.001, "ms": 1.0, "s": 1000.0}[unit]


def _failed(report: str) -> int:
    """Socket errors plus answers that were not 2xx or 3xx."""
    socket_errors = re.search(r"Socket errors: connect (\d+), read (\d+), write (\d+)", report)
    statuses = re.search(r"Non-2xx or 3xx responses: (\d+)", report)
    errors = sum(int(n) for n in socket_errors.groups()) if socket_errors else 0
    return errors + (int(statuses.group(1)) if statuses else 0)


def _find(pattern: str, text: str) -> str:
    match = re.search(pattern, text)
    if match is None:
        raise ValueError(f"wrk printed no {pattern!r}:\n{text}")
    return match.group(1)
