"""The page on drift: closed to the outside, nothing of the data becomes HTML, its pictures are the dashboard's."""

from __future__ import annotations

import re
from dataclasses import replace
from html import escape

import drift_reports
import pytest
from html_page import HtmlPage, assert_asks_for_nothing

from benchkit.errors import UsageError
from benchkit.report import drift_words, words
from benchkit.report.board_rows import check_rows
from benchkit.report.charts import drift, regions
from benchkit.report.charts.projection import illustration, projection
from benchkit.report.drift_html import render_drift_html
from benchkit.types.drift import DriftReport, ProjectedRegion, Projection, RegionPlace, SegmentResult

ALLOWED = {
    "html", "head", "meta", "title", "style", "body", "main", "section", "div", "span", "p", "h1", "h2", "ul", "li",
    "table", "thead", "tbody", "tr", "th", "td", "figure", "figcaption", "svg", "g", "path", "line", "rect", "circle",
    "text", "tspan", "desc",
}  # fmt: skip
PAGES = {
    "history": drift_reports.history(),
    "one": [drift_reports.critical()],
    "quiet": [drift_reports.quiet()] * 3,
    "bare": [drift_reports.bare()] * 2,
    "hostile": [drift_reports.hostile()] * 2,
}


@pytest.mark.parametrize("reports", PAGES.values(), ids=PAGES)
def test_a_page_is_well_formed_and_has_no_element_that_could_act(reports: list[DriftReport]) -> None:
    page = HtmlPage(render_drift_html(reports))
    assert page.tags <= ALLOWED
    keys = {key for _, key, _ in page.attributes}
    assert not {key for key in keys if key.startswith("on") or key in ("src", "href", "style", "srcset", "action")}
    # Pictures are named by their charts, none of them twice.
    ids = [value for _, key, value in page.attributes if key == "id"]
    assert len(ids) == len(set(ids))
    assert all(re.fullmatch("[a-z0-9-]+", found) for found in ids)


@pytest.mark.parametrize("reports", PAGES.values(), ids=PAGES)
def test_a_page_asks_for_nothing_from_elsewhere(reports: list[DriftReport]) -> None:
    assert_asks_for_nothing(render_drift_html(reports))


@pytest.mark.parametrize("sign", ["<script>", '"', "'", "&", "\u202e", "\x1b", "\x00", "\ud800"])
def test_hostile_texts_are_escaped_wherever_they_stand(sign: str) -> None:
    text = f"x{sign}y"
    made = drift_reports.hostile(text)
    # Times come out of files that anybody may have written.
    window = replace(made.window, start=text, end=text)
    source = render_drift_html([replace(made, window=window, checked_at=text)] * 2)
    assert text not in source
    source.encode()
    page = HtmlPage(source)
    count = sum(found.count(words.plain(text)) for found in page.texts)
    # Title, heading, facts, headline, reason, advice, note, health, 3 statistics and units, region, segment, history.
    assert count >= 25
    assert page.tags <= ALLOWED


def test_hostile_texts_are_read_back_as_they_are() -> None:
    page = HtmlPage(render_drift_html([drift_reports.hostile()]))
    assert words.plain(drift_reports.HOSTILE_TEXT) in page.texts
    assert not any(sign in found for found in page.texts for sign in "\x1b\x9b\x00\x7f\u202e\u2066\ud800")


def test_the_verdict_comes_first_and_every_sentence_is_there() -> None:
    report = drift_reports.critical()
    source = render_drift_html(drift_reports.history())
    texts = HtmlPage(source).texts
    assert (
        source.index('class="take"') < source.index('class="warnings"') < source.index("<svg") < source.index("<table")
    )
    assert '<div class="verdict critical">' in source
    assert report.harm is not None
    for text in (
        drift_words.headline(report), report.reason, report.advice, *report.notes, report.health[0].sentence,
        *drift_words.harm_sentences(report.harm), "0.0027", "<0.001", "0.041 of the distance between rows",
        "2.1 %", "9.4 %", "+9.4", "refund, chargeback, card", '"How do I change my card?"', "app (iOS)", "drifts",
    ):  # fmt: skip
        assert text in texts, text
    facts = "Baseline of 20,000 rows, 384 dimensions, all-MiniLM-L6-v2, made 2026-11-01T08:00:00+00:00; "
    assert any(text.startswith(facts) for text in texts)


def test_a_segment_that_was_not_tested_is_not_called_fine() -> None:
    segments = (
        SegmentResult("web", 420, 0.21, 0.9, False),
        SegmentResult("fax", 12, None, None, False),
        SegmentResult("app", 9, None, 1200.0, True),
    )
    source = render_drift_html([replace(drift_reports.bare(), segments=segments)])
    rows = re.findall(r'<th scope="row">(web|fax|app)</th><td>(.*?)</td>', source)
    assert dict(rows) == {"web": "no alarm", "fax": "not tested", "app": "drifts, not tested again"}


def test_regions_without_texts_have_no_empty_columns_and_a_hint() -> None:
    report = drift_reports.critical()
    bare = tuple(replace(change, keywords=(), examples=(), baseline_examples=()) for change in report.clusters)
    told, untold = (render_drift_html([replace(report, clusters=found)]) for found in (report.clusters, bare))
    headings = {"keywords", "texts now", "texts of the baseline"}
    assert headings <= set(HtmlPage(told).texts)
    assert not headings & set(HtmlPage(untold).texts)
    assert ("--keep-texts" in untold, "--keep-texts" in told) == (True, False)


def test_the_canaries_that_changed_most_and_what_drives_the_change_are_told_as_in_a_terminal() -> None:
    report = drift_reports.full()
    assert report.harm is not None
    texts = HtmlPage(render_drift_html([report])).texts
    leading = drift_words.leading_drivers(report.drivers)
    assert len(report.harm.worst) == 2
    assert 0 < len(leading) < len(report.drivers)
    for said in (*map(drift_words.canary_sentence, report.harm.worst), *map(drift_words.driver_sentence, leading)):
        assert said in texts, said
    assert not any(text.startswith("fax: ") for text in texts), "a part too small to be named"
    alone = render_drift_html([replace(report, segments=())])
    assert "What drives the change of all rows" in alone


def test_what_a_report_lacks_is_left_out() -> None:
    source = render_drift_html([drift_reports.bare()])
    headings = re.findall("<h2>(.*?)</h2>", source)
    assert headings == ["History, newest first"]
    assert "an unknown model" in source
    full = re.findall("<h2>(.*?)</h2>", render_drift_html(drift_reports.history()))
    assert full == [
        "Notes", "Windows", "The rows themselves", "Statistics", "Harm", "Where it changed", "Segments",
        "History, newest first",
    ]  # fmt: skip


def pictures(source: str) -> dict[str, str]:
    """Return the wide pictures of a page by the names of their charts."""
    found = re.findall(r'<svg class="chart"[^>]*aria-labelledby="([a-z-]+)-title [^"]*">.*?</svg>', source, re.DOTALL)
    parts = re.split(r"(?=<svg )", source)[1:]
    named = [re.search(r'aria-labelledby="([a-z0-9-]+)-title', part) for part in parts]
    every = {name[1]: part for name, part in zip(named, parts, strict=True) if name}
    return {name: every[name] for name in found}


def with_canaries() -> list[DriftReport]:
    reports = [replace(report, harm=drift_reports.HARM) for report in drift_reports.history()]
    plane = Projection((ProjectedRegion(7, 0.0, 0.0, 0.021, 0.094),), ((0.1, 0.2),), (-1.0, 1.0), (-1.0, 1.0), 0.3)
    plane = replace(plane, layout=(RegionPlace(7, 0.25, 1.0),))
    return [*reports[:-1], replace(reports[-1], projection=plane)]


def test_the_page_has_the_dashboards_pictures_and_their_words() -> None:
    reports = with_canaries()
    found = pictures(render_drift_html(reports))
    rows = check_rows(reports)
    charts = [
        drift.timeline(rows), drift.evidence(rows), drift.canary_quality(rows), drift.statistics(reports[-1]),
        regions.regions(reports[-1]), projection(reports[-1]), illustration(reports[-1]),
    ]  # fmt: skip
    assert list(found) == [chart.name for chart in charts if chart is not None]
    assert len(found) == 7
    for chart in filter(None, charts):
        assert escape(chart.title) in found[chart.name]
        assert escape(chart.alt) in found[chart.name]


def test_the_picture_by_umap_is_there_only_where_it_was_asked_for_and_says_what_it_is() -> None:
    reports = with_canaries()
    assert "Illustration by UMAP</text>" in pictures(render_drift_html(reports))["drift-umap"]
    for clusters in (reports[-1].clusters, ()):
        assert "drift-umap" in render_drift_html([replace(reports[-1], clusters=clusters)])
    plane = reports[-1].projection
    assert plane is not None
    assert "UMAP" not in render_drift_html([replace(reports[-1], projection=replace(plane, layout=()))])


def test_every_window_with_a_test_is_in_the_picture_with_its_words() -> None:
    reports = drift_reports.history()
    source = pictures(render_drift_html(reports))["drift-timeline"]
    for report in reports:
        assert report.p_value is not None
        said = f"{drift_words.SEVERITY_WORDS[report.severity]}, p {words.p_equals(report.p_value)}. {report.reason}"
        window = f"{report.window.number} · {drift_words.times(report.window.start, report.window.end)}"
        assert f"<title>{escape(f'{window}: {said}')}</title>" in source


def test_another_baseline_and_another_model_are_marked() -> None:
    reports = drift_reports.history(5)
    window = replace(reports[3].window, fingerprint="f" * 32, model="bge-small")
    later = replace(reports[4], baseline=replace(reports[4].baseline, digest="e" * 64))
    source = pictures(render_drift_html([*reports[:3], replace(reports[3], window=window), later]))["drift-timeline"]
    assert ">bge-small<" in source
    assert ">new baseline<" in source
    assert "new baseline" not in render_drift_html(reports)


def test_pictures_over_time_need_two_windows_with_a_test() -> None:
    assert "drift-timeline" not in render_drift_html([drift_reports.quiet()])
    assert "drift-timeline" not in render_drift_html([drift_reports.bare(), drift_reports.quiet()])
    assert "drift-timeline" in render_drift_html([drift_reports.quiet(), drift_reports.bare(), drift_reports.quiet()])


def test_the_history_is_newest_first_and_long_ones_are_cut_at_the_oldest() -> None:
    reports = [replace(drift_reports.quiet(), checked_at=f"check {number}", p_value=0.5) for number in range(510)]
    source = render_drift_html(reports)
    assert re.findall(r'scope="row">check (\d+)<', source) == [str(number) for number in range(509, 9, -1)]
    assert "500 windows, " in pictures(source)["drift-timeline"]


def test_windows_in_the_history_have_number_and_times_or_the_source() -> None:
    source = render_drift_html([drift_reports.bare(), drift_reports.critical()])
    assert '<td class="time">40 · 2026-11-21T00:00:00Z<span class="small">to 2026-11-21T23:59:59Z</span></td>' in source
    assert "<td>rows.parquet</td>" in source


def test_without_any_check_there_is_no_page() -> None:
    with pytest.raises(
        UsageError, match="no check to report: run `benchkit drift check` or `benchkit drift watch` first"
    ):
        render_drift_html([])
