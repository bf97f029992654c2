"""Own pairs of texts: which rows of a file are scored."""

from __future__ import annotations

from pathlib import Path

import pytest
from own_files import pairs

from benchkit.errors import SuiteError


def test_pairs_of_several_splits_are_not_all_scored(tmp_path: Path) -> None:
    text = "sentence1,sentence2,score,split\na,b,1,train\nc,d,2,test\ne,f,3,dev\n"
    with pytest.raises(SuiteError, match="the column 'split' holds dev, test, train, and every row would count"):
        pairs(tmp_path, "x.csv", text)
    assert pairs(tmp_path, "x.csv", text.replace("train", "test").replace("dev", "test")).first == ["a", "c", "e"]


def test_a_split_that_names_no_part_of_a_data_set_is_a_slice(tmp_path: Path) -> None:
    found = pairs(tmp_path, "x.csv", "sentence1,sentence2,score,split\na,b,1,hard\nc,d,2,easy\ne,f,3,easy\n")
    assert found.tags == {"split": ["hard", "easy", "easy"]}
