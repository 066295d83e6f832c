"""The table of fields: every one is shown by a test, or it is said how it differs and why."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator

import msgspec

from clew.config.validate.unsupported import UNSUPPORTED
from clew.model.kinds import KINDS
from docs.fields import NOTES, fields, messages, notes, proofs, roots, unknown, unproven
from docs.generate import COMPATIBILITY, compatibility


def test_marks_and_notes_name_fields_that_exist() -> None:
    assert unknown(tuple(fields(KINDS))) == []


def test_every_field_is_proven_or_its_difference_is_told() -> None:
    assert unproven(tuple(fields())) == []


def test_what_clew_warns_of_is_said_in_one_place_and_shown_to_work_nowhere() -> None:
    said = {key for keys in tomllib.loads(NOTES.read_text()).values() for key in keys}
    assert said & UNSUPPORTED.keys() == set()
    assert proofs().keys() & UNSUPPORTED.keys() == set(), "it works: clew must not warn of it"


def test_clew_warns_of_every_field_that_has_no_effect() -> None:
    """But not of each field in a message that it warns of, nor of what it refuses."""
    said = notes(tuple(fields()))
    silent = [
        key
        for key in settable()
        if key not in UNSUPPORTED
        and said.get(key, ("", ""))[0] == "unsupported"
        and not said[key][1].startswith("refused")
    ]
    assert silent == []


def settable() -> Iterator[str]:
    """Yield the fields that one can set without one that clew warns of."""
    waiting: list[type] = [root for _, root in roots()]
    seen: set[type] = set()
    while waiting:
        message = next(messages(waiting.pop(), seen.copy()), None)
        if message is None or message in seen:
            continue
        seen.add(message)
        for field in msgspec.structs.fields(message):
            key = f"{message.__name__}.{field.encode_name}"
            yield key
            if key not in UNSUPPORTED:
                waiting.append(field.type)


def test_the_page_is_what_make_docs_writes() -> None:
    assert COMPATIBILITY.read_text() == compatibility(), "run `make docs`"
