"""Becomes another program that cannot outlive the agent; runs as a script, imports nothing of clew.

Usage: ``python -I -S bound_exec.py PARENT_PID keep|drop PROGRAM ARGUMENT…``. A ``preexec_fn``
would do the same by forking a process in which gRPC's threads run, which may hang.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1
PR_CAPBSET_DROP = 24
CAP_NET_ADMIN = 12


def become(parent: int, drop_network_admin: bool, command: list[str]) -> None:
    """Replace this process by ``command``, which the kernel kills when the agent is gone.

    Without CAP_NET_ADMIN a program can neither change the capture rules nor mark its own
    packets as the proxy's.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:  # it died before the line above
        raise SystemExit(1)
    if drop_network_admin:
        libc.prctl(PR_CAPBSET_DROP, CAP_NET_ADMIN, 0, 0, 0)
    os.execvp(command[0], command)


if __name__ == "__main__":
    try:
        become(int(sys.argv[1]), sys.argv[2] == "drop", sys.argv[3:])
    except OSError as error:  # 127 and 126 are what shells use
        print(f"clew: cannot run {sys.argv[3]!r}: {error.strerror}", file=sys.stderr)
        raise SystemExit(127 if isinstance(error, FileNotFoundError) else 126) from None
