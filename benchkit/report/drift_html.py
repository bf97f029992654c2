"""Drift checks as one HTML file that needs nothing else.

    reports of one baseline, oldest first ──> verdict of the last ── windows ── what changed ── history

Its pictures are those of the dashboard (charts/), drawn as static SVG: p-values, evidence and canaries of all windows
over time, and of the last window its statistics and regions.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from benchkit.errors import UsageError
from benchkit.report import drift_words, page, words
from benchkit.report.board_rows import check_rows
from benchkit.report.charts import drift, regions
from benchkit.report.charts.base import Chart
from benchkit.report.charts.projection import illustration, projection
from benchkit.report.charts.svg import svg_of_both_widths
from benchkit.report.page import document, escape
from benchkit.types.board import Mark
from benchkit.types.drift import DriftReport, evidence_words

_HISTORY_SHOWN = 500


def render_drift_html(reports: Sequence[DriftReport]) -> str:
    """Return a self-contained page; the last report is the one that it is about.

    Raises:
        UsageError: there is no report.
    """
    if not reports:
        raise UsageError("no check to report: run `benchkit drift check` or `benchkit drift watch` first")
    last = reports[-1]
    sections = [
        _head(last),
        _windows(reports[-_HISTORY_SHOWN:]),
        _rows(last),
        _statistics(last),
        _harm(last),
        _clusters(last),
        _segments(last),
        _history(reports),
    ]
    return document(f"{last.baseline.name}: drift", sections)


def _head(report: DriftReport) -> str:
    said = escape(drift_words.headline(report))
    lines = [f'<p class="take">{said}</p>', f"<p>{escape(report.reason)}</p>", f"<p>{escape(report.advice)}</p>"]
    base = report.baseline
    model = escape(base.model) if base.model else "an unknown model"
    made, checked = escape(base.created), escape(report.checked_at)
    share = drift_words.percent(report.policy.false_alarms)
    facts = (
        f'<p class="facts">Baseline of {base.rows:,} rows, {base.dimension} dimensions, {model}, made {made}; '
        f"checked {checked}; a single check calls {share} of unchanged windows drift.</p>"
    )
    notes = "".join(f"<li>{escape(note)}</li>" for note in report.notes)
    shown = f'<div class="warnings"><h2>Notes</h2><ul>{notes}</ul></div>' if notes else ""
    verdict = f'<div class="verdict {report.severity}">{"".join(lines)}</div>'
    return f"<h1>{escape(base.name)}: drift</h1>\n{facts}\n{verdict}\n{shown}"


def _windows(reports: Sequence[DriftReport]) -> str:
    """Return the pictures of windows over time; of one window they would say no more than its verdict."""
    if sum(report.p_value is not None for report in reports) < 2:
        return ""
    rows, marks = check_rows(reports), _marks(reports)
    pictures = (
        _figure(drift.timeline(rows, marks), "Further up is stronger evidence of a change; shapes tell the severity."),
        _figure(drift.evidence(rows, marks), "What the windows of a watch say together."),
        _figure(drift.canary_quality(rows, marks), "Identity, overlap and nDCG should stay; low scores should be few."),
    )
    return page.section("Windows", *pictures)


def _marks(reports: Sequence[DriftReport]) -> tuple[Mark, ...]:
    """Return where the baseline was made anew, and where another model made the vectors, both on the time axis."""
    marks = []
    for before, after in pairwise(reports):
        at = after.window.start or after.checked_at
        if before.baseline.digest != after.baseline.digest:
            marks.append(Mark(at, "new baseline", "baseline"))
        if after.window.fingerprint not in ("", before.window.fingerprint):
            marks.append(Mark(at, after.window.model or "another model", "model"))
    return tuple(marks)


def _figure(chart: Chart | None, said: str) -> str:
    if chart is None:
        return ""
    caption = f"<figcaption>{escape(chart.title)}. {escape(said)}</figcaption>"
    return f"<figure>\n{svg_of_both_widths(chart)}\n{caption}\n</figure>"


def _rows(report: DriftReport) -> str:
    if not report.health:
        return ""
    return page.section("The rows themselves", _list([finding.sentence for finding in report.health]))


def _statistics(report: DriftReport) -> str:
    if not report.statistics:
        return ""
    headings = [page.heading("statistic"), *(page.heading(name, "number") for name in ("value", "p"))]
    headings.append(page.heading("effect"))
    rows = [
        page.row(
            [
                page.row_heading(escape(found.name)),
                page.number(f"{found.value:.4g}"),
                page.number(escape(words.p_words(found.p_value))),
                page.cell("" if found.effect is None else escape(f"{found.effect:.3g} {found.unit}"), "text"),
            ]
        )
        for found in report.statistics
    ]
    said = "<p>The p of the whole is calibrated for all of them together; a single one may be small by chance.</p>"
    picture = _figure(drift.statistics(report), "Further right is stronger evidence of a change.")
    return page.section("Statistics", said, picture, page.table("Statistics", headings, rows))


def _harm(report: DriftReport) -> str:
    sentences = [] if report.harm is None else drift_words.harm_sentences(report.harm)
    if not sentences:
        return ""
    worst = () if report.harm is None else report.harm.worst
    changed = [drift_words.canary_sentence(change) for change in worst]
    return page.section("Harm", _list(sentences), _titled("Canaries that changed most", changed))


def _list(sentences: Sequence[str]) -> str:
    return f"<ul>{''.join(f'<li>{escape(line)}</li>' for line in sentences)}</ul>"


def _titled(title: str, sentences: Sequence[str]) -> str:
    return f"<p>{escape(title)}:</p>\n{_list(sentences)}" if sentences else ""


def _clusters(report: DriftReport) -> str:
    plane = _figure(
        projection(report),
        "Axes are the baseline's two main directions. Grey discs are its regions and rings the changed ones in this "
        "window, dashed where they shrank; areas are shares of rows. Dots are rows of the window; crosses lie outside.",
    )
    by_umap = _figure(
        illustration(report),
        "It shows which regions are neighbours. Discs and rings are as in the picture of the two directions, and no "
        "rows are drawn.",
    )
    if not report.clusters:
        return page.section("Where it changed", plane, by_umap) if plane else ""
    names = ("before", "now", "z")
    # Each is there only where some region has it.
    texts = {
        "keywords": [", ".join(change.keywords) for change in report.clusters],
        "texts now": [" · ".join(map(drift_words.quoted, change.examples[:3])) for change in report.clusters],
        "texts of the baseline": [
            " · ".join(map(drift_words.quoted, change.baseline_examples[:3])) for change in report.clusters
        ],
    }
    texts = {name: column for name, column in texts.items() if any(column)}
    headings = [page.heading("region"), *(page.heading(name, "number") for name in names), *map(page.heading, texts)]
    rows = [
        page.row(
            [
                page.row_heading(drift_words.region_name(change)),
                page.number(drift_words.percent(change.baseline_share)),
                page.number(drift_words.percent(change.window_share)),
                page.number(f"{change.z:+.1f}"),
                *(page.text_cell(column[place]) for column in texts.values()),
            ]
        )
        for place, change in enumerate(report.clusters)
    ]
    shares = _figure(regions.regions(report), "Hollow: share of rows in the baseline. Filled: in this window.")
    hint = drift_words.texts_hint(report)
    said = f"<p>{escape(hint)}</p>" if hint else ""
    return page.section("Where it changed", shares, page.table("Regions", headings, rows), said, plane, by_umap)


def _segments(report: DriftReport) -> str:
    drivers = [drift_words.driver_sentence(found) for found in drift_words.leading_drivers(report.drivers)]
    shown = _titled("What drives the change of all rows", drivers)
    if not report.segments:
        return page.section("Segments", shown) if shown else ""
    headings = [page.heading("segment"), page.heading("verdict"), page.heading("rows", "number")]
    headings.append(page.heading("p", "number"))
    rows = [
        page.row(
            [
                page.row_heading(escape(found.segment)),
                page.cell(drift_words.segment_verdict(found)),
                page.number(f"{found.rows:,}"),
                page.number(escape(words.p_words(found.p_value))),
            ]
        )
        for found in sorted(report.segments, key=lambda found: (not found.is_alarm, -(found.e_value or 0.0)))
    ]
    return page.section("Segments", page.table("Segments", headings, rows), shown)


def _history(reports: Sequence[DriftReport]) -> str:
    headings = [page.heading(name) for name in ("checked", "window", "verdict", "kind", "reason")]
    headings += [page.heading(name, "number") for name in ("rows", "p", "evidence")]
    rows = [
        page.row(
            [
                page.cell(escape(report.checked_at), "time", tag="th", scope="row"),
                _window_cell(report),
                page.cell(drift_words.SEVERITY_WORDS[report.severity]),
                page.cell(report.kind),
                page.text_cell(report.reason),
                page.number(f"{report.window.rows:,}"),
                page.number(escape(words.p_words(report.p_value))),
                page.number("" if report.evidence is None else evidence_words(report.evidence.detector)),
            ]
        )
        for report in reversed(reports[-_HISTORY_SHOWN:])
    ]
    return page.section("History, newest first", page.table("History", headings, rows))


def _window_cell(report: DriftReport) -> str:
    window = report.window
    if not window.start:
        return page.cell(escape(_window(report)))
    number = f"{window.number} · " if window.number else ""
    return page.cell(f"{number}{escape(window.start)}{page.small(f'to {escape(window.end)}')}", "time")


def _window(report: DriftReport) -> str:
    window = report.window
    number = f"{window.number} " if window.number else ""
    return f"{number}{window.start} to {window.end}" if window.start else f"{number}{window.source}"
