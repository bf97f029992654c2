"""Own files as teams write them: keys that only some rows have, truth values for 0 and 1."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from benchkit.errors import SuiteError
from benchkit.tasks.local_data import RetrievalData, read_labelled, read_pairs, read_retrieval

DOCUMENTS = ({"_id": "a", "text": "open the valve"}, {"_id": "b", "title": "Refunds", "text": "within ten days"})
QUERY = {"_id": "q", "text": "money back"}


def write_jsonl(path: Path, rows: Sequence[Mapping[str, Any]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def retrieval(folder: Path, judgements: Sequence[Mapping[str, Any]]) -> RetrievalData:
    write_jsonl(folder / "corpus.jsonl", DOCUMENTS)
    write_jsonl(folder / "queries.jsonl", [QUERY])
    write_jsonl(folder / "qrels" / "test.jsonl", [{"query-id": "q", **judgement} for judgement in judgements])
    return read_retrieval(folder, reranking=False)


def test_a_title_is_read_though_the_first_document_has_none(tmp_path: Path) -> None:
    data = retrieval(tmp_path, [{"corpus-id": "b", "score": 1}])
    assert data.corpus == {"a": ("", "open the valve"), "b": ("Refunds", "within ten days")}


@pytest.mark.parametrize("without", [0, 1])
def test_a_judgement_without_the_grade_that_others_have_is_refused(without: int, tmp_path: Path) -> None:
    judgements: list[dict[str, Any]] = [{"corpus-id": "a", "score": 2}, {"corpus-id": "b", "score": 3}]
    del judgements[without]["score"]
    with pytest.raises(SuiteError, match=rf"test\.jsonl:{without + 1}: score should be a finite number, got None"):
        retrieval(tmp_path, judgements)


def test_judgements_without_any_grade_count_as_1(tmp_path: Path) -> None:
    assert retrieval(tmp_path, [{"corpus-id": "a"}, {"corpus-id": "b"}]).qrels == {"q": {"a": 1, "b": 1}}


def test_a_column_that_the_first_row_lacks_is_missing_there_only(tmp_path: Path) -> None:
    pair = {"sentence1": "cold", "sentence2": "warm"}
    path = write_jsonl(tmp_path / "x.jsonl", [pair, {**pair, "score": 1}])
    with pytest.raises(SuiteError, match=r"^[^\n]*x\.jsonl:1: score should be a finite number, got None$"):
        read_pairs(path, {}, kind="STS")


def test_truth_values_of_a_file_are_the_labels_0_and_1(tmp_path: Path) -> None:
    import pyarrow
    import pyarrow.parquet

    texts = ["a", "b", "c", "d"]
    columns = {"sentence1": texts, "sentence2": texts[::-1], "label": [True, False, False, True]}
    pyarrow.parquet.write_table(pyarrow.table(columns), tmp_path / "x.parquet")
    rows = zip(*columns.values(), strict=True)
    write_jsonl(tmp_path / "x.jsonl", [dict(zip(columns, row, strict=True)) for row in rows])
    lines = ["sentence1,sentence2,label", "a,d,True", "b,c,False", "c,b,false", "d,a,TRUE"]
    (tmp_path / "x.csv").write_text("\n".join(lines) + "\n")
    for suffix in ("parquet", "jsonl", "csv"):
        assert read_pairs(tmp_path / f"x.{suffix}", {}, kind="PairClassification").values == [1.0, 0.0, 0.0, 1.0]


def test_a_truth_value_is_no_score(tmp_path: Path) -> None:
    pair = {"sentence1": "cold", "sentence2": "warm"}
    path = write_jsonl(tmp_path / "x.jsonl", [{**pair, "score": True}, {**pair, "score": 2}])
    with pytest.raises(SuiteError, match=r"x\.jsonl:1: score should be a finite number, got True"):
        read_pairs(path, {}, kind="STS")


@pytest.mark.parametrize("written", ['["billing", "login"]', "['billing']", "[]"])
def test_a_list_written_out_in_csv_is_refused_and_not_taken_for_one_label(written: str, tmp_path: Path) -> None:
    with (tmp_path / "x.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["text", "label"], ["no heat", "heating|urgent"], ["bill", written]])
    with pytest.raises(SuiteError, match=r'x\.csv:3: label should be labels separated by "\|", got '):
        read_labelled(tmp_path / "x.csv", {}, multilabel=True, train=False, seed=0)
