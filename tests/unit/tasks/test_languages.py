"""Languages have the codes that people write."""

from __future__ import annotations

import json
from importlib.resources import files

import pytest

from benchkit.tasks.languages import language_code, language_tag


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("eng-Latn", "en"),
        ("zho-Hans", "zh"),
        ("cmn-Hant", "zh"),
        ("deu", "de"),
        ("arb-Arab", "ar"),
        ("ary-Arab", "ary"),
        ("yue-Hant", "yue"),
        ("python-Code", "python"),
        ("", ""),
    ],
)
def test_a_language_has_its_short_code(name: str, code: str) -> None:
    assert language_code(name) == code


@pytest.mark.parametrize(
    ("names", "tag"),
    [
        ([], ""),
        (["eng-Latn"], "en"),
        (["deu-Latn", "eng-Latn"], "de-en"),
        (["eng-Latn", "deu-Latn"], "en-de"),
        (["zho-Hans", "cmn-Hant"], "zh"),
        (["deu-Latn", "eng-Latn", "fra-Latn"], "mul"),
    ],
)
def test_a_subset_has_one_tag(names: list[str], tag: str) -> None:
    assert language_tag(names) == tag


def test_the_table_agrees_with_that_of_mteb() -> None:
    table = json.loads((files("mteb") / "languages" / "iso_639_1_to_3.json").read_text(encoding="utf-8"))
    assert {short: language_code(long) for short, long in table.items()} == {short: short for short in table}
