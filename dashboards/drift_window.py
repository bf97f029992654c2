"""An opened window of the drift monitor: what it says, all that this rests on, and how to see it again.

DriftReport ── verdict ── rows themselves ── statistics ── harm ── regions ── projection ── segments ── notes
            ── JSON, the command that makes it again, its run in MLflow
"""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from benchkit.report import drift_words, words
from benchkit.report.charts.drift import segments, statistics
from benchkit.report.charts.projection import illustration, projection
from benchkit.report.charts.regions import regions
from benchkit.report.drift_json import render_drift_json
from benchkit.types.board import CheckRow
from benchkit.types.drift import BaselineInfo, ClusterChange, DriftReport
from dashboards import place
from dashboards.choices import part
from dashboards.compared import when
from dashboards.drift_rows import (
    STANDINGS,
    canary_command,
    check_command,
    harm_rows,
    has_texts,
    region_rows,
    segment_rows,
    statistic_rows,
)
from dashboards.filters import PLANES
from dashboards.lists import bullets
from dashboards.picks import mlflow_link
from dashboards.place import escaped, plain
from dashboards.theme import SAVES

_LONGEST = 2000
_REGIONS_OPENED = 12
_TEXTS_SHOWN = 6
_TOLD = 20  # notes and drivers
_PCA, _UMAP = PLANES


def show_window(row: CheckRow, report: DriftReport, baseline: BaselineInfo) -> None:
    """Place everything that is known of a window.

    Args:
        baseline: As it is now, without a time of its creation where it is gone; that of the report is as it was.
    """
    place.sentence(drift_words.headline(report), STANDINGS[report.severity])
    place.sentence(f"Why: {report.reason}")
    place.sentence(f"What to do: {report.advice}")
    if report.evidence is not None:
        st.caption(escaped(drift_words.evidence_sentence(report.evidence), _LONGEST))
    _rows_themselves(report)
    _statistics(report)
    _harm(report)
    _regions(report)
    _projection(report)
    _segments(report)
    _notes(report)
    _origin(row, report, baseline)


def _heading(text: str) -> None:
    st.subheader(text, anchor=False)


def _rows_themselves(report: DriftReport) -> None:
    _heading("The rows themselves")
    if not report.health:
        place.sentence("Nothing about the rows themselves was found: neither broken vectors nor other lengths.")
        return
    for finding in report.health:
        place.sentence(finding.sentence, STANDINGS[finding.severity])
    columns = {"name": "finding", "severity": "severity", "kind": "points to", "found": "found", "expected": "expected"}
    place.table(report.health, key="drift-rows", columns=columns, alt="Findings on the rows themselves")


def _statistics(report: DriftReport) -> None:
    _heading("Statistics")
    if not report.statistics:
        place.sentence(_untested(report))
        return
    place.chart(statistics(report), key="drift-statistics-chart")
    columns = {"statistic": "statistic", "p": "p", "effect": "effect size"}
    place.table(statistic_rows(report), key="drift-statistics", columns=columns, alt="Statistics of the window")
    share = drift_words.percent(report.policy.false_alarms)
    st.caption(
        escaped(
            f"p is the chance of such a value or a larger one on an unchanged window; that of all together is "
            f"calibrated jointly, and {share} of unchanged windows lie at {report.policy.false_alarms:g} or below. "
            f"An effect size tells how large a change is, however many rows there are.",
            _LONGEST,
        )
    )


def _untested(report: DriftReport) -> str:
    rows, least = report.window.rows, report.policy.min_rows
    if rows < least:
        return f"No test was made: the window has {words.counted(rows, 'row')}, and {least} are the fewest."
    return f"No test was made of these rows{': the notes below say why' if report.notes else ''}."


def _harm(report: DriftReport) -> None:
    _heading("Does it harm?")
    rows = harm_rows(report)
    if not rows and report.baseline.n_canaries:
        kept = f"{report.baseline.n_canaries:,}"
        place.sentence(f"Not measured: the baseline has canaries ({kept}), and this check left them out.")
        return
    if not rows:
        place.sentence("Not measured: there are neither canaries nor retrieval scores. To have canaries:")
        place.command(canary_command(report.baseline))
        return
    columns = {"measure": "measure", "now": "now", "before": "baseline", "limit": "limit", "verdict": "verdict"}
    place.table(rows, key="drift-harm", columns=columns, alt="What canaries and scores say")
    st.caption("Limits are those of the policy; the verdict above weighs all of these figures together.")
    worst = report.harm.worst if report.harm is not None else ()
    if not worst:
        return
    place.sentence("Canaries that changed most, with the nearest other text before and now:")
    columns = {
        "text": "canary",
        "nearest_before": "nearest before",
        "nearest_now": "nearest now",
        "overlap_at_10": "overlap@10",
        "identity": "identity",
    }
    config = {
        "overlap_at_10": st.column_config.NumberColumn("overlap@10", format="%.1f"),
        "identity": st.column_config.NumberColumn("identity", format="%.5f"),
    }
    place.table(worst, key="drift-canaries", columns=columns, config=config, alt="Canaries that changed most")


# ---------------------------------------------------------------- where it changed


def _regions(report: DriftReport) -> None:
    _heading("Where it changed")
    if not report.clusters:
        place.sentence("No region of the baseline is reported to have more or fewer rows than chance explains.")
        return
    place.chart(regions(report), key="drift-regions-chart")
    columns = {"region": "region", "verdict": "change", "before": "before", "now": "now", "z": "z"}
    texts = {"keywords": "keywords", "texts_now": "texts now", "texts_of_the_baseline": "texts of the baseline"}
    rows = region_rows(report)
    shown = {**columns, **{name: head for name, head in texts.items() if any(row[name] for row in rows)}}
    place.table(rows, key="drift-regions", columns=shown, alt="Regions that grew or shrank")
    st.caption("z: how many standard errors lie between the two shares.")
    if not has_texts(report):
        place.sentence(
            "Texts of this window were not kept: that is off unless asked for, since they may be private. To see "
            "keywords and example texts, check again with --keep-texts (the command is below); those of the baseline "
            "come with `benchkit drift baseline create --keep-texts`.",
            "info",
        )
    for change in [change for change in report.clusters if change.examples or change.baseline_examples][
        :_REGIONS_OPENED
    ]:
        _texts(change)


def _texts(change: ClusterChange) -> None:
    title = drift_words.cluster_sentence(change).partition("; e.g. ")[0]
    with st.expander(escaped(title[:1].upper() + title[1:], 300)):
        for column, (heading, texts) in zip(
            st.columns(2),
            (("In this window", change.examples), ("In the baseline", change.baseline_examples)),
            strict=True,
        ):
            with column:
                _examples(heading, texts)


def _examples(heading: str, texts: Sequence[str]) -> None:
    st.markdown(f"**{heading}**")
    bullets([plain(text, 600) for text in texts], most=_TEXTS_SHOWN, more=": see the CSV")
    if not texts:
        st.caption("no text was kept")


def _projection(report: DriftReport) -> None:
    if report.projection is None:
        return
    by_umap = illustration(report)
    if by_umap is not None and _plane() == _UMAP:
        place.chart(by_umap, key="drift-umap-chart")
        st.caption(
            "UMAP lays the regions of the baseline out so that neighbours stay neighbours; how far apart they are, how "
            "dense they seem and which way is up mean nothing. The places are the baseline's, so they stay the same "
            "for every window. Discs are shares of the baseline's rows, rings those of this window, solid where a "
            "region grew and dashed where it shrank; no rows are drawn."
        )
        return
    place.chart(projection(report), key="drift-projection-chart")
    share = drift_words.percent(report.projection.explained)
    st.caption(
        escaped(
            "Axes: the first two principal directions of the baseline (PCA), which stay the same for every window, so "
            f"that windows can be compared; they show {share} of its variance. Discs are shares of the baseline's "
            "rows, rings those of this window, solid where a region grew and dashed where it shrank; dots are rows of "
            "the window. This is an illustration and not the test: two directions don't show most of the space.",
            _LONGEST,
        )
    )


def _plane() -> str:
    """Place the choice of the plane, and return it."""
    names = {_PCA: "plane by PCA", _UMAP: "UMAP (illustration)"}
    return part("Plane", names, _PCA, field="plane", key="drift-plane")


def _segments(report: DriftReport) -> None:
    drivers = drift_words.leading_drivers(report.drivers)
    if not report.segments and not drivers:
        return
    _heading("Segments")
    place.chart(segments(report), key="drift-segments-chart")
    if report.segments:
        config = {"p_value": st.column_config.NumberColumn("p", format="%.3g")}
        columns = {"segment": "segment", "verdict": "verdict", "rows": "rows", "p_value": "p"}
        place.table(segment_rows(report), key="drift-segments", columns=columns, config=config, alt="Tests of segments")
    if drivers:
        place.sentence("What drives the change of all rows:")
        bullets([drift_words.driver_sentence(driver) for driver in drivers], most=_TOLD, more=": see the CSV")
        place.download(place.as_rows(report.drivers), key="drift-drivers")


# ---------------------------------------------------------------- how to see it again


def _notes(report: DriftReport) -> None:
    if not report.notes:
        return
    _heading("Notes")
    bullets(report.notes, most=_TOLD)


def _origin(row: CheckRow, report: DriftReport, baseline: BaselineInfo) -> None:
    _heading("See it again")
    place.sentence(f"{_origin_words(report)} {_again_words(report, baseline)}")
    if baseline.created:
        place.command(check_command(report, is_single=not row.stream))
    if row.stream:
        st.caption(
            "This window is of a watch, which decides by the evidence of all windows; a single check decides by its "
            "own p-value."
        )
    st.download_button(
        f"{SAVES} The report (JSON)",
        data=lambda: render_drift_json(report).encode(),
        file_name=f"drift-{row.key}.json",
        mime="application/json",
        key="drift-json",
        on_click="ignore",
        type="tertiary",
    )
    mlflow_link(row.address, row.run_id)


def _origin_words(report: DriftReport) -> str:
    base, window = report.baseline, report.window
    made = f" by {window.model}" if window.model else ""
    of = f" of {base.model}" if base.model else ""
    since = f", made {when(base.created)}" if base.created else ""
    return (
        f"{words.counted(window.rows, 'row')}{made} of {window.source}, checked {when(report.checked_at)}, against "
        f"{words.counted(base.rows, 'row')}{of} of {base.source}{since}."
    )


def _again_words(report: DriftReport, baseline: BaselineInfo) -> str:
    if not baseline.created:
        return "The baseline was deleted or can't be read, so the same check can't be made again."
    if report.baseline.digest not in ("", baseline.digest):
        return f"That baseline was renewed {when(baseline.created)}. The same rows against the one of now:"
    if not report.window.start:
        return "Its rows have no times, so the command takes the last ones of the source. The same check again:"
    return "The same check again:"
