"""One target in libFuzzer's hands: ``python -m tests.fuzz.child TARGET CORPUS [-option=…]``."""

from __future__ import annotations

import logging
import sys
from pathlib import Path

import atheris

import clew

# The generated messages are left out: there are hundreds, and they decide nothing.
_PACKAGE = Path(clew.__file__).parent
_GENERATED = [
    ".".join((clew.__name__, *path.relative_to(_PACKAGE).with_suffix("").parts))
    for path in (_PACKAGE / "_pb").rglob("*")
    if path.suffix in (".py", "")
]

with atheris.instrument_imports(
    include=["clew", "dns", "hpack", "yaml"], exclude=_GENERATED, enable_loader_override=False
):
    from tests.fuzz.targets import TARGETS


def main() -> None:
    target = TARGETS[sys.argv[1]]
    logging.disable()
    atheris.Setup([sys.argv[0], *sys.argv[2:]], target.feed)
    atheris.Fuzz()


main()
