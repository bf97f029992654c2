"""Drift checks as one HTML file that needs nothing else.

    reports of one baseline, oldest first ──> verdict of the last ── time line ── what changed ── history

The time line shows each window's p-value on a logarithmic axis, and the verdict by shape and colour.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from benchkit.errors import UsageError
from benchkit.report import drift_words, page, words
from benchkit.report.page import document, escape
from benchkit.types.drift import DriftReport

_WIDTH, _HEIGHT = 900, 220
_LEFT, _RIGHT, _TOP, _BOTTOM = 76, 12, 14, 34
_LEAST_P = 1e-4
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
        _time_line(reports),
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


def _rows(report: DriftReport) -> str:
    if not report.health:
        return ""
    items = "".join(f"<li>{escape(finding.sentence)}</li>" for finding in report.health)
    return page.section("The rows themselves", f"<ul>{items}</ul>")


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
                page.cell("" if found.effect is None else escape(f"{found.effect:.3g} {found.unit}")),
            ]
        )
        for found in report.statistics
    ]
    said = "<p>The p of the whole is calibrated for all of them together; a single one may be small by chance.</p>"
    return page.section("Statistics", said, page.table("Statistics", headings, rows))


def _harm(report: DriftReport) -> str:
    sentences = [] if report.harm is None else drift_words.harm_sentences(report.harm)
    if not sentences:
        return ""
    return page.section("Harm", f"<ul>{''.join(f'<li>{escape(line)}</li>' for line in sentences)}</ul>")


def _clusters(report: DriftReport) -> str:
    if not report.clusters:
        return ""
    names = ("before", "now", "z")
    headings = [page.heading("region"), *(page.heading(name, "number") for name in names)]
    headings += [page.heading(name) for name in ("keywords", "texts now", "texts of the baseline")]
    rows = [
        page.row(
            [
                page.row_heading(str(change.cluster)),
                page.number(drift_words.percent(change.baseline_share)),
                page.number(drift_words.percent(change.window_share)),
                page.number(f"{change.z:+.1f}"),
                page.text_cell(", ".join(change.keywords)),
                page.text_cell(" · ".join(map(drift_words.quoted, change.examples[:3]))),
                page.text_cell(" · ".join(map(drift_words.quoted, change.baseline_examples[:3]))),
            ]
        )
        for change in report.clusters
    ]
    return page.section("Where it changed", page.table("Regions", headings, rows))


def _segments(report: DriftReport) -> str:
    if not report.segments:
        return ""
    headings = [page.heading("segment"), page.heading("verdict"), page.heading("rows", "number")]
    headings.append(page.heading("p", "number"))
    rows = [
        page.row(
            [
                page.row_heading(escape(found.segment)),
                page.cell("drifts" if found.is_alarm else "no alarm"),
                page.number(f"{found.rows:,}"),
                page.number(escape(words.p_words(found.p_value))),
            ]
        )
        for found in sorted(report.segments, key=lambda found: (not found.is_alarm, -(found.e_value or 0.0)))
    ]
    return page.section("Segments", page.table("Segments", headings, rows))


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
                page.number("" if report.evidence is None else drift_words.evidence_words(report.evidence.detector)),
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


# ------------------------------------------------------------ time line


def _time_line(reports: Sequence[DriftReport]) -> str:
    shown = [report for report in reports[-_HISTORY_SHOWN:] if report.p_value is not None]
    if len(shown) < 2:
        return ""
    parts = [*_grid(), *(_mark(report, place, len(shown)) for place, report in enumerate(shown))]
    said = f"p-values of {len(shown)} windows, oldest first, on a logarithmic axis"
    picture = f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{said}">{"".join(parts)}</svg>'
    legend = "Round: no alarm. Square: breaks the policy. Further down is stronger evidence of a change."
    return page.section("Windows", f"<figure>{picture}<figcaption>{legend}</figcaption></figure>")


def _y(p_value: float) -> float:
    depth = -math.log10(max(p_value, _LEAST_P)) / -math.log10(_LEAST_P)
    return _TOP + depth * (_HEIGHT - _TOP - _BOTTOM)


def _x(place: int, n: int) -> float:
    return _LEFT + (place + 0.5) / n * (_WIDTH - _LEFT - _RIGHT)


def _grid() -> list[str]:
    parts = []
    for power in range(5):
        y = _y(10.0**-power)
        # What is smaller still lies on the lowest line.
        label = "1" if power == 0 else f"{'≤ ' if power == 4 else ''}{10.0**-power:.{power}f}"
        parts.append(f'<line x1="{_LEFT}" y1="{y:.1f}" x2="{_WIDTH - _RIGHT}" y2="{y:.1f}" class="grid"/>')
        parts.append(f'<text x="{_LEFT - 8}" y="{y + 4:.1f}" text-anchor="end" class="tick">{label}</text>')
    parts.append(f'<text x="{_LEFT}" y="{_HEIGHT - 8}" class="tick">oldest</text>')
    parts.append(f'<text x="{_WIDTH - _RIGHT}" y="{_HEIGHT - 8}" text-anchor="end" class="tick">newest</text>')
    return parts


def _mark(report: DriftReport, place: int, n: int) -> str:
    assert report.p_value is not None
    x, y = _x(place, n), _y(report.p_value)
    title = f"<title>{escape(f'{_window(report)}: {drift_words.headline(report)}')}</title>"
    if report.breaks_policy:
        return f'<rect x="{x - 5:.1f}" y="{y - 5:.1f}" width="10" height="10" class="{report.severity}">{title}</rect>'
    return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" class="{report.severity}">{title}</circle>'
