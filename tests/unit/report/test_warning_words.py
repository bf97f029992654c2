"""What a reader must know: each thing once, with where it comes from."""

from __future__ import annotations

from dataclasses import replace

from comparisons import cell, cost_report, costed, small, three, unscored

from benchkit.report import warning_words, words
from benchkit.types.comparison import MEAN
from benchkit.types.cost import ModelCost


def test_every_kind_of_warning_is_said_once() -> None:
    assert warning_words.warnings(replace(small(), interrupted=True)) == (
        "The comparison was interrupted; not every cell was run.",
        "小模型 failed on Banking77: out of memory",
        "小模型 was skipped on 中文聚类: it has no Chinese vocabulary",
        "Limited data, so don't set these scores beside published ones: STSBenchmark (500 of 3000 items)",
        "中文聚类: fewer than 50 items; its interval is rough",
        "minilm on Banking77: 3 of 500 texts were longer than 256 tokens",
    )


def test_one_warning_of_many_cells_is_one_line() -> None:
    cells = tuple(cell(model, task, "STS", 0.5, warnings=("long texts",)) for model in "ab" for task in ("S1", "S2"))
    assert warning_words.warnings(replace(three(), cells=cells)) == ("a and b on S1 and S2: long texts",)
    apart = (cells[0], cells[3])
    assert warning_words.warnings(replace(three(), cells=apart)) == ("a on S1; b on S2: long texts",)


def test_failures_of_one_model_for_one_reason_are_one_line_and_no_reason_is_said() -> None:
    cells = tuple(
        unscored("a", task, "STS", "failed", reason) for task, reason in (("S1", ""), ("S2", ""), ("S3", "x"))
    )
    assert warning_words.warnings(replace(three(), cells=cells)) == (
        "a failed on S1 and S2: no reason was recorded",
        "a failed on S3: x",
    )


def test_a_clean_comparison_has_no_warnings() -> None:
    assert warning_words.warnings(three()) == ()
    assert words.task_words(MEAN) == "the mean over all tasks"


def test_costs_that_are_missing_are_told_with_the_reason() -> None:
    models = (
        ModelCost("minilm", "failed", reason="it did not answer\nin 600 s"),
        ModelCost("mpnet", "skipped", reason="a lexical model has no latency of its own"),
        ModelCost("tfidf", "ok", reason="the batch of 256 ran out of memory"),
        ModelCost("bge", "skipped"),
    )
    assert warning_words.warnings(costed(three(), models=models, warnings=("energy\tis not counted here",))) == (
        "minilm: measuring its cost failed: it did not answer in 600 s",
        "mpnet: its cost was not measured: a lexical model has no latency of its own",
        "tfidf: not all of its costs were measured: the batch of 256 ran out of memory",
        "bge: its cost was not measured: no reason was recorded",
        "energy is not counted here",
    )


def test_an_unstable_machine_is_told_before_single_models() -> None:
    models = (ModelCost("minilm", "failed", reason="crashed"),)
    said = warning_words.warnings(costed(three(), models=models, unstable="A/A is 1.20, above 1.02"))
    assert said[0] == "costs are unstable: A/A is 1.20, above 1.02"


def test_engines_that_differ_between_models_are_told_and_those_that_agree_are_not() -> None:
    first, second, lexical = three().models
    models = (replace(first, engine="packed"), replace(second, engine="torch"), lexical)
    assert warning_words.warnings(replace(three(), models=models)) == (
        (
            "Not every model was encoded by one engine (packed for minilm; torch for mpnet), "
            "so costs compare engines as well"
        ),
    )
    agreeing = (replace(first, engine="packed"), replace(second, engine="packed"), lexical)
    assert warning_words.warnings(replace(three(), models=agreeing)) == ()


def test_a_cost_that_another_engine_made_than_the_scores_is_told() -> None:
    models = tuple(replace(meta, engine="torch") for meta in three().models[:2]) + three().models[2:]
    assert warning_words.warnings(costed(replace(three(), models=models))) == (
        "minilm: its cost is that of the engine packed, its scores are from torch",
        "mpnet: its cost is that of the engine packed, its scores are from torch",
    )


def test_nothing_is_warned_of_where_all_costs_are_there() -> None:
    assert warning_words.cost_warnings(cost_report(["a", "b"])) == []
