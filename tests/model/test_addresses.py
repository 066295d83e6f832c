from __future__ import annotations

import pytest

from clew.model.addresses import is_ip


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("10.0.0.1", True),
        ("fd00::1", True),
        ("::", True),
        ("10.0.0.0/8", False),
        ("10.0.0", False),
        ("1.example.com", False),
        ("example.com", False),
        ("unix:///run/app.sock", False),
        ("", False),
    ],
)
def test_an_address_is_neither_a_name_nor_a_range_nor_a_path(text: str, expected: bool) -> None:
    assert is_ip(text) is expected
