"""``python -m benchmarks [NAME …]``: run all benchmarks, or those that are named."""

from __future__ import annotations

import platform
import subprocess
import sys
from importlib import import_module

NAMES = (
    "resources",
    "compiling",
    "istio_cases",
    "streams",
    "convergence",
    "startup",
    "sidecars",
    "telemetry",
    "memory",
    "traffic",
    "bookinfo",
)


def main(names: list[str]) -> None:
    if unknown := set(names) - set(NAMES):
        sys.exit(f"no benchmark {', '.join(sorted(unknown))}; there are: {', '.join(NAMES)}")
    if len(names) == 1:
        import_module(f"benchmarks.{names[0]}").main()
        return
    print(
        f"Python {platform.python_version()}, {platform.machine()}, {platform.system()}", flush=True
    )
    for name in names or NAMES:
        # One process each: what one leaves behind is not another's memory.
        subprocess.run([sys.executable, "-m", "benchmarks", name], check=True)


if __name__ == "__main__":
    main(sys.argv[1:])
