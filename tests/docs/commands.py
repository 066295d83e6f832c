"""The commands that the documents show, as their readers would type them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCUMENTS = (
    ROOT / "README.md",
    ROOT / "docs" / "security.md",
    ROOT / "docs" / "observability.md",
    ROOT / "docs" / "console.md",
    *sorted((ROOT / "docs" / "tutorials").glob("*.md")),
    *sorted((ROOT / "docs" / "how-to").glob("*.md")),
)


@dataclass(frozen=True, slots=True)
class Shown:
    """One command line; ``text`` is what its here-document feeds it."""

    document: Path
    line: str
    text: str = ""


def shown_commands(document: Path) -> Iterator[Shown]:
    """Yield the ``clew`` commands in a document's shell blocks, comments left out."""
    for block in re.findall(r"```sh\n(.*?)```", document.read_text(), re.DOTALL):
        for match in re.finditer(r"^clew .*?(?:<<EOF\n(.*?)^EOF$|$)", block, re.DOTALL | re.M):
            text = match.group(1) or ""
            line = match.group(0).partition("<<EOF")[0].partition("#")[0]
            for part in line.split(";"):
                yield Shown(document, part.strip(), text)
