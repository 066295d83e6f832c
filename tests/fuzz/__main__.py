"""Feed the targets with libFuzzer: ``python -m tests.fuzz [--seconds N] [TARGET …]``.

The seconds are shared by the targets, an hour unless said otherwise; each has a process of its own.
What libFuzzer finds interesting is kept in ``.fuzz/<target>`` and is where the next run begins; an
input that breaks a target lies there too, as ``crash-…``, ``timeout-…`` or ``oom-…``.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

from tests.fuzz.targets import TARGETS

_ROOT = Path(__file__).parents[2]
FOLDER = _ROOT / ".fuzz"
# An input that takes longer is a hang; a process that takes more has a leak.
_INPUT_SECONDS = 10
_MEGABYTES = 700


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("targets", nargs="*", choices=[[], *TARGETS], metavar="TARGET")
    parser.add_argument("--seconds", type=int, default=3600)
    options = parser.parse_args()
    names = options.targets or list(TARGETS)
    seconds = max(options.seconds // len(names), 1)
    failed = [name for name in names if fuzz(name, seconds, FOLDER) != 0]
    for name in names:
        print(f"{name}: {'FAILED' if name in failed else 'good'}")
    return 1 if failed else 0


def fuzz(name: str, seconds: int, folder: Path) -> int:
    """Run one target for so long; 0 if nothing broke it."""
    corpus = folder / name
    corpus.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(TARGETS[name].seeds()):
        (corpus / f"seed-{number}").write_bytes(seed)
    command = [
        *(sys.executable, "-m", "tests.fuzz.child", name, str(corpus)),
        *(f"-max_total_time={seconds}", f"-timeout={_INPUT_SECONDS}"),
        *(f"-rss_limit_mb={_MEGABYTES}", f"-artifact_prefix={corpus}/", "-print_final_stats=1"),
    ]
    return subprocess.run(command, cwd=_ROOT, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
