"""A drift check for a terminal, and the history of many.

    DriftReport ──> the answer ── why, what to do ── health ── statistics ── harm ── regions ── segments ── notes
    reports ──> one line each

A verdict is a word and never only a colour. Everything from data is on one line and steers no terminal.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from benchkit.report import drift_words, words
from benchkit.report.drift_words import SEVERITY_WORDS
from benchkit.types.drift import BaselineInfo, DriftReport, DriftSeverity, evidence_words

if TYPE_CHECKING:
    from rich.console import Console

_STYLES: dict[DriftSeverity, str] = {"ok": "green", "info": "cyan", "warn": "yellow", "critical": "bold red"}
_SEGMENTS_SHOWN = 20
_CANARIES_SHOWN = 3
_MANY_LEFT_OUT = 0.03  # of a baseline's rows: more of them are no accident


def render_drift(report: DriftReport, console: Console) -> None:
    """Print a check; colour and width are the console's."""
    from rich.text import Text

    console.print(Text(drift_words.headline(report), style=_STYLES[report.severity]), soft_wrap=True)
    for line in _lines(report):
        console.print(Text(line), soft_wrap=True)


def _lines(report: DriftReport) -> Iterator[str]:
    yield f"  {words.plain(report.reason)}"
    yield f"  What to do: {words.plain(report.advice)}"
    yield from _part("Rows", [words.plain(finding.sentence) for finding in report.health])
    yield from _part("Statistics", _statistics(report))
    if report.evidence is not None:
        yield from _part("Evidence", [drift_words.evidence_sentence(report.evidence)])
    if report.harm is not None:
        yield from _part("Harm", drift_words.harm_sentences(report.harm))
        worst = report.harm.worst[:_CANARIES_SHOWN]
        yield from _part("Canaries that changed most", [drift_words.canary_sentence(change) for change in worst])
    where = [drift_words.cluster_sentence(change) for change in report.clusters]
    yield from _part("Where", [*where, *filter(None, [drift_words.texts_hint(report)])])
    yield from _part("Segments", _segments(report))
    drivers = drift_words.leading_drivers(report.drivers)[:_SEGMENTS_SHOWN]
    yield from _part("What drives the change", [drift_words.driver_sentence(found) for found in drivers])
    yield from _part("Notes", [words.plain(note) for note in report.notes])


def _part(title: str, lines: Sequence[str]) -> Iterator[str]:
    if lines:
        yield ""
        yield title
        yield from (f"  {line}" for line in lines)


def _statistics(report: DriftReport) -> list[str]:
    names = [words.plain(found.name) for found in report.statistics]
    width = max(map(len, names), default=0)
    lines = []
    for name, found in zip(names, report.statistics, strict=True):
        effect = "" if found.effect is None else f"   {found.effect:.3g} {words.plain(found.unit)}".rstrip()
        lines.append(f"{name:<{width}}   p {words.p_equals(found.p_value):<9}{effect}".rstrip())
    return lines


def _segments(report: DriftReport) -> list[str]:
    # Those that drift first, then those with the most evidence.
    ranked = sorted(report.segments, key=lambda found: (not found.is_alarm, -(found.e_value or 0.0), found.segment))
    lines = [drift_words.segment_sentence(found) for found in ranked[:_SEGMENTS_SHOWN]]
    more = len(ranked) - len(lines)
    return [*lines, f"and {more} more"] if more else lines


def history_lines(reports: Sequence[DriftReport]) -> list[str]:
    """Return the verdicts of many windows, oldest first, one line each under a heading."""
    heading = ("checked", "baseline", "window", "rows", "verdict", "kind", "p", "evidence")
    return _aligned([heading, *map(_history_row, reports)], right=(3, 6, 7))


def _history_row(report: DriftReport) -> tuple[str, ...]:
    window = report.window
    # Windows of a watch are counted from 0; that of a single check has no number.
    number = str(window.number) if window.number or report.evidence is not None else ""
    return (
        words.plain(report.checked_at),
        words.plain(report.baseline.name, 24),
        words.plain(f"{number} {window.start}".strip() or window.source, 40),
        f"{window.rows:,}",
        SEVERITY_WORDS[report.severity],
        report.kind,
        words.p_words(report.p_value),
        "" if report.evidence is None else evidence_words(report.evidence.detector),
    )


def baseline_lines(infos: Sequence[BaselineInfo]) -> list[str]:
    """Return the stored baselines, one line each under a heading."""
    heading = ("name", "rows", "dimension", "canaries", "past windows", "KiB", "made", "model")
    rows = [
        (
            words.plain(info.name),
            f"{info.rows:,}",
            str(info.dimension),
            str(info.n_canaries),
            str(info.n_windows),
            f"{info.bytes / 1024:,.0f}",
            words.plain(info.created),
            words.plain(info.model) or "unknown",
        )
        for info in infos
    ]
    return _aligned([heading, *rows], right=(1, 2, 3, 4, 5))


def left_out_line(rows: int, nonfinite: int, zero: int) -> str | None:
    """Return how many rows of its source a baseline is not of; None where it is of all.

    >>> left_out_line(200, 1, 3)
    'left out: 4 of 200 rows (2.0%): 1 with NaN or infinity, 3 of nothing but zeros'
    """
    bad = nonfinite + zero
    if not bad:
        return None
    kinds = {"with NaN or infinity": nonfinite, "of nothing but zeros": zero}
    why = ", ".join(f"{found:,} {kind}" for kind, found in kinds.items() if found)
    return f"left out: {bad:,} of {rows:,} rows ({bad / rows:.1%}): {why}"


def left_out_warning(rows: int, bad: int) -> str | None:
    """Return what to do where so many rows are left out that it is no accident.

    >>> left_out_warning(200, 6) is None
    True
    """
    if bad <= _MANY_LEFT_OUT * rows:
        return None
    return (
        f"{bad / rows:.1%} of the rows hold no vector to learn from, so the baseline is of the rest: what writes them "
        "seems broken; mend it, then renew the baseline"
    )


def _aligned(rows: Sequence[Sequence[str]], *, right: Sequence[int]) -> list[str]:
    """Return rows whose columns stand below each other; nothing is cut, whatever the width of the terminal."""
    from rich.cells import cell_len

    # Letters of Chinese, Japanese and Korean take two places.
    widths = [max(map(cell_len, column)) for column in zip(*rows, strict=True)]

    def filled(text: str, place: int) -> str:
        space = " " * (widths[place] - cell_len(text))
        return space + text if place in right else text + space

    return ["  ".join(filled(text, place) for place, text in enumerate(row)).rstrip() for row in rows]
