"""Is a text an expression of CEL, by its syntax? What its names mean, Envoy alone knows.

Source: the grammar of the CEL specification. How tightly operators bind makes no difference to
whether a text is one, so all binary operators are alike here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from clew.config.finding import FieldPath, Finding

_TOKEN = re.compile(
    r"""\s+|//[^\n]*
    |(?P<literal>
        [rRbB]{0,2}(?:'{3}.*?'{3}|"{3}.*?"{3})
        |[rR][bB]?(?:'[^'\n]*'|"[^"\n]*")
        |[bB]?(?:'(?:\\.|[^'\\\n])*'|"(?:\\.|[^"\\\n])*")
        |0x[0-9a-fA-F]+u?|\d*\.\d+(?:[eE][+-]?\d+)?|\d+[eE][+-]?\d+|\d+u?
    )
    |(?P<name>[_a-zA-Z][_a-zA-Z0-9]*)
    |(?P<operator>\|\||&&|<=|>=|==|!=|[-+*/%<>!?:.,()\[\]{}])""",
    re.VERBOSE | re.DOTALL,
)
_BINARY = frozenset("|| && < <= > >= == != in + - * / %".split())
_DEEPEST = 100


class _NotCel(ValueError):
    """Where the text stops to be an expression."""


def check_expression(text: str, path: FieldPath) -> Iterator[Finding]:
    try:
        tokens = [*_tokens(text), ""]
        end = _expression(tokens, 0, 0)
        if tokens[end]:
            raise _NotCel(f'"{tokens[end]}" is not expected')
    except _NotCel as error:
        yield Finding(path, f"this is not an expression of CEL: {error}")


def _tokens(text: str) -> Iterator[str]:
    """Yield names and operators as they are, and "0" for every literal."""
    at = 0
    while at < len(text):
        token = _TOKEN.match(text, at)
        if token is None:
            raise _NotCel(f'"{text[at : at + 10]}" is not expected')
        at = token.end()
        if token["literal"] is not None:
            yield "0"
        elif token.lastgroup:
            yield token[0]


def _expression(tokens: Sequence[str], at: int, depth: int) -> int:
    """Return the index after the expression that begins at ``at``."""
    if depth > _DEEPEST:
        raise _NotCel("it is nested too deeply")
    at = _operand(tokens, at, depth)
    while tokens[at] in _BINARY:
        at = _operand(tokens, at + 1, depth)
    if tokens[at] != "?":
        return at
    at = _expect(tokens, _expression(tokens, at + 1, depth + 1), ":")
    return _expression(tokens, at, depth + 1)


def _operand(tokens: Sequence[str], at: int, depth: int) -> int:
    while tokens[at] in ("!", "-"):
        at += 1
    at = _primary(tokens, at, depth)
    while tokens[at] in (".", "[", "{", "("):
        if tokens[at] == ".":
            at = _name(tokens, at + 1)
        elif tokens[at] == "[":
            at = _expect(tokens, _expression(tokens, at + 1, depth + 1), "]")
        else:
            at = _list(tokens, at, depth)
    return at


def _primary(tokens: Sequence[str], at: int, depth: int) -> int:
    token = tokens[at]
    if token == "(":
        return _expect(tokens, _expression(tokens, at + 1, depth + 1), ")")
    if token in ("[", "{"):
        return _list(tokens, at, depth)
    if token == "0":
        return at + 1
    return _name(tokens, at + 1 if token == "." else at)


def _list(tokens: Sequence[str], at: int, depth: int) -> int:
    """Arguments, elements of a list, or keys and values, each with a bracket of its kind."""
    close = {"(": ")", "[": "]", "{": "}"}[tokens[at]]
    pairs = close == "}"
    at += 1
    while tokens[at] != close:
        at = _expression(tokens, at, depth + 1)
        if pairs:
            at = _expression(tokens, _expect(tokens, at, ":"), depth + 1)
        if tokens[at] != close:
            at = _expect(tokens, at, ",")
    return at + 1


def _name(tokens: Sequence[str], at: int) -> int:
    if not tokens[at].isidentifier() or tokens[at] == "in":
        raise _NotCel(f'"{tokens[at]}" is not expected' if tokens[at] else "something is missing")
    return at + 1


def _expect(tokens: Sequence[str], at: int, wanted: str) -> int:
    if tokens[at] != wanted:
        raise _NotCel(f'"{wanted}" is missing')
    return at + 1
