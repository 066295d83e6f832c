"""Which capture works on this machine: it is tried out, not guessed."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from clew.agent.spec import Capture

# Where network tools live when PATH is that of an ordinary user.
_SYSTEM_PATHS = ("/usr/local/sbin", "/usr/sbin", "/sbin", "/usr/bin", "/bin")
_PACKAGES = {
    "ip": "iproute2",
    "nft": "nftables",
    "unshare": "util-linux",
    "nsenter": "util-linux",
    "mount": "mount",
    "flock": "util-linux",
}
# Everything that the network of a mesh is made of, in namespaces that end with the command.
_TRIAL = (
    "ip link add name clew-trial type bridge && ip link add veth-trial type veth && "
    "nft add table inet clew && nft add chain inet clew trial "
    "'{ type nat hook output priority -100; }' && nft add rule inet clew trial tcp dport 1 "
    "meta mark 1337 redirect to :2"
)
_TRIAL_SECONDS = 10.0


class NoCapture(Exception):
    """The capture that was asked for does not work here; the message says why and what else."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """``why``: why it is not a better one, "" if there is none."""

    capture: Capture
    user_namespace: bool = False
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """How setting up a small network went. ``problem`` is "" when it worked."""

    user_namespace: bool
    problem: str = ""


def choose_capture(wanted: Capture | None, try_network: Callable[[], Trial]) -> Choice:
    """Return the capture that is wanted, else the best that works.

    Raises:
        NoCapture: network namespaces are wanted, and do not work here.
    """
    if wanted is Capture.ENV:
        return Choice(capture=Capture.ENV, why="--capture env was asked for")
    trial = try_network()
    if not trial.problem:
        return Choice(capture=Capture.NETNS, user_namespace=trial.user_namespace)
    if wanted is Capture.NETNS:
        raise NoCapture(
            f"--capture netns does not work here: {trial.problem}. Nothing was started. "
            "Run as root, or allow user namespaces, or use --capture env."
        )
    return Choice(capture=Capture.ENV, why=f"network namespaces do not work here: {trial.problem}")


def tool_path(environ: Mapping[str, str]) -> str:
    """PATH, with the places of system tools at its end."""
    given = environ.get("PATH", "").split(os.pathsep)
    return os.pathsep.join([*given, *(p for p in _SYSTEM_PATHS if p not in given)])


def try_network(environ: Mapping[str, str]) -> Trial:
    """Set up and forget a small network: as root if we are root, else in a user namespace."""
    path = tool_path(environ)
    missing = [tool for tool in _PACKAGES if shutil.which(tool, path=path) is None]
    if missing:
        packages = " ".join(sorted({_PACKAGES[tool] for tool in missing}))
        problem = f"not installed: {', '.join(missing)} (apt install {packages})"
        return Trial(user_namespace=False, problem=problem)
    problems = []
    for user_namespace in (False, True) if os.geteuid() == 0 else (True,):
        problem = _try(unshare_command(user_namespace), path)
        if not problem:
            return Trial(user_namespace=user_namespace)
        problems.append(problem)
    return Trial(user_namespace=True, problem="; ".join(problems))


def unshare_command(user_namespace: bool) -> tuple[str, ...]:
    """The start of a command in a network and mount namespace of its own."""
    return (
        "unshare",
        *(("--user", "--map-root-user") if user_namespace else ()),
        "--net",
        "--mount",
    )


def _try(unshare: tuple[str, ...], path: str) -> str:
    try:
        done = subprocess.run(
            (*unshare, "sh", "-c", _TRIAL),
            env={"PATH": path},
            capture_output=True,
            text=True,
            timeout=_TRIAL_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return "setting up a network took too long"
    if done.returncode == 0:
        return ""
    said = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
    return f"{' '.join(unshare)}: {said[0]}"
