from __future__ import annotations

from clew.compile.memo import Memo


def test_a_result_is_computed_once_for_the_same_objects() -> None:
    memo, calls = Memo(), []

    def join(parts: tuple[str, ...], end: str) -> str:
        calls.append(parts)
        return "".join(parts) + end

    parts = ("a", "b")
    assert memo.call(join, parts, "!") == memo.call(join, parts, "!") == "ab!"
    assert len(calls) == 1


def test_equal_but_different_objects_do_not_count_as_the_same() -> None:
    memo = Memo()
    one, other = list("ab"), list("ab")
    assert memo.call(_reversed, one) is not memo.call(_reversed, other)


def test_strings_numbers_and_frozensets_count_by_value() -> None:
    memo = Memo()
    first = memo.call(_pair, "ab", frozenset("c"))
    assert memo.call(_pair, "".join(["a", "b"]), frozenset("c")) is first


def test_what_nobody_asks_for_is_forgotten() -> None:
    memo = Memo(limit=2)
    kept = memo.call(_pair, "kept", frozenset())
    lost = memo.call(_pair, "lost", frozenset())
    for number in range(6):
        memo.call(_pair, f"new {number}", frozenset())
        assert memo.call(_pair, "kept", frozenset()) is kept
    assert memo.call(_pair, "lost", frozenset()) is not lost


def _pair(text: str, letters: frozenset[str]) -> list[object]:
    return [text, letters]


def _reversed(letters: list[str]) -> list[str]:
    return letters[::-1]
