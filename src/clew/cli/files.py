"""The manifests that ``-f`` names: files, directories and standard input."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import click

SUFFIXES = frozenset({".yaml", ".yml", ".json"})


def read_files(names: tuple[str, ...], *, recursive: bool = False) -> Iterator[tuple[str, str]]:
    """Yield (name, text) of every manifest file that ``names`` stand for; ``-`` is the input.

    Raises:
        click.UsageError: one of them cannot be read.
    """
    for name in names:
        if name == "-":
            yield "<stdin>", sys.stdin.read()
            continue
        for path in _expand(Path(name), recursive=recursive):
            try:
                yield str(path), path.read_text(encoding="utf-8")
            except (OSError, UnicodeDecodeError) as error:
                raise click.UsageError(f"cannot read {path}: {error}") from error


def _expand(path: Path, *, recursive: bool) -> Iterator[Path]:
    if not path.is_dir():
        yield path
        return
    entries = sorted(path.rglob("*") if recursive else path.iterdir())
    yield from (entry for entry in entries if entry.suffix in SUFFIXES and entry.is_file())
