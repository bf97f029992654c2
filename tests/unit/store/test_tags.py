"""Tags come back as they were written, of one task or of all; a file of something else is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchkit.errors import UsageError
from benchkit.store.answers import write_answers
from benchkit.store.tags import read_tags, write_tags
from benchkit.types.tags import ItemTags, KeptTags

TAGS = (
    KeptTags(
        "one",
        {"test/en": ("q1", "q2"), "test/zh": ("q1",)},
        ItemTags(
            {"test/en": {"topic": ("<b>", ""), "vip": ("true", "false")}, "test/zh": {"topic": ("中文",)}},
            ("w",),
            {"lang": "<i>"},
        ),
    ),
    KeptTags("two", {"test/default": ("a",)}, ItemTags({}, ("lang has 51 values",))),
    KeptTags("three", {"test/default": ("a",)}, ItemTags(alike={"lang": "en"})),
)


def test_tags_come_back_whole(tmp_path: Path) -> None:
    path = tmp_path / "tags.parquet"
    write_tags(path, TAGS)
    assert read_tags(path) == TAGS
    assert read_tags(path, task="two") == TAGS[1:2]
    assert read_tags(path, task="no such task") == ()
    assert [found.name for found in tmp_path.iterdir()] == ["tags.parquet"]


def test_no_tags_are_a_file_too(tmp_path: Path) -> None:
    write_tags(tmp_path / "tags.parquet", ())
    assert read_tags(tmp_path / "tags.parquet") == ()


def test_half_a_surrogate_pair_is_stored_as_a_question_mark(tmp_path: Path) -> None:
    path = tmp_path / "tags.parquet"
    write_tags(path, [KeptTags("t", {"p": ("\ud800",)}, ItemTags({"p": {"k": ("a\udfff",)}}))])
    assert read_tags(path) == (KeptTags("t", {"p": ("?",)}, ItemTags({"p": {"k": ("a?",)}})),)


def test_other_files_are_refused_with_a_sentence(tmp_path: Path) -> None:
    path = tmp_path / "tags.parquet"
    write_answers(path, [])
    with pytest.raises(UsageError, match="no tags that this benchkit reads"):
        read_tags(path)
    path.write_bytes(b"no Parquet")
    with pytest.raises(UsageError, match="can't be read as Parquet"):
        read_tags(path)
