"""Compare: any comparison against any cost and any model, with all that its numbers rest on."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import boards
import comparisons
import pytest
from pages import opened, ran, read
from streamlit.testing.v1 import AppTest

from benchkit.api.record import write_files
from benchkit.api.run import Finished
from benchkit.report.charts.quality import quality_against
from benchkit.report.json_form import from_dict, to_dict
from benchkit.store.recorded import Recorded, write_recorded
from dashboards.compared import LONG_COLUMNS, model_rows
from dashboards.views.compare import _facts, _raw

OLDER = replace(boards.support(baseline=None), started="2026-11-20T12:00:00+00:00")


def shown(**query: str | list[str]) -> AppTest:
    return opened("compare", **query)


def charts(app: AppTest) -> list[str]:
    """Return the words of the charts."""
    return [found.proto.alt for found in app.get("vega_lite_chart")]


def titles(app: AppTest) -> list[str]:
    return [read(part.value).strip("*") for part in app.markdown if part.value.startswith("**")]


# ---------------------------------------------------------------- what is shown


def test_the_newest_comparison_is_shown_and_another_can_be_chosen(mlruns: Path) -> None:
    boards.keep(mlruns, OLDER, "older")
    boards.keep(mlruns, boards.support(), "newer")
    page = shown()
    picker = page.selectbox(key="compare-comparison")
    assert picker.value == "newer"
    assert picker.options == [
        "2026-11-21 12:00 UTC · help-centre · 3 models",
        "2026-11-20 12:00 UTC · help-centre · 3 models",
    ]
    ran(picker.set_value("older"))
    assert page.query_params == {"comparison": "older"}
    assert "Difference on the mean against bge" in titles(page), "it has no baseline: against the recommended one"


def test_the_cost_can_be_chosen(mlruns: Path) -> None:
    boards.keep(mlruns, boards.support())
    page = shown()
    assert titles(page)[0] == "Mean score against p95 latency of one query"
    ran(page.get("button_group")[0].set_value("memory"))
    assert titles(page)[0] == "Mean score against peak memory"
    assert "1851 MiB" in charts(page)[0]


def test_the_cost_is_a_part_of_the_address_and_what_is_none_is_the_usual_one(mlruns: Path) -> None:
    boards.keep(mlruns, boards.support())
    asked, unknown = shown(axis="bytes"), shown(axis="<script>")
    assert "Mean score against bytes per vector" in titles(asked)
    assert "Mean score against p95 latency of one query" in titles(unknown)
    ran(asked.segmented_control(key="compare-axis").set_value("memory"))
    assert asked.query_params["axis"] == "memory"
    assert "Mean score against peak memory" in titles(asked)


def test_models_of_one_cost_are_said_to_stand_side_by_side(mlruns: Path) -> None:
    boards.keep(mlruns, boards.support())
    sentence = "Models of exactly the same cost, such as variants that share a measurement, stand side by side."
    drawn = {axis: quality_against(boards.support(), axis) for axis in ("latency", "bytes")}
    for axis, chart in drawn.items():
        assert chart is not None
        costs = [row["cost"] for row in chart.rows]
        told = sentence in [found.value for found in shown(axis=axis).caption]
        assert told == (len(set(costs)) < len(costs))


def test_without_costs_quality_is_shown_against_size(mlruns: Path) -> None:
    boards.keep(mlruns, comparisons.small())
    page = shown()
    assert titles(page)[0] == "Mean score against bytes per vector"
    absent = next(read(caption.value) for caption in page.caption if "Not in the picture" in read(caption.value))
    assert "tfidf: 45.9 (43.6–48.2), it has no vectors of one size" in absent
    assert "小模型: no mean score" in absent


def test_differences_are_against_the_baseline_or_any_model(mlruns: Path) -> None:
    boards.keep(mlruns, boards.support())
    page = shown()
    assert "Difference on the mean against minilm" in titles(page)
    ran(page.selectbox(key="compare-against").set_value("mpnet"))
    assert "Difference on the mean against mpnet" in titles(page)
    assert page.query_params == {"against": "mpnet"}
    assert "Difference on the mean against minilm" in titles(shown(against="gone"))


def test_limits_of_the_address_count_here_too(mlruns: Path) -> None:
    boards.keep(mlruns, boards.support())
    page = shown(p95_ms="20")
    assert read(page.info[0].value) == "Limits: p95 latency up to 20 ms. Models that break them are hollow."
    frame = page.dataframe[0].value
    assert list(frame["recommended"]) == ["", "✓", ""]
    assert next(iter(frame["limits"])) == "its p95 latency of 24.9 ms is over 20 ms"
    assert list(frame["limits"])[1:] == ["kept", "kept"]
    assert "The choice: mpnet." in charts(page)[0]


def test_the_table_has_rank_ranges_intervals_costs_and_the_front(mlruns: Path) -> None:
    made = boards.support()
    boards.keep(mlruns, made)
    frame = shown().dataframe[0].value
    assert list(frame.columns) == [name for name in LONG_COLUMNS if name != "limits"]
    assert list(frame["rank"]) == ["1–2", "1–2", "3"]
    assert [name for name, on in zip(frame["model"], frame["on_front"], strict=True) if on] == [
        name for name in ("bge", "mpnet", "minilm") if name in made.pareto
    ]
    assert list(frame["license"]) == ["cc-by-nc-4.0", "mit", "apache-2.0"]


# ---------------------------------------------------------------- where the numbers come from


def test_the_command_the_run_and_the_warnings_are_told(mlruns: Path) -> None:
    boards.keep(mlruns, boards.support(), "one")
    address = "http://127.0.0.1:5000/#/experiments/1/runs/abc"
    write_recorded(mlruns / "results" / "one", Recorded("id", "2026-11-21", "http://127.0.0.1:5000", "abc", address))
    page = shown()
    assert page.code[0].value == "benchkit compare --suite help"
    assert [read(box.value) for box in page.warning] == ["FAQ: made up"]
    (link,) = page.get("link_button")
    assert link.proto.url == address


@pytest.mark.parametrize("address", ["sqlite:////x/mlflow.db", "postgresql://me:hunter2@db/mlflow"])
def test_a_run_in_a_database_is_told_with_the_command_that_shows_it_and_no_password(mlruns: Path, address: str) -> None:
    boards.keep(mlruns, boards.support(), "one")
    write_recorded(mlruns / "results" / "one", Recorded("id", "2026-11-21", address, "abc", address))
    page = shown()
    assert not page.get("link_button")
    assert page.code[1].value.startswith("mlflow ui --backend-store-uri ")
    assert "hunter2" not in page.code[1].value


def test_every_raw_row_can_be_downloaded(mlruns: Path) -> None:
    boards.keep(mlruns, boards.support())
    labels = [found.proto.label for found in shown().get("download_button")]
    assert labels[-5:] == ["↓ Scores", "↓ Differences", "↓ Costs", "↓ Cost ratios", "↓ All of it (JSON)"]


def test_raw_rows_are_those_of_the_record() -> None:
    made = boards.support()
    raw = {key: rows for key, _, rows in _raw(made)}
    assert [(row["model"], row["task"], row["main_score"]) for row in raw["scores"]] == [
        (cell.result.model, cell.result.task, cell.result.main_score) for cell in made.cells
    ]
    first = made.cells[0].interval
    assert first is not None
    assert (raw["scores"][0]["low"], raw["scores"][0]["high"]) == (first.low, first.high)
    assert [row["delta"] for row in raw["differences"]] == [pair.delta for pair in made.pairs]
    assert {"interval_low", "interval_high", "p_holm", "verdict"} <= set(raw["differences"][0])
    assert made.cost is not None
    assert len(raw["costs"]) == sum(len(model.figures) for model in made.cost.models)
    assert raw["cost-ratios"][-1]["candidate"] == raw["cost-ratios"][-1]["baseline"], "the A/A control is there too"
    assert {"margin": "±1.0 points", "seed": "1", "suite": "help-centre"}.items() <= {
        row["what"]: row["value"] for row in _facts(made)
    }.items()


def test_rows_of_models_keep_full_numbers_and_say_what_is_absent() -> None:
    rows = {row["model"]: row for row in model_rows(comparisons.small())}
    assert rows["小模型"]["points"] is None
    assert rows["小模型"]["missing"] == ("Banking77", "中文聚类")
    assert rows["tfidf"]["dimension"] is None
    assert rows["minilm"]["points"] == 62.78
    assert rows["minilm"]["on_front"] is None, "without costs there is no front"


def test_a_folder_that_compare_wrote_is_shown_whole(mlruns: Path) -> None:
    made = boards.support()
    folder = write_files(Finished(made, ()), to_dict(made), mlruns / "results")
    assert from_dict(json.loads((folder / "result.json").read_text(encoding="utf-8"))).recommendation.model == "bge"
    assert shown().selectbox(key="compare-comparison").value == folder.name


def test_hostile_names_are_texts(mlruns: Path) -> None:
    boards.keep(mlruns, comparisons.hostile_costs(), "hostile")
    page = shown()
    texts = [*page.header, *page.markdown, *page.caption, *page.info, *page.warning, *page.error]
    for text in texts:
        assert "<script>" not in text.value.replace("\\<script\\>", "")
        assert "](javascript" not in text.value
        assert "\u202e" not in text.value
    assert not page.get("link_button")
