"""One target in libFuzzer's hands: ``python -m tests.fuzz.child TARGET CORPUS [-option=…]``."""

from __future__ import annotations

import logging
import sys

import atheris

with atheris.instrument_imports(
    include=["clew", "dns", "hpack", "yaml"], exclude=["clew._pb"], enable_loader_override=False
):
    from tests.fuzz.targets import TARGETS


def main() -> None:
    target = TARGETS[sys.argv[1]]
    logging.disable()
    atheris.Setup([sys.argv[0], *sys.argv[2:]], target.feed)
    atheris.Fuzz()


main()
