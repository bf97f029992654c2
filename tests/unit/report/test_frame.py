"""The data frame: one row a cell, absent values missing and not 0."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import pandas as pd
from comparisons import small

from benchkit.report.frame import to_dataframe


def test_a_cell_is_a_row() -> None:
    frame = to_dataframe(small())
    assert list(frame.columns) == [
        "model", "task", "type", "status", "metric", "score", "ci_low", "ci_high", "n_items",
    ]  # fmt: skip
    assert len(frame) == 12
    row = frame.iloc[0]
    assert row[["model", "task", "type", "status", "metric"]].tolist() == [
        "tfidf", "XQuADRetrieval", "Retrieval", "ok", "ndcg_at_10",
    ]  # fmt: skip
    assert (row["score"], row["ci_low"], row["ci_high"], row["n_items"]) == (0.6012, 0.6012 - 0.02, 0.6012 + 0.02, 500)


def test_what_is_absent_is_missing() -> None:
    failed = to_dataframe(small()).query("status == 'failed'").iloc[0]
    assert failed[["metric", "score", "ci_low", "ci_high", "n_items"]].isna().all()


def test_the_numbers_are_numbers_even_where_none_is_known() -> None:
    cells = tuple(cell for cell in small().cells if cell.result.status != "ok")
    for comparison in (small(), replace(small(), cells=cells), replace(small(), cells=())):
        types = to_dataframe(comparison).dtypes
        assert (types["score"], types["ci_low"], types["n_items"]) == ("float64", "float64", pd.Int64Dtype())


def test_the_reports_load_neither_pandas_nor_rich_before_they_are_asked() -> None:
    parts = "frame, html, json_form, markdown, pictures, table, words"
    code = (
        f"import sys; from benchkit.report import {parts}; print({{'pandas', 'rich', 'matplotlib'}} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
