"""Half a character is no text that UTF-8 can hold."""

from __future__ import annotations

import pytest

from benchkit.models.surrogates import well_formed


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain 😀", "plain 😀"),
        ("\ud83d\ude00", "😀"),
        ("\ude00\ud83d", "\ufffd\ufffd"),
        ("a\ud83d", "a\ufffd"),
        ("\ud83da\ude00", "\ufffda\ufffd"),
        ("\ufeffa\ud83d", "\ufeffa\ufffd"),
    ],
)
def test_half_a_character_becomes_the_replacement_character(text: str, expected: str) -> None:
    assert well_formed(text) == expected
