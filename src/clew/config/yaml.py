"""YAML as Kubernetes reads it: its scalars, no duplicate keys, bounded, with positions."""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Iterator, Sequence
from typing import Any

import yaml

MAX_BYTES = 16 * 1024 * 1024
MAX_DEPTH = 64
MAX_NODES = 1_000_000
_MOST_REPAIRS = 100
_WRONG_COLON = "found unexpected ':'"

# What libyaml's words come from most often, and what to do.
_CAUSES = {
    "did not find expected alphabetic or numeric character": (
        'what begins with * or & needs quotes, as in "*.example.com"'
    ),
    "mapping values are not allowed in this context": (
        'is the line indented as those above? A text with ": " in it needs quotes'
    ),
    "did not find expected key": "is the line indented as those above?",
    "could not find expected ':'": "is the colon missing, or the line indented wrongly?",
    "did not find expected node content": (
        "is a value missing? A template has to be rendered first"
    ),
}
_WRONG_START = "found character that cannot start any token"

Path = Sequence[str | int]


class BadYaml(ValueError):
    """The text is not YAML that Kubernetes would take. ``line`` and ``column`` are 1-based."""

    def __init__(self, problem: str, line: int, column: int) -> None:
        super().__init__(problem)
        self.problem, self.line, self.column = problem, line, column


class _Loader(yaml.CSafeLoader):
    """Scalars as in sigs.k8s.io/yaml: ``on`` is true, 0644 octal; no dates, no base 60."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                mark = key.start_mark
                problem = "a key must be text; a template has to be rendered first"
                raise BadYaml(problem, mark.line + 1, mark.column + 1)
            if key.value in seen and key.tag != "tag:yaml.org,2002:merge":
                mark = key.start_mark
                raise BadYaml(
                    f'the key "{key.value}" appears twice', mark.line + 1, mark.column + 1
                )
            seen.add(key.value)
        values = super().construct_mapping(node, deep)
        if all(isinstance(key, str) for key in values):
            return values
        return {_key_text(key): value for key, value in values.items()}


def _key_text(key: Hashable) -> str:
    """JSON has only texts as keys: a port ``8080:`` is ``"8080"``, as in sigs.k8s.io/yaml."""
    return str(key).lower() if isinstance(key, bool) else str(key)


_REPLACED = ("timestamp", "int", "float", "value")
_Loader.yaml_implicit_resolvers = {
    first: [(tag, regex) for tag, regex in resolvers if tag.rpartition(":")[2] not in _REPLACED]
    for first, resolvers in yaml.CSafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:int",
    re.compile(r"^(?:[-+]?0b[01_]+|[-+]?0[0-7_]+|[-+]?(?:0|[1-9][0-9_]*)|[-+]?0x[0-9a-fA-F_]+)$"),
    list("-+0123456789"),
)
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(
        r"^(?:[-+]?[0-9][0-9_]*\.[0-9_]*(?:[eE][-+]?[0-9]+)?|[-+]?\.[0-9_]+(?:[eE][-+]?[0-9]+)?"
        r"|[-+]?[0-9][0-9_]*[eE][-+]?[0-9]+|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$"
    ),
    list("-+0123456789."),
)


def split_documents(text: str) -> Iterator[tuple[int, str]]:
    """Yield (lines before it, text) of each document of a stream.

    A line that begins with ``---`` ends a document wherever it stands, even in a block scalar, so
    one document that is not YAML does not hide the others.
    """
    start, lines = 0, text.splitlines(keepends=True)
    for number, line in enumerate(lines):
        if line.startswith("---") and line[3:4] in ("", " ", "\t", "\n", "\r"):
            yield start, "".join(lines[start:number])
            start = number
    yield start, "".join(lines[start:])


def load(text: str) -> Any:
    """Read one document; None if it is empty. Raises: BadYaml."""
    if len(text) > MAX_BYTES:
        raise BadYaml(f"the document is longer than {MAX_BYTES >> 20} MiB", 1, 1)
    try:
        return _read(yaml.load, text)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        problem = _explained(error.problem or "this is not YAML", text, line, column)
        raise BadYaml(problem, line, column) from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        if isinstance(error, BadYaml):
            raise
        raise BadYaml(f"this is not YAML: {error}", 1, 1) from error


def _explained(problem: str, text: str, line: int, column: int) -> str:
    """Return what libyaml says, and what it often means."""
    cause = _CAUSES.get(problem, "")
    if problem == _WRONG_START:
        lines = text.splitlines()
        found = lines[line - 1][column - 1 : column] if line <= len(lines) else ""
        cause = "indent with spaces, not tabs" if found == "\t" else f"{found} needs quotes"
    return f"{problem}: {cause}" if cause else problem


def _read(read: Callable[[str, type[_Loader]], Any], text: str) -> Any:
    """Read a text, and again with quotes where libyaml is stricter than Kubernetes."""
    try:
        return read(text, _Loader)
    except yaml.MarkedYAMLError as error:
        if error.problem != _WRONG_COLON:
            raise
        return read(_with_colons_quoted(text), _Loader)


def _with_colons_quoted(text: str) -> str:
    """Return the text with quotes around what ends with a colon in a list: ``[fe80::, b]``.

    libyaml takes that colon for a mistake, Kubernetes for a part of the text.
    """
    for _ in range(_MOST_REPAIRS):
        if (at := _wrong_colon(text)) is None:
            return text
        start = max(text.rfind(mark, 0, at) for mark in "[{, \n") + 1
        text = f'{text[:start]}"{text[start : at + 1]}"{text[at + 1 :]}'
    return text


def _wrong_colon(text: str) -> int | None:
    try:
        for _ in yaml.parse(text, _Loader):
            pass
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        if error.problem == _WRONG_COLON and mark is not None:
            return int(mark.index)
    except yaml.YAMLError:
        pass
    return None


def without_nulls(value: Any) -> Any:
    """Return the value with every null field left out: to Kubernetes, null is unset.

    Raises: BadYaml when the value is too deep or, because of aliases, too large.
    """
    return _without_nulls(value) if _has_nulls(value) else value


def _has_nulls(value: Any) -> bool:
    """Tell whether a field is null. Looks at all of the value, to find out how large it is."""
    found, size, depth, level = False, 0, 0, [value]
    while level:
        depth += 1
        containers = [each for each in level if isinstance(each, (dict, list))]
        if depth > MAX_DEPTH and containers:
            raise BadYaml(f"the document is more than {MAX_DEPTH} levels deep", 1, 1)
        level = []
        for each in containers:
            size += len(each)
            if size > MAX_NODES:
                raise BadYaml(f"the document has more than {MAX_NODES} values", 1, 1)
            values = each.values() if isinstance(each, dict) else each
            found = found or (isinstance(each, dict) and None in each.values())
            level += values
    return found


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nulls(each) for key, each in value.items() if each is not None}
    if isinstance(value, list):
        return [_without_nulls(each) for each in value]
    return value


def locate(text: str, path: Path) -> tuple[int, int]:
    """Return the 1-based line and column of the field at ``path``, or of its nearest parent."""
    try:
        node = _read(yaml.compose, text)
    except yaml.YAMLError:
        return 1, 1
    if node is None:
        return 1, 1
    mark = node.start_mark
    for part in path:
        child = _child(node, part)
        if child is None:
            break
        node, mark = child
    return mark.line + 1, mark.column + 1


def _child(node: yaml.Node, part: str | int) -> tuple[yaml.Node, yaml.Mark] | None:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if key.value == str(part):
                return value, key.start_mark
    if isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
        item = node.value[part]
        return item, item.start_mark
    return None
