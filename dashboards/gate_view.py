"""An opened gate: the answer, every rule, why it failed with what was found before and after, and how to run it again.

GateReport ── headline ── rules that did not pass ── all rules, folded ── explanations ── power ── warnings ── command,
JSON, its run in MLflow

A phone shows it on few screens: what decided stands open, a sentence for each rule; the table of all rules, of which a
phone sees two columns at a time, is folded; an item is a few lines.
"""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from benchkit.report import gate_words, words
from benchkit.report.gate_again import again
from benchkit.report.gate_json import render_gate_json
from benchkit.types.board import GateRow
from benchkit.types.gate import Explanation, GateReport, LostItem, Neighbour
from dashboards import place
from dashboards.gate_rows import gate_standing, item_rows, minute, rule_rows, rules_title, slice_rows
from dashboards.lists import bullets
from dashboards.picks import mlflow_link
from dashboards.place import escaped, plain
from dashboards.theme import SAVES

_LONGEST = 2000
_RULE_COLUMNS = {
    "verdict_words": "verdict",
    "rule": "rule",
    "change_words": "change (95 % CI)",
    "allowed": "allowed",
    "candidate_words": "candidate",
    "baseline_words": "baseline",
    "bound_words": "95 % bound",
    "items": "n",
    "sentence": "what was found",
}
_TOLD = 12  # sentences of rules, tasks explained: what a page is read for
_FEW = 3
_ITEMS_SHOWN = 3


def show_gate(row: GateRow, report: GateReport) -> None:
    """Place everything that is known of a gate."""
    place.sentence(gate_words.headline(report), gate_standing(report.verdict))
    # Its backticks are for terminals and Markdown; here every sign is a text.
    place.sentence(gate_words.next_step(report).replace("`", ""))
    st.caption(escaped(_about(report), _LONGEST))
    _rules(report)
    _explanations(report)
    for said in filter(None, (gate_words.swap_words(report), report.power)):
        place.sentence(said, "info")
    _warnings(report.warnings)
    _origin(row, report)


def _about(report: GateReport) -> str:
    candidate, baseline = report.candidate.name, report.baseline.name
    return (
        f"{minute(report.started)} UTC, on {report.suite.name}: {candidate} ({report.candidate_source}) against "
        f"{baseline} ({report.baseline_source}); the rules are those of {report.policy.source}."
    )


def _rules(report: GateReport) -> None:
    told = gate_words.of_standing(report, "blocks", "warns")
    if told:
        st.markdown("**Rules that did not pass**")
        bullets([gate_words.sentence_line(report, rule) for rule in told], most=_TOLD, more=": see the table")
    rows = rule_rows(report)
    with st.expander(rules_title(rows)):
        place.table(rows, key="gate-rules", columns=_RULE_COLUMNS, alt="Rules of the gate, worst first")


# ---------------------------------------------------------------- why


def _explanations(report: GateReport) -> None:
    if not report.explanations:
        return
    st.markdown("**Why: the tasks that lost, and the items that lost most**")
    for place_of, explanation in enumerate(report.explanations[:_TOLD]):
        with st.expander(escaped(gate_words.explanation_title(explanation), 300), expanded=place_of == 0):
            _explained(explanation, place_of)
    if len(report.explanations) > _TOLD:
        place.sentence(f"and {len(report.explanations) - _TOLD} more tasks: see the CSV")
    place.download(item_rows(report.explanations), key="gate-items", label="Lost items (CSV)")


def _explained(explanation: Explanation, place_of: int) -> None:
    if explanation.slices:
        columns = {"slice": "slice", "n": "items", "points": "change (points)", "interval": "95 % CI"}
        place.table(slice_rows(explanation), key=f"gate-slices-{place_of}", columns=columns, alt="Slices that changed")
    for item in explanation.items[:_ITEMS_SHOWN]:
        _lost(item)
    if len(explanation.items) > _ITEMS_SHOWN:
        st.caption(f"and {len(explanation.items) - _ITEMS_SHOWN} more items: see the CSV")


def _lost(item: LostItem) -> None:
    said = [("Text", item.text), ("Expected", item.expected)]
    if item.found_before or item.found_after:
        said += [("Baseline found", _answers(item.found_before)), ("Candidate found", _answers(item.found_after))]
    st.markdown(f"**{escaped(gate_words.item_title(item), 400)}**")
    bullets([f"{heading}: {place.plain(text, 600)}" for heading, text in said if text])


def _answers(found: Sequence[Neighbour]) -> str:
    return gate_words.answers(found) or "nothing was kept"


# ---------------------------------------------------------------- what it rests on


def _warnings(warnings: Sequence[str]) -> None:
    if warnings:
        with st.expander(words.counted(len(warnings), "warning"), expanded=len(warnings) <= _FEW):
            for warning in warnings:
                place.sentence(warning, "warning")


def _origin(row: GateRow, report: GateReport) -> None:
    if report.command:
        run_again = again(report)
        place.sentence("The command that runs this gate again:")
        place.command(plain(run_again.command, _LONGEST))
        if run_again.note:
            st.caption(escaped(run_again.note))
    st.download_button(
        f"{SAVES} The gate (JSON)",
        data=lambda: render_gate_json(report).encode(),
        file_name="gate.json",
        mime="application/json",
        key="gate-json",
        on_click="ignore",
        type="tertiary",
    )
    mlflow_link(row.address, row.run_id)
