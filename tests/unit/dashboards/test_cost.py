"""The page "Cost": what must be known first, figures with intervals, absent ones said, sizes, files of raw rows."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import comparisons
import pytest
from pages import opened
from streamlit.testing.v1 import AppTest

from benchkit.report.charts.base import LIGHT
from benchkit.report.charts.cost import index_size
from benchkit.report.json_form import render_json
from benchkit.store.cost_samples import write_cost_samples
from benchkit.types.comparison import Comparison, Environment
from benchkit.types.cost import CostFigure, CostReport, CostSamples, Sample
from dashboards import costs, machines
from dashboards.place import unescaped
from dashboards.views.cost import document_steps

NAMES = ("tfidf", "minilm", "小模型")
SAMPLES = CostSamples(
    NAMES,
    tuple(
        Sample(name, 0, "query", round_, round_, 1, 5 + round_ % 7, 8, (place + 1) * (0.001 + round_ / 10**5), 0.001)
        for place, name in enumerate(NAMES)
        for round_ in range(30)
    ),
    (),
)
Keep = Callable[..., Path]


@pytest.fixture
def keep(mlruns: Path) -> Keep:
    """Keep a comparison, and its timed calls, as benchkit writes them."""

    def kept(comparison: Comparison, name: str = "one", samples: CostSamples | None = SAMPLES) -> Path:
        folder = mlruns / "results" / name
        folder.mkdir(parents=True)
        if samples is not None:
            write_cost_samples(folder / "costs.parquet", samples)
        (folder / "result.json").write_text(render_json(comparison), encoding="utf-8")
        return folder

    return kept


def page(**query: str) -> AppTest:
    return opened("cost", **query)


def said(app: AppTest) -> str:
    shown = [*app.markdown, *app.caption, *app.text, *app.info, *app.warning, *app.error, *app.success]
    return unescaped("\n".join(element.value for element in shown))


def frame(app: AppTest, *columns: str) -> list[dict[str, object]]:
    """Return the rows of the table that has these columns."""
    return next(table.value for table in app.dataframe if set(columns) <= set(table.value.columns)).to_dict("records")


def charts(app: AppTest) -> list[str]:
    return [found.proto.alt for found in app.get("vega_lite_chart")]


def costed(**changes: object) -> Comparison:
    return comparisons.costed(comparisons.small(), **changes)


def report(**changes: object) -> CostReport:
    return comparisons.cost_report(NAMES, **changes)


# ---------------------------------------------------------------- rows


def test_a_figure_has_its_interval_and_an_absent_one_is_said() -> None:
    first, second, _ = costs.key_rows(report())
    assert first["p95"] == "8.30 (7.80–8.80)"
    assert first[costs.KEY_FIGURES["p95"][0]] == 8.3
    assert second["p95"] == "16.6 (15.6–17.6)"
    assert first["peak"] == "617", "one measurement has no interval"
    assert first["p99"] == "not measured"
    assert first["latency/query/p99_ms"] is None
    assert first["engine"] == "packed"


def test_a_price_has_its_currency_and_a_column_only_where_one_is_known() -> None:
    plain = report()
    assert "price" not in costs.key_columns(plain)
    one, *others = plain.models
    price = CostFigure(one.model, costs.PRICE, 0.02, "EUR")
    priced = replace(plain, models=(replace(one, figures=(*one.figures, price)), *others))
    assert costs.key_columns(priced)["price"] == "per million tokens"
    assert [row["price"] for row in costs.key_rows(priced)] == ["0.0200 EUR", "not known", "not known"]


def test_sizes_are_bytes_times_documents_and_sparse_vectors_have_none() -> None:
    sparse, dense, small = costs.size_rows(comparisons.small().models, 2_000_000)
    assert (dense["bytes"], dense["size"]) == (1536 * 2_000_000, "2.86 GiB")
    assert (small["bytes"], small["size"]) == (1024 * 2_000_000, "1.91 GiB")
    assert (sparse["bytes"], sparse["size"]) == (None, "not known: no vectors of one size")


def test_sizes_of_the_table_are_told_as_in_the_chart() -> None:
    models = comparisons.small().models
    for documents in (1_000, 1_000_000, 1_000_000_000):
        drawn = index_size(models, documents)
        assert drawn is not None
        told = {row["model"]: row["size"] for row in costs.size_rows(models, documents) if row["bytes"]}
        assert told == {row["model"]: row["size"] for row in drawn.rows}


def test_the_noise_floor_is_the_control_and_without_one_it_is_not_known() -> None:
    assert costs.noise_sentence(report()) == (
        "Noise floor: tfidf against itself in a second process, wall time 1.00x (95 % interval 0.996–1.01). "
        "Differences of that size are noise."
    )
    assert "isn't known" in costs.noise_sentence(report(control=()))


def test_ratios_have_words_and_numbers() -> None:
    row = costs.ratio_rows(report().ratios)[0]
    assert (row["candidate"], row["baseline"], row["of"]) == ("tfidf", "minilm", "wall time")
    assert (row["ratio"], row["interval"], row["verdict"]) == ("0.500x", "0.485–0.515", "cheaper")
    assert (row["value"], row["low"], row["high"]) == (0.5, 0.485, 0.515)


@pytest.mark.parametrize(
    ("asked", "now"), [(None, 1_000_000), (0, 1_000_000), (10**9, 10**9), (7, 7), (10**12, 10**12)]
)
def test_the_slider_stands_at_a_step_of_its_own(asked: int | None, now: int) -> None:
    steps, at = document_steps(asked)
    assert at == now
    assert at in steps
    assert list(steps) == sorted(set(steps))


# ---------------------------------------------------------------- two machines


def test_the_same_machine_is_told_from_another_one_and_from_other_software() -> None:
    this = costed()
    assert machines.differences(this, this) == []
    assert machines.judged([]).kind == "good"
    other = costed(hardware={**comparisons.HARDWARE, "cpu": "Other CPU"}, device="cuda")
    found = machines.differences(this, other)
    assert [(row.what, row.this, row.other) for row in found] == [
        ("cpu", "Example CPU", "Other CPU"),
        ("device", "cpu", "cuda"),
    ]
    verdict = machines.judged(found)
    assert (verdict.kind, verdict.sentence) == (
        "warning",
        "The two runs are not comparable: they differ in cpu, device.",
    )


def test_other_software_on_the_same_machine_is_no_warning_but_said() -> None:
    this = costed()
    values = {**this.environment.values, "version/torch": "9.9.9", "command": "another"}
    found = machines.differences(this, replace(this, environment=Environment(values)))
    assert [(row.what, row.this, row.other, row.of_machine) for row in found] == [
        ("version/torch", "2.8.0", "9.9.9", False)
    ]
    assert machines.judged(found).kind == "info"


def test_what_one_run_does_not_tell_differs_from_what_the_other_tells() -> None:
    found = machines.differences(costed(hardware={"cpu": "Example CPU"}), costed())
    assert ("cores", machines.NOT_TOLD, "8") in [(row.what, row.this, row.other) for row in found]


# ---------------------------------------------------------------- the page


def test_every_chart_of_costs_is_there_with_its_words(keep: Keep) -> None:
    keep(costed())
    shown = page()
    first_words = [
        [alt.split(":")[0].split(" ")[0] for alt in charts(found)]
        for found in (shown, page(costs="throughput"), page(costs="index"))
    ]
    assert first_words == [
        ["tfidf", "90"],  # distribution: p50, p95; calls by length
        ["tfidf,", "小模型", "Peak"],  # throughput; batches, the least first; memory
        ["minilm"],  # index
    ]
    assert frame(shown, "p95", "p99")[0]["p99"] == "not measured"
    assert "Noise floor: tfidf against itself" in said(shown)
    assert "benchkit compare --suite suites/choose.yaml tfidf minilm bge" in [code.value for code in shown.code]


def test_charts_have_the_inks_of_a_theme_and_no_data_that_no_layer_draws(keep: Keep) -> None:
    keep(costed())
    parts = ("latency", "throughput", "index")
    protos = [found.proto for part in parts for found in page(costs=part).get("vega_lite_chart")]
    assert {json.loads(proto.spec)["config"]["text"]["color"] for proto in protos} == {LIGHT.ink}
    # Vega logs an error for data that it was handed and has no use for: those of memory and of index sizes.
    assert [bool(proto.data.data) for proto in protos] == [True, True, True, True, False, False]


def test_warnings_come_before_the_figures(keep: Keep) -> None:
    keep(costed(unstable="the clock of the processor changed", warnings=("one more thing",)))
    shown = page()
    assert [unescaped(found.value) for found in shown.warning] == [
        "The machine was too noisy for a verdict on costs: the clock of the processor changed.",
        "one more thing",
    ]
    kinds = [element.type for element in shown.main]
    assert kinds.index("warning") < kinds.index("dataframe")


def test_costs_from_an_earlier_session_are_said_to_be_that(keep: Keep) -> None:
    keep(costed(from_cache=True))
    assert "These costs are of an earlier session on this hardware: 2026-01-02 03:00 UTC." in said(page())


def test_two_runs_on_other_hardware_are_not_comparable(keep: Keep) -> None:
    keep(costed())
    keep(replace(costed(hardware={"cpu": "Other CPU"}), started="2025-12-01T00:00:00Z"), "other")
    app = page()
    app.selectbox(key="cost-other").set_value("other").run()
    assert not app.exception
    assert app.query_params["other"] == "other"
    assert "The two runs are not comparable: they differ in cpu, cores" in said(app)
    assert frame(app, "what", "this", "other")[0] == {"what": "cpu", "this": "Example CPU", "other": "Other CPU"}


def test_a_link_shows_the_other_run_and_one_that_is_not_there_is_said(keep: Keep) -> None:
    keep(costed())
    keep(replace(costed(hardware={"cpu": "Other CPU"}), started="2025-12-01T00:00:00Z"), "other")
    linked = page(other="other")
    assert linked.selectbox(key="cost-other").value == "other"
    assert "The two runs are not comparable" in said(linked)
    linked.selectbox(key="cost-other").set_value("").run()
    assert "other" not in linked.query_params
    assert "The two runs" not in said(linked)

    for asked in ("../../etc/passwd", "one"):
        lost = page(other=asked)
        assert lost.selectbox(key="cost-other").value == ""
        assert f"Not found here: other run {asked!r} (so nothing of it is shown)." in said(lost)


def test_a_part_of_the_page_is_in_the_address_and_one_that_is_not_there_is_the_usual_one(keep: Keep) -> None:
    keep(costed())
    app = page()
    app.segmented_control(key="cost-part").set_value("throughput").run()
    assert app.query_params["costs"] == "throughput"
    assert len(charts(app)) == 3
    assert len(charts(page(costs="<b>"))) == 2
    older_link = page(documents="2000000")
    assert older_link.segmented_control(key="cost-part").value == "index"


def test_the_number_of_documents_is_in_the_address_and_in_the_sizes(keep: Keep) -> None:
    keep(costed())
    app = page(documents="5000000")
    assert app.select_slider(key="cost-documents").value == 5_000_000
    assert frame(app, "size", "precision")[1]["size"] == "7.15 GiB"
    app.select_slider(key="cost-documents").set_value(10_000_000).run()
    assert app.query_params["documents"] == "10000000"
    assert frame(app, "size", "precision")[1]["size"] == "14.3 GiB"


def test_without_timed_calls_the_rest_is_shown(keep: Keep) -> None:
    keep(costed(), samples=None)
    shown = page()
    assert "The timed calls of this run were not kept" in said(shown)
    assert charts(shown) == []
    assert len(charts(page(costs="throughput"))) == 3
    assert not [button for button in shown.get("download_button") if "timed calls" in button.proto.label]


def test_damaged_timed_calls_are_a_sentence_and_the_rest_is_shown(keep: Keep) -> None:
    (keep(costed()) / "costs.parquet").write_bytes(b"no Parquet")
    shown = page()
    assert "can't be read as Parquet" in said(shown)
    assert frame(shown, "p95", "p99")


def test_without_costs_the_page_says_how_to_measure_them(keep: Keep) -> None:
    keep(comparisons.small(), samples=None)
    shown = page()
    assert "The comparisons of this choice have no costs." in said(shown)
    (code,) = [code.value for code in shown.code]
    assert "--cost full" in code
    assert "benchkit cost minilm" in code


def test_a_comparison_without_costs_is_not_taken_for_one_with(keep: Keep) -> None:
    keep(costed())
    keep(replace(comparisons.small(), started="2026-06-01T00:00:00Z"), "newer", None)
    shown = page(comparison="newer")
    assert shown.selectbox(key="cost-comparison").value == "one"
    assert "Not found here: comparison 'newer' (shown instead: the newest with costs, of " in said(shown)


def test_names_and_texts_that_try_to_be_more_stay_texts(keep: Keep) -> None:
    keep(comparisons.hostile_costs())
    shown = page()
    for element in [*shown.markdown, *shown.caption, *shown.info, *shown.warning]:
        assert "](javascript" not in element.value
        assert "<script" not in element.value.replace("\\<", "")
