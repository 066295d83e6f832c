"""The table of fields: every one is shown by a test, or it is said how it differs and why."""

from clew.model.kinds import KINDS
from docs.fields import fields, unknown, unproven
from docs.generate import COMPATIBILITY, compatibility


def test_marks_and_notes_name_fields_that_exist() -> None:
    assert unknown(tuple(fields(KINDS))) == []


def test_every_field_is_proven_or_its_difference_is_told() -> None:
    assert unproven(tuple(fields())) == []


def test_the_page_is_what_make_docs_writes() -> None:
    assert COMPATIBILITY.read_text() == compatibility(), "run `make docs`"
