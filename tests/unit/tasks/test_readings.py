"""Signs that a file means something else than a plain reading of it gives."""

from __future__ import annotations

import pytest

from benchkit.tasks import readings


def test_a_column_that_also_holds_other_words_tells_no_parts() -> None:
    rows: list[dict[str, object]] = [
        {"topic": "test", "split": "a"},
        {"topic": "drive", "split": "b"},
        {"topic": None, "split": ""},
    ]
    assert readings.column_of_parts(rows) == ("", "")


@pytest.mark.parametrize(
    ("label", "plain"), [(" a\u00a0 b ", "a b"), ("-3.000", "-3"), ("3.10", "3.10"), ("v1.0", "v1.0"), ("007", "007")]
)
def test_only_what_reads_alike_is_one_label(label: str, plain: str) -> None:
    assert readings.plain_label(label) == plain
