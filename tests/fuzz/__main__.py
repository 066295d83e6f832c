"""Feed the targets with libFuzzer: ``python -m tests.fuzz [--seconds N] [TARGET …]``.

The seconds, an hour unless said otherwise, are shared by the targets; each has a process of its
own, and as many run at once as there are processors. Of a good one only that is shown.
What libFuzzer finds interesting is kept in ``.fuzz/<target>`` and is where the next run begins; an
input that breaks a target lies there too, as ``crash-…``, ``timeout-…`` or ``oom-…``.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
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
    together = os.cpu_count() or 1
    seconds = max(options.seconds * together // len(names), 1)
    good = True
    with ThreadPoolExecutor(together) as running:
        for name, run in zip(
            names, running.map(lambda name: fuzz(name, seconds, FOLDER), names), strict=True
        ):
            good = good and run.returncode == 0
            print(f"{name}: {_summary(run)}", flush=True)
    return 0 if good else 1


def _summary(run: subprocess.CompletedProcess[str]) -> str:
    if run.returncode != 0:
        return f"FAILED\n{run.stdout}"
    done = re.search(r"^Done (\d+) runs", run.stdout, re.MULTILINE)
    return f"good, {int(done[1]):,} inputs" if done else "good"


def fuzz(name: str, seconds: int, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run one target for so long; its exit code is 0 if nothing broke it."""
    corpus = folder / name
    corpus.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(TARGETS[name].seeds()):
        (corpus / f"seed-{number}").write_bytes(seed)
    command = [
        *(sys.executable, "-m", "tests.fuzz.child", name, str(corpus)),
        *(f"-max_total_time={seconds}", f"-timeout={_INPUT_SECONDS}"),
        *(f"-rss_limit_mb={_MEGABYTES}", f"-artifact_prefix={corpus}/", "-print_final_stats=1"),
    ]
    return subprocess.run(
        command,
        cwd=_ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="backslashreplace",
        check=False,
    )


if __name__ == "__main__":
    sys.exit(main())
