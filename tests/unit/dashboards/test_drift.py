"""Drift: the right watch and window, the right sentence, and every number of a window as its report has it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import boards
import drift_reports
import pages
import streamlit as st
from pages import ran, read, table
from streamlit.testing.v1 import AppTest

from benchkit.report.charts.drift import timeline
from benchkit.store.board import open_board
from benchkit.types.board import CheckRow
from benchkit.types.drift import BaselineInfo, DriftPolicy, DriftReport, Harm
from dashboards.drift_rows import check_command, harm_rows, region_rows, span_words, statistic_rows, window_row
from dashboards.filters import Filters
from dashboards.views.drift import opened
from dashboards.watches import checked, watches

INFO = replace(drift_reports.BASELINE, created="2026-10-01T00:00:00+00:00")
HOSTILE = drift_reports.HOSTILE_TEXT.replace("\ud800", "")


def keep(mlruns: Path, *reports: DriftReport, name: str = "support", stream: str = "s") -> None:
    if name != "gone" and not (mlruns / "drift" / "baselines" / f"{name}.safetensors").exists():
        boards.keep_baseline(mlruns, replace(INFO, name=name))
    named = [replace(report, baseline=replace(report.baseline, name=name)) for report in reports]
    boards.keep_checks(mlruns, named, stream=stream)


def critical(day: int = 12) -> DriftReport:
    """Return a window with everything in it."""
    return replace(boards.windows("critical", first_day=day, report=drift_reports.full())[0], kind="model")


def shown(**query: str) -> AppTest:
    return pages.opened("drift", **query)


def sentences(app: AppTest) -> list[str]:
    found = [*app.error, *app.warning, *app.success, *app.info, *app.markdown, *app.caption, *app.header]
    return [read(part.value) for part in found]


def first(app: AppTest) -> str:
    """Return the first sentence that has a kind."""
    return read([*app.error, *app.warning, *app.success][0].value)


def query(app: AppTest, key: str) -> str | None:
    found = app.query_params.get(key)
    return found[0] if isinstance(found, list) else found


def window_of(app: AppTest) -> str | None:
    return query(app, "window")


# ---------------------------------------------------------------- which watch, which window


def test_without_a_baseline_it_says_how_to_get_one(mlruns: Path) -> None:
    boards.keep(mlruns, boards.support())
    page = shown()
    assert "There is no drift baseline yet." in sentences(page)
    assert "benchkit drift baseline create prod" in page.code[0].value


def test_a_baseline_without_a_window_of_the_time_says_so(mlruns: Path) -> None:
    keep(mlruns, *boards.windows("ok"))
    page = shown(span="dates", since="2027-01-01")
    assert "No window of this time was held against a baseline (support)." in sentences(page)
    assert page.code[0].value == "benchkit drift check today.parquet --baseline support"


def test_the_newest_watch_is_shown_and_any_other_can_be_chosen(mlruns: Path) -> None:
    keep(mlruns, *boards.windows("warn"), name="older")
    keep(mlruns, *boards.windows("ok", "ok"), name="newer")
    page = shown(trend="windows")
    assert page.selectbox(key="drift-baseline").value == "newer"
    assert first(page).startswith("Production ")
    page = ran(page.selectbox(key="drift-baseline").set_value("older"))
    assert query(page, "baseline") == "older"
    assert "drifted since 1 November 2026" in first(page)
    assert len(table(page, "window", "verdict")) == 1


def test_streams_of_a_baseline_are_apart(mlruns: Path) -> None:
    keep(mlruns, *boards.windows("warn", "warn"), stream="a")
    keep(mlruns, *boards.windows("ok", first_day=5), stream="b")
    page = shown(trend="windows")
    box = page.selectbox(key="drift-stream")
    assert box.options == ["logs/ · 1 window", "logs/ · 2 windows"]
    page = ran(box.set_value(2))
    assert window_of(page) == "2"
    assert len(table(page, "window", "verdict")) == 2


def test_the_window_that_is_asked_for_is_opened_and_buttons_go_on_from_it(mlruns: Path) -> None:
    keep(mlruns, *boards.windows("ok", "warn", "ok"))
    page = shown(window="2")
    assert "Window 2026-11-02 00:00 to 2026-11-02 23:00" in sentences(page)
    page = ran(page.button(key="drift-next").click())
    assert window_of(page) == "3"
    assert page.button(key="drift-next").disabled
    page = ran(page.button(key="drift-previous").click())
    page = ran(page.button(key="drift-previous").click())
    assert window_of(page) == "1"
    assert page.button(key="drift-previous").disabled
    assert "● OK · 2026-11-01 00:00 to 2026-11-01 23:00 · 1 of 3" in sentences(page)


def test_without_a_choice_the_newest_window_is_open_and_the_address_stays_open(mlruns: Path) -> None:
    keep(mlruns, *boards.windows("ok", "ok"))
    page = shown()
    assert "Window 2026-11-02 00:00 to 2026-11-02 23:00" in sentences(page)
    assert window_of(page) is None, "a link to the page goes on to the newest window"


def test_a_window_that_is_not_there_is_said_and_the_newest_is_shown(mlruns: Path) -> None:
    keep(mlruns, *boards.windows("ok"))
    page = shown(window="77")
    assert "Not found here: window 77 (shown instead: the newest, 2026-11-01 00:00 to 2026-11-01 23:00)." in sentences(
        page
    )
    assert "Window 2026-11-01 00:00 to 2026-11-01 23:00" in sentences(page)


def test_checks_of_a_baseline_that_was_deleted_are_still_shown(mlruns: Path) -> None:
    keep(mlruns, *boards.windows("ok"))
    keep(mlruns, *boards.windows("warn"), name="gone")
    page = shown()
    assert page.selectbox(key="drift-baseline").value == "gone"
    assert "The baseline gone was deleted or can't be read; what was checked stays." in sentences(page)
    assert "drifted since 1 November 2026" in first(page)


def test_watches_are_of_one_baseline_and_stream_newest_first(mlruns: Path) -> None:
    keep(mlruns, *boards.windows("ok"), name="a", stream="x")
    keep(mlruns, *boards.windows("ok", "ok"), name="b", stream="y")
    keep(mlruns, *boards.windows("ok"), name="a", stream="z")
    found = watches(checked(Filters()))
    assert [(watch.info.name, len(watch.rows)) for watch in found] == [("a", 1), ("b", 2), ("a", 1)]
    assert [watch.rows[-1].key for watch in found] == [4, 3, 1]
    assert watches([(BaselineInfo("empty", "", "", 0, 0), ())]) == []


# ---------------------------------------------------------------- the answer


def test_single_checks_stand_in_the_order_of_their_windows_and_not_of_the_checks(mlruns: Path) -> None:
    first_of_november, second_of_november = boards.windows("ok", "warn")
    keep(mlruns, second_of_november, first_of_november, stream="")  # who looks back later has not said that all is fine
    rows = watches(checked(Filters()))[0].rows
    assert [row.severity for row in rows] == ["ok", "warn"]
    page = shown()
    assert first(page).startswith("Production has drifted since 2 November 2026")
    assert any(said.startswith("▲ WARN") and said.endswith(" · 2 of 2") for said in sentences(page))


def test_a_quiet_watch_is_fine_and_asks_for_nothing(mlruns: Path) -> None:
    keep(mlruns, *boards.windows("ok", "ok"))
    page = shown()
    # How long ago that was is said by the clock; that it was fine is not.
    assert first(page).startswith(("Production is fine: 2 of the last 2 windows", "Production was fine"))
    assert "What to do" not in read(page.success[0].value if page.success else "")


def test_a_drifted_watch_says_since_when_what_harm_and_what_to_do(mlruns: Path) -> None:
    keep(mlruns, *boards.windows("ok"), *boards.windows("warn", first_day=2), critical(3))
    said = first(shown())
    assert said.startswith("Production has drifted since 2 November 2026: the model has changed (critical); ")
    assert "retrieval is greatly harmed" in said
    assert said.endswith(f"What to do: {drift_reports.full().advice}")


def test_the_sentence_is_of_the_newest_window_whatever_is_open(mlruns: Path) -> None:
    keep(mlruns, *boards.windows("ok"), critical(3))
    page = shown(window="1")
    assert "(critical)" in first(page)
    assert any(said.startswith("OK: no change was found") for said in sentences(page))


def test_a_watch_that_stands_worse_than_the_one_that_is_shown_is_told(mlruns: Path) -> None:
    keep(mlruns, *boards.windows("ok", "warn"), name="older")
    keep(mlruns, *boards.windows("ok", "ok"), name="newer")
    worse = "Another watch stands worse: Production has drifted since 2 November 2026"
    page = shown()
    assert page.selectbox(key="drift-baseline").value == "newer"
    assert any(said.startswith(worse) for said in sentences(page))
    page = ran(page.button(key="drift-worse").click())
    assert (query(page, "baseline"), query(page, "window")) == ("older", "2")
    assert not any(said.startswith(worse) for said in sentences(page))


def test_a_worse_watch_from_before_the_time_that_is_shown_is_opened_with_the_time_that_it_needs(mlruns: Path) -> None:
    keep(mlruns, *boards.windows("warn"), name="older")
    keep(mlruns, *boards.windows("ok", first_day=20), name="newer")
    page = shown(span="dates", since="2026-11-10")
    page = ran(page.button(key="drift-worse").click())
    assert page.query_params == {"baseline": "older", "window": "1"}
    assert page.selectbox(key="bar-span").value == "all"
    assert "Window 2026-11-01 00:00 to 2026-11-01 23:00" in sentences(page)


def test_the_sentence_is_not_cut_by_the_time_that_is_shown(mlruns: Path) -> None:
    keep(mlruns, *boards.windows("ok", "warn", "warn", "warn"))
    page = shown(span="dates", since="2026-11-03", until="2026-11-03", trend="windows")
    assert first(page).startswith("Production has drifted since 2 November 2026")
    assert len(table(page, "window", "verdict")) == 1


def test_a_choice_of_suite_or_models_says_that_it_does_not_count_here(mlruns: Path) -> None:
    keep(mlruns, *boards.windows("ok"))
    said = "Baselines and windows belong to no suite: of the bar above, the time alone counts on this page."
    assert said in sentences(shown(suite="any"))
    assert said in sentences(shown(models="any"))
    assert said not in sentences(shown(span="365d"))


# ---------------------------------------------------------------- an opened window


def test_every_part_of_a_window_is_on_the_page(mlruns: Path) -> None:
    keep(mlruns, critical())
    page, report = shown(), drift_reports.full()
    text = "\n".join(sentences(page))
    for said in (report.reason, report.advice, report.health[0].sentence, report.notes[0]):
        assert said in text
    assert "they show 23.1 % of its variance" in text
    assert "This is an illustration and not the test" in text
    assert "app (iOS): 85.0 % of the shift" in text
    assert "fax" not in text, "less than 5 % of the shift"
    expanders = [read(part.label) for part in page.expander]
    assert any(said.startswith("Region 7 grew from 2.1 % to 9.4 %") for said in expanders)
    assert "如何开具发票？" in text
    statistics = table(page, "statistic", "effect")
    assert list(statistics["statistic"]) == ["centroid", "ridge_mahalanobis", "novelty"]
    assert list(statistics["effect"]) == ["0.041 of the distance between rows", "", "0.06 of rows further out"]
    canaries = table(page, "nearest_now")
    assert list(canaries["nearest_before"]) == ["Track my order", "My money back"]
    assert list(canaries["nearest_now"]) == ["How do I change my card?", "My money back"]
    assert list(table(page, "segment", "p_value")["segment"]) == ["app (iOS)", "web"], "alarms first"


def test_charts_of_a_window_say_their_figures(mlruns: Path) -> None:
    keep(mlruns, critical())
    pages = [shown(trend=part) for part in ("canaries", "evidence")]
    said = [found.proto.alt for page in pages for found in page.get("vega_lite_chart")]
    assert any("All together: p < 0.001" in alt for alt in said)
    assert any("1 window, 1 alarm; the last sum is 4,321, and an alarm stands at 1,000." in alt for alt in said)
    assert any("identity 0.712" in alt for alt in said)
    assert any("shows 23.1 % of the baseline's variance" in alt for alt in said)


def test_the_picture_by_umap_is_chosen_and_says_that_its_distances_mean_nothing(mlruns: Path) -> None:
    keep(mlruns, critical())
    page = shown()
    plane = page.segmented_control(key="drift-plane")
    assert (plane.value, plane.options) == ("pca", ["plane by PCA", "UMAP (illustration)"])
    assert not any("UMAP" in found.proto.alt for found in page.get("vega_lite_chart"))
    page = ran(plane.set_value("umap"))
    assert query(page, "plane") == "umap"
    (drawn,) = (found.proto for found in page.get("vega_lite_chart") if "UMAP" in found.proto.alt)
    assert "distances and densities mean nothing" in drawn.alt
    assert json.loads(drawn.spec)["title"]["subtitle"] == "distances and densities mean nothing"
    assert not any("principal" in found.proto.alt for found in page.get("vega_lite_chart")), "one at a time"
    assert shown(plane="umap").segmented_control(key="drift-plane").value == "umap"


def test_without_a_layout_there_is_no_choice_of_the_plane(mlruns: Path) -> None:
    report = critical()
    assert report.projection is not None
    keep(mlruns, replace(report, projection=replace(report.projection, layout=())))
    page = shown(plane="umap")
    assert "drift-plane" not in {part.key for part in page.segmented_control}
    assert any("shows 23.1 % of the baseline's variance" in found.proto.alt for found in page.get("vega_lite_chart"))
    page = shown(plane="tsne")
    assert any("plane='tsne' is left out: one of pca, umap is expected" in said for said in sentences(page))


def test_what_is_shown_of_all_windows_is_in_the_address_and_canaries_come_first(mlruns: Path) -> None:
    keep(mlruns, critical())
    page = shown(trend="../etc")
    part = page.segmented_control(key="drift-trend")
    assert (part.value, part.options) == ("canaries", ["canaries", "evidence", "all windows"])
    assert not [one for one in page.dataframe if {"window", "reason"} <= set(one.value)], "one thing at a time"
    page = ran(part.set_value("windows"))
    assert query(page, "trend") == "windows"
    assert len(table(page, "window", "verdict")) == 1


def test_what_was_not_measured_is_said_and_no_number_stands_for_it(mlruns: Path) -> None:
    keep(mlruns, drift_reports.bare(), stream="")
    page = shown()
    text = "\n".join(sentences(page))
    assert "No test was made: the window has 12 rows, and 30 are the fewest." in text
    assert "Not measured: there are neither canaries nor retrieval scores." in text
    assert "No window was tested." in text
    assert "benchkit drift baseline renew support --from s3://example/support/ --model MODEL --canary source" in [
        part.value for part in page.code
    ]
    assert "Its rows have no times, so the command takes the last ones of the source." in text
    assert "Window rows.parquet" in text
    columns = list(table(page, "window", "verdict").columns)
    assert "identity" not in columns
    assert "p_value" not in columns


def test_why_there_is_no_test_and_no_canary_is_told_as_it_is(mlruns: Path) -> None:
    bare = replace(drift_reports.bare(), baseline=drift_reports.BASELINE, notes=("they are the baseline's own rows",))
    keep(mlruns, replace(bare, window=replace(bare.window, rows=200)))
    text = "\n".join(sentences(shown()))
    assert "No test was made of these rows: the notes below say why." in text
    assert "are the fewest" not in text
    assert "Not measured: the baseline has canaries (64), and this check left them out." in text
    assert "To have canaries" not in text


def test_texts_that_were_not_kept_are_told_with_the_way_to_keep_them(mlruns: Path) -> None:
    full = critical()
    bare = tuple(replace(change, keywords=(), examples=()) for change in full.clusters)
    keep(mlruns, replace(full, clusters=bare))
    said = next(read(part.value) for part in shown().info)
    assert "not kept: that is off unless asked for, since they may be private" in said
    assert "--keep-texts" in said
    keep(mlruns, full)
    st.cache_data.clear()  # what says that the store has changed is kept for two seconds
    assert not shown().info


def test_hostile_texts_are_texts(mlruns: Path) -> None:
    keep(mlruns, drift_reports.hostile(HOSTILE), name="x")
    page = shown()
    for part in (*page.markdown, *page.error, *page.caption, *page.header):
        assert "<script>" not in part.value.replace("\\<", ""), part.value
        assert "](" not in part.value


def test_a_report_that_is_damaged_is_a_sentence_and_the_list_stays(mlruns: Path) -> None:
    import sqlite3
    from contextlib import closing

    keep(mlruns, *boards.windows("ok", "ok"))
    with closing(sqlite3.connect(mlruns / "drift" / "state.db")) as database:
        database.execute("UPDATE checks SET report = json_set(report, '$.harm', 'x') WHERE id = 1")
        database.commit()
    page = shown(window="1", trend="windows")
    assert any("check 1" in read(part.value) for part in page.error)
    assert len(table(page, "window", "verdict")) == 2


# ---------------------------------------------------------------- rows


def row(**changes: Any) -> CheckRow:
    made = CheckRow(7, "b", "logs/", "s", 3, "", "", "2026-11-21T10:00:00+00:00", 60, "warn", "data", True, "why")
    return replace(made, **changes)


def test_evidence_is_cut_so_that_it_never_seems_to_reach_its_alarm() -> None:
    assert window_row(row(detector=999.9999))["evidence"] == 999.99
    assert window_row(row())["evidence"] is None
    assert window_row(row(detector=999.9999))["detector"] == 999.9999


def test_a_row_has_all_that_the_store_says() -> None:
    made = window_row(row(p_value=0.0123456789))
    assert (made["verdict"], made["window"], made["p_value"]) == ("▲ WARN", "logs/", 0.0123456789)
    assert set(CheckRow.__dataclass_fields__) <= set(made)


def test_harm_is_held_against_the_limits_of_its_policy() -> None:
    rows = {found["measure"]: found for found in harm_rows(drift_reports.full())}
    live = rows["overlap@10 in the live index"]
    assert (live["now"], live["limit"], live["verdict"]) == ("42.0 %", "warn < 90.0 %, critical < 60.0 %", "critical")
    anew = rows["overlap@10 in an index built anew"]
    assert (anew["now"], anew["verdict"]) == ("61.0 %", "warn")
    judged = rows["nDCG@10 of the judged canaries (points)"]
    assert (judged["now"], judged["before"]) == ("52.1", "61.2")
    assert judged["verdict"] == "surely lower: -12.0 to -6.1 points"
    scores = rows["queries under the baseline's 5th percentile of scores"]
    assert (scores["now"], scores["before"], scores["limit"]) == ("15.4 %", "5.0 %", "warn > 10.0 %, if sure")
    assert scores["verdict"] == "above, p < 0.001"


def test_other_limits_and_intervals_give_other_words() -> None:
    policy = DriftPolicy(warn_overlap=0.5, critical_overlap=0.3, warn_score_drop=0.2)
    harm = replace(drift_reports.HARM, ndcg_change_low=-0.01, ndcg_change_high=0.02)
    rows = {found["measure"]: found for found in harm_rows(replace(drift_reports.full(), policy=policy, harm=harm))}
    assert rows["overlap@10 in the live index"]["verdict"] == "warn"
    assert rows["overlap@10 in an index built anew"]["verdict"] == "kept"
    assert rows["nDCG@10 of the judged canaries (points)"]["verdict"] == "no sure change: -1.0 to +2.0 points"
    assert rows["queries under the baseline's 5th percentile of scores"]["verdict"] == "kept, p < 0.001"


def test_what_was_not_measured_has_no_row() -> None:
    quiet = drift_reports.quiet()
    assert harm_rows(quiet) == []
    assert harm_rows(replace(quiet, harm=Harm())) == []
    only = harm_rows(replace(quiet, harm=Harm(low_score_share=0.05)))
    assert [(found["now"], found["verdict"]) for found in only] == [("5.0 %", "kept")]


def test_statistics_and_regions_keep_the_numbers_behind_the_words() -> None:
    report = drift_reports.full()
    assert [(found["p"], found["p_value_number"]) for found in statistic_rows(report)] == [
        ("<0.001", 0.0004),
        ("0.031", 0.031),
        ("<0.001", 0.00005),
    ]
    first_row = region_rows(report)[0]
    assert (first_row["verdict"], first_row["before"], first_row["now"]) == ("▲ grew", "2.1 %", "9.4 %")
    assert (first_row["baseline_share"], first_row["window_share"]) == (0.021, 0.094)
    assert region_rows(report)[1]["verdict"] == "▼ shrank"


def test_times_of_a_window_are_told_to_the_minute() -> None:
    assert span_words("", "", "x" * 200) == f"{'x' * 79}…"
    assert span_words("", "2026-11-02T10:11:12Z") == "2026-11-02 10:11"


# ---------------------------------------------------------------- the command


def test_the_command_takes_the_same_rows_under_the_same_policy() -> None:
    assert check_command(drift_reports.quiet()).startswith(
        "benchkit drift check logs/ --baseline support --window 2026-11-"
    )
    full = replace(drift_reports.full(), policy=DriftPolicy(0.05, 1000, 0.1, 30, "critical"))
    assert check_command(full) == (
        "benchkit drift check logs/ --baseline support --window 2026-11-21T00:00:00Z..2026-11-22T00:00:00Z "
        "--false-alarms 0.05 --tolerance 0.1 --fail-on critical --keep-texts --layout umap"
    )
    bare = drift_reports.bare()
    assert check_command(bare) == "benchkit drift check rows.parquet --baseline support --last 12"
    assert check_command(bare, is_single=False) == "benchkit drift check rows.parquet --baseline support"


def test_the_command_is_one_that_benchkit_takes() -> None:
    import shlex

    from benchkit.cli.drift import check
    from benchkit.sources.spans import parse_window

    words = shlex.split(check_command(drift_reports.full()))
    assert words[:3] == ["benchkit", "drift", "check"]
    with check.make_context("check", words[3:]) as context:
        assert context.params["source"] == "logs/"
        assert (context.params["baseline"], context.params["keep_texts"]) == ("support", True)
        assert context.params["layout"] == "umap"
    span = parse_window(words[words.index("--window") + 1])
    assert (str(span.start), str(span.end)) == ("2026-11-21 00:00:00+00:00", "2026-11-22 00:00:00+00:00")


def test_the_command_is_of_the_baseline_that_there_was_and_says_where_there_is_another(mlruns: Path) -> None:
    keep(mlruns, *boards.windows("ok"))
    (info,) = open_board(mlruns, "sqlite:///none.db").baselines()
    window = boards.windows("ok", first_day=2)[0]
    keep(mlruns, replace(window, baseline=replace(window.baseline, digest=info.digest)))
    assert any(said.endswith(" The same check again:") for said in sentences(shown(window="2")))
    earlier = sentences(shown(window="1"))
    wanted = "That baseline was renewed 2026-10-01 00:00 UTC. The same rows against the one of now:"
    assert any(said.endswith(wanted) for said in earlier)
    assert not any(said.endswith(" The same check again:") for said in earlier)


def test_a_baseline_that_is_gone_has_no_command(mlruns: Path) -> None:
    keep(mlruns, *boards.windows("ok"), name="gone")
    page = shown()
    wanted = "The baseline was deleted or can't be read, so the same check can't be made again."
    assert any(said.endswith(wanted) for said in sentences(page))
    assert not any("drift check" in part.value for part in page.code)


def test_a_hostile_source_is_one_word_of_the_command() -> None:
    import shlex

    report = replace(drift_reports.bare(), window=replace(drift_reports.bare().window, source="a; rm -rf $HOME `x`"))
    assert shlex.split(check_command(report))[3] == "a; rm -rf $HOME `x`"


# ---------------------------------------------------------------- the time line


def test_the_opened_window_is_the_one_that_is_picked_in_the_time_line(mlruns: Path) -> None:
    keep(mlruns, *boards.windows("ok", "warn"))
    rows = open_board(mlruns, "").checks("support")
    drawn = timeline(rows)
    assert drawn is not None
    made = opened(drawn, 2)
    assert made.spec["params"][0]["value"] == [{"key": 2}]
    assert json.dumps(made.spec["layer"]) == json.dumps(drawn.spec["layer"])
    assert opened(drawn, 99) is drawn, "a window that isn't drawn would fade all others"
