"""``python -m benchmarks [NAME …]``: run all benchmarks, or those that are named."""

from __future__ import annotations

import platform
import sys
from importlib import import_module

NAMES = ("resources", "compiling", "streams", "convergence", "startup", "sidecars", "memory")


def main(names: list[str]) -> None:
    if unknown := set(names) - set(NAMES):
        sys.exit(f"no benchmark {', '.join(sorted(unknown))}; there are: {', '.join(NAMES)}")
    print(f"Python {platform.python_version()}, {platform.machine()}, {platform.system()}")
    for name in names or NAMES:
        import_module(f"benchmarks.{name}").main()


if __name__ == "__main__":
    main(sys.argv[1:])
