"""Words, scripts and lengths of texts in several languages."""

from __future__ import annotations

import pytest

from benchkit.suite.text_facts import estimated_tokens, is_unspaced, main_script, normalize, words


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Don't panic: 密码!", ["don", "t", "panic", "密", "码"]),
        ("snake_case", ["snake", "case"]),
        ("ＡＢＣ １２", ["abc", "12"]),
        ("Straße", ["strasse"]),
        ("हिन्दी भाषा", ["हिन्दी", "भाषा"]),
        ("한국어 텍스트", ["한국어", "텍스트"]),
        ("abc中文def", ["abc", "中", "文", "def"]),
        (" ... ", []),
    ],
)
def test_words_are_normalised_and_cut_as_the_script_asks(text: str, expected: list[str]) -> None:
    assert words(text) == expected


def test_normalisation_hides_case_width_and_spaces_only() -> None:
    assert normalize(" Ｈello\n\tWORLD ") == normalize("hello world") != normalize("hello, world")


@pytest.mark.parametrize(
    ("text", "script"),
    [("Пароль (pw)?", "Cyrillic"), ("密码 abc 是什么呢", "Chinese or Japanese"),
     ("ひらがな", "Chinese or Japanese"), ("ＡＢＣ", "Latin"),
     ("123 !", None), ("", None), ("한국어", "Hangul"), ("ªbc", "Latin")],
)  # fmt: skip
def test_the_script_is_that_of_most_letters(text: str, script: str | None) -> None:
    assert main_script(text) == script


def test_tokens_are_a_quarter_of_the_letters_and_all_of_the_chinese_characters() -> None:
    assert estimated_tokens("a" * 400) == 100
    assert estimated_tokens("密" * 100 + "a" * 40) == 110


def test_mostly_chinese_words_count_as_unspaced() -> None:
    assert is_unspaced(words("怎么重置password密码"))
    assert not is_unspaced(words("reset the password 密"))
    assert not is_unspaced([])
