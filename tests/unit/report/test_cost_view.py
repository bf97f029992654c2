"""What reports show of cost: which figures in which order, the machine, the budget, the front; and costs alone."""

from __future__ import annotations

import io
from dataclasses import replace

import pytest
from comparisons import SESSION_WORDS, cost_report, costed, hostile_costs, small, three
from rich.console import Console

from benchkit.report import cost_view, words
from benchkit.types.cost import Budget, CostFigure, CostReport, ModelCost


def drawn(report: CostReport, *, stored: CostReport | None = None, width: int = 100) -> str:
    console = Console(file=io.StringIO(), width=width, legacy_windows=False)
    cost_view.render_cost(report, console, stored=stored)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def models_with(*metrics: str) -> tuple[ModelCost, ...]:
    """Return a model for each text of metrics, given as letters."""
    return tuple(
        ModelCost(name, "ok", tuple(CostFigure(name, metric, 1.0, "s") for metric in which))
        for name, which in zip(("minilm", "mpnet", "tfidf"), metrics, strict=False)
    )


# --- figures


def test_the_figures_beside_the_scores_stand_in_the_order_of_the_summary() -> None:
    found = cost_view.columns(costed(small()))
    assert list(found) == ["p95 ms", "texts/s", "peak MiB"]
    # tfidf was asked for first, minilm has the better mean.
    assert [figure.model for figure in found["p95 ms"] if figure] == ["minilm", "tfidf", "小模型"]
    assert [figure.value for figure in found["p95 ms"] if figure] == pytest.approx([16.6, 8.3, 24.9])


def test_a_column_that_no_model_has_is_not_shown_and_one_that_some_have_is() -> None:
    p95 = CostFigure("mpnet", words.P95, 9.0, "ms")
    found = cost_view.columns(costed(three(), models=(ModelCost("mpnet", "ok", (p95,)),)))
    assert found == {"p95 ms": (None, p95, None)}
    assert cost_view.columns(three()) == {}


@pytest.mark.parametrize(
    ("metrics", "order"),
    [(("abc", "abc"), "abc"), (("ac", "abc"), "abc"), (("", "ab"), "ab"), (("ab", "cb"), "cab"), (("a", "b"), "ba")],
)
def test_every_metric_has_one_line_and_keeps_its_place(metrics: tuple[str, ...], order: str) -> None:
    found = cost_view.lines(costed(three(), models=models_with(*metrics)))
    assert "".join(line.metric for line in found) == order
    for line in found:
        present = [figure is not None for figure in line.figures]
        assert present == [line.metric in which for which in metrics] + [False]
    assert cost_view.lines(three()) == []


def test_a_note_of_several_models_is_said_once() -> None:
    models = [replace(model, notes=("energy is not counted here",)) for model in models_with("a", "a")]
    models.append(ModelCost("tfidf", "ok", notes=("no tokenizer",)))
    assert cost_view.notes(cost_report(["x"], models=tuple(models))) == [
        "minilm and mpnet: energy is not counted here",
        "tfidf: no tokenizer",
    ]


@pytest.mark.parametrize(("low", "high", "drawn"), [(1.0, 2.0, True), (0.0, 2.0, False), (None, None, False)])
def test_an_interval_goes_on_a_logarithmic_axis_where_it_is_above_nothing(
    low: float | None, high: float | None, drawn: bool
) -> None:
    assert (cost_view.ends(CostFigure("m", words.P95, 1.5, "ms", 9, low, high)) is not None) is drawn


# --- budget and front


def test_only_models_over_the_budget_have_reasons() -> None:
    comparison = costed(three(), budget=Budget(max_p95_ms=20.0))
    assert list(cost_view.over_budget(comparison)) == ["tfidf"]
    (line,) = cost_view.budget_lines(comparison)
    assert line.startswith("tfidf breaks the budget: its p95 latency of ")
    assert cost_view.over_budget(costed(three())) == {}
    assert cost_view.over_budget(replace(three(), budget=Budget(max_dim=384))).keys() >= {"mpnet"}


def test_a_limit_that_a_model_may_not_keep_is_told_after_its_name() -> None:
    (line,) = cost_view.budget_lines(costed(three(), budget=Budget(max_p95_ms=25.0)))
    assert line.startswith("tfidf: its p95 latency of 24.9 ms keeps the limit of 25 ms, but not for certain")


def test_the_budget_in_words() -> None:
    every = Budget(20.0, 600.5, 3072, 768, ("mit", "apache-2.0"))
    assert cost_view.budget_words(every) == (
        "p95 latency up to 20 ms, memory up to 600.5 MiB, up to 3072 bytes per vector, up to 768 dimensions, "
        "licence mit or apache-2.0"
    )
    assert cost_view.budget_words(Budget()) == ""


def test_the_front_of_the_picture_is_that_of_mean_and_latency() -> None:
    # Means fall from minilm to tfidf, latencies rise with them: minilm beats both.
    assert cost_view.latency_front(costed(three())) == ("minilm",)
    slow_first = replace(cost_report(["tfidf", "mpnet", "minilm"]))
    assert set(cost_view.latency_front(replace(three(), cost=slow_first))) == {"minilm", "mpnet", "tfidf"}
    unmeasured = cost_report(["minilm"])
    assert cost_view.latency_front(replace(three(), cost=unmeasured)) == ("minilm",)


# --- the session


def test_the_session_tells_the_machine_and_the_noise_floor() -> None:
    assert cost_view.session_words(cost_report(["a"])) == (SESSION_WORDS)
    told = cost_view.session_words(cost_report(["a"], hardware={"node": "n4", "gpu": "Y", "cpu": "X"}, control=()))
    assert told == "Costs on X, Y, node n4 (cpu, single queries on one thread)."
    on_gpu = cost_report(["a"], hardware={"gpu": "Y"}, control=(), device="cuda:0")
    assert cost_view.session_words(on_gpu) == "Costs on Y (cuda:0)."
    allowed = {"cores": "8", "cores_allowed": "2", "cpu_quota": "1.5", "threads": "2"}
    assert cost_view.session_words(cost_report(["a"], hardware=allowed, control=())) == (
        "Costs on 8 cores, 2 of them allowed, a quota of 1.5 cores, 2 threads (cpu, single queries on one thread)."
    )
    bare = cost_report(["a"], hardware={}, control=(), device="cuda")
    assert cost_view.session_words(bare) == "Costs on an unknown machine (cuda)."


def test_costs_of_an_earlier_run_say_their_day() -> None:
    told = cost_view.session_words(cost_report(["a"], from_cache=True))
    assert told.endswith("; measured on 2026-01-02, not in this run.")


def test_two_controls_say_what_each_paired() -> None:
    (wall,) = cost_report(["a"]).control
    both = (wall, replace(wall, metric="latency/query_cpu", ratio=1.0, ci_low=0.999, ci_high=1.001))
    assert cost_view.control_words(both) == [
        "A/A of wall time: 1.003 (0.996 to 1.010)",
        "A/A of CPU time: 1.000 (0.999 to 1.001)",
    ]


def test_the_note_on_ratios_has_the_bounds_of_the_same() -> None:
    assert '"same" means within 0.952 to 1.050,' in cost_view.ratio_note(cost_report(["a"]))


# --- costs alone


def test_costs_alone_have_a_line_for_each_metric_and_say_what_was_paired() -> None:
    text = drawn(cost_report(["minilm", "mpnet"]))
    rows = {line.split()[0]: line.split()[1:] for line in text.splitlines() if "/" in line.split(" ")[0]}
    assert rows["latency/query/p95_ms"] == ["8.30", "(7.80–8.80)", "16.6", "(15.6–17.6)"]
    assert rows["memory/peak_mib"] == ["617", "1234"]
    told = " ".join(text.split())
    assert "minilm takes 0.500x the wall time of mpnet per query (95 % interval 0.485–0.515): cheaper." in told
    assert "A/A: 1.003 (0.996 to 1.010)." in told
    assert "was" not in told
    assert "Warning" not in told


def test_stored_costs_stand_beside_those_of_the_same_model() -> None:
    stored = cost_report(["mpnet"])  # alone it has the costs of a first model
    text = drawn(cost_report(["minilm", "mpnet"]), stored=stored)
    line = next(line for line in text.splitlines() if line.startswith("latency/query/p95_ms"))
    assert line.split()[1:] == ["8.30", "(7.80–8.80)", "16.6", "(15.6–17.6),", "was", "8.30"]
    said = " ".join(text.split())
    assert '"was" is what was measured on 2026-01-02, in a session of its own: it may differ by chance' in said
    assert "its texts where the suite was another one" in said
    assert "of the engine" not in said


def test_stored_costs_of_another_engine_say_so() -> None:
    report = cost_report(["minilm", "mpnet"])
    models = tuple(replace(one, engine="torch") for one in report.models[:1])
    said = " ".join(drawn(report, stored=replace(report, models=models)).split())
    assert said.count("of the engine") == 1
    assert f'minilm: "was" is of the engine torch, and it is {report.models[0].engine or "none"} now.' in said


def test_costs_alone_warn_of_what_is_missing() -> None:
    models = (ModelCost("minilm", "failed", reason="crashed"),)
    text = drawn(cost_report(["minilm"], models=models, unstable="the machine was busy"))
    assert (
        "Warning: costs are unstable: the machine was busy\nWarning: minilm: measuring its cost failed: crashed" in text
    )
    assert not text.startswith("metric")


@pytest.mark.parametrize(("width", "tables"), [(20, 7), (60, 4), (100, 2), (200, 1)])
def test_models_that_do_not_fit_come_in_tables_below_and_no_number_is_cut(width: int, tables: int) -> None:
    report = cost_report([f"model-{place}" for place in range(7)])
    lines = drawn(report, width=width).splitlines()
    headings = [line.split() for line in lines if line.startswith("metric")]
    assert [name for names in headings for name in names[1:]] == [model.model for model in report.models]
    assert len(headings) == tables
    rows = [line for line in lines if line.startswith("latency/query/p95_ms")]
    for model in report.models:
        found = model.figure("latency/query/p95_ms")
        assert any(f"{words.figure(found)} ({words.figure_span(found)})" in row for row in rows)
    if width >= 60:
        assert max(map(len, (line.rstrip() for line in lines))) <= width


def test_a_price_says_its_currency() -> None:
    price = CostFigure("m", "price/per_million_tokens", 0.0125, "CNY")
    assert "price/per_million_tokens CNY  0.0125" in drawn(cost_report(["m"], models=(ModelCost("m", "ok", (price,)),)))


@pytest.mark.parametrize("width", [30, 80])
def test_hostile_texts_do_not_steer_a_terminal(width: int) -> None:
    report = hostile_costs().cost
    assert report is not None
    text = drawn(report, width=width, stored=report)
    assert not {"\x1b", "\x07", "\u202e", "\u2066"} & set(text)
