"""The data frame: one row a cell, absent values missing and not 0."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import pandas as pd
from comparisons import cost_report, small

from benchkit.report.frame import cost_to_dataframe, to_dataframe


def test_a_cell_is_a_row() -> None:
    frame = to_dataframe(small())
    assert list(frame.columns) == [
        "model", "task", "type", "status", "metric", "score", "ci_low", "ci_high", "n_items", "limited",
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


def test_a_score_on_a_part_of_the_data_says_so_in_its_row() -> None:
    comparison = small()
    limited = {cell.result.task: cell.result.limited for cell in comparison.cells if cell.result.limited}
    assert limited, "nothing is limited in this comparison"
    frame = to_dataframe(comparison)
    said = {row.task: row.limited for row in frame.itertuples() if row.limited}
    assert said == limited
    assert not frame["limited"].isna().any()


def test_the_numbers_are_numbers_even_where_none_is_known() -> None:
    cells = tuple(cell for cell in small().cells if cell.result.status != "ok")
    for comparison in (small(), replace(small(), cells=cells), replace(small(), cells=())):
        types = to_dataframe(comparison).dtypes
        assert (types["score"], types["ci_low"], types["n_items"]) == ("float64", "float64", pd.Int64Dtype())


def test_a_figure_of_cost_is_a_row_and_an_interval_that_is_absent_is_missing() -> None:
    frame = cost_to_dataframe(cost_report(["minilm", "bge"]))
    assert list(frame.columns) == ["model", "metric", "value", "ci_low", "ci_high", "unit", "n", "cv"]
    assert len(frame) == 26
    p95 = frame.query("model == 'bge' and metric == 'latency/query/p95_ms'").iloc[0]
    assert (p95["value"], p95["unit"], p95["n"]) == (16.6, "ms", 96)
    assert frame.query("metric == 'memory/peak_mib'")[["ci_low", "ci_high", "cv"]].isna().all(axis=None)


def test_without_costs_there_is_no_row_and_the_columns_keep_their_types() -> None:
    frame = cost_to_dataframe(None)
    assert len(frame) == 0
    assert frame.dtypes["value"] == "float64"


def test_the_reports_load_neither_pandas_nor_rich_before_they_are_asked() -> None:
    parts = "compare, cost_view, frame, html, json_form, markdown, table, words"
    code = (
        f"import sys; from benchkit.report import {parts}; print({{'pandas', 'rich', 'matplotlib'}} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
