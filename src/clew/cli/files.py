"""The manifests that ``-f`` names: files, directories and standard input."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import click

SUFFIXES = frozenset({".yaml", ".yml", ".json"})


def read_files(names: tuple[str, ...], *, recursive: bool = False) -> list[tuple[str, str]]:
    """Return (name, text) of every manifest file that ``names`` stand for; ``-`` is the input.

    All are read before anything is done with one of them.

    Raises:
        click.UsageError: one of them cannot be read, or a directory has none.
    """
    return [read for name in names for read in _read(name, recursive=recursive)]


def _read(name: str, *, recursive: bool) -> Iterator[tuple[str, str]]:
    if name == "-":
        yield "<stdin>", _text("the input", sys.stdin.buffer.read())
        return
    for path in _expand(Path(name), recursive=recursive):
        try:
            content = path.read_bytes()
        except OSError as error:
            raise _unreadable(path, error.strerror or str(error)) from error
        yield str(path), _text(path, content)


def _text(place: Path | str, content: bytes) -> str:
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise _unreadable(place, f"line {line} is not text in UTF-8") from error


def _unreadable(place: Path | str, reason: str) -> click.UsageError:
    return click.UsageError(f"cannot read {place}: {reason}. Nothing was done with any file.")


def _expand(path: Path, *, recursive: bool) -> list[Path]:
    if not path.is_dir():
        return [path]
    entries = sorted(path.rglob("*") if recursive else path.iterdir())
    found = [entry for entry in entries if entry.suffix in SUFFIXES and entry.is_file()]
    if not found:
        where = "in or below" if recursive else "in"
        hint = "" if recursive else "; -R looks into the directories below, too"
        raise click.UsageError(f"no file ends with .yaml, .yml or .json {where} {path}{hint}")
    return found
