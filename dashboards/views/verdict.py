"""Verdict: which model to use and whether production is still fine, on the first screen; below it, within which limits.

newest comparison, limits ── board_words.choice ────────> the first line
checks of each baseline ──── production_words.production ─> the second
both and the last gate ───── three cards, each leads to its page
limits ── sliders ── recommended anew ──> first line, what is left out and why, chart, table
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import streamlit as st

from benchkit.report import verdict_words, words
from benchkit.report.board_words import Answer, choice, gate
from benchkit.report.charts.quality import CostAxis, quality_against
from benchkit.report.cost_view import budget_lines
from benchkit.report.production_words import production, told_window
from benchkit.types.board import CheckRow
from benchkit.types.comparison import Comparison
from dashboards import board, place
from dashboards.bar import chosen
from dashboards.compared import (
    FIRST_COMMANDS,
    SHORT_COLUMNS,
    Picked,
    link,
    model_table,
    picked,
    quality_chart,
    warned,
    when,
)
from dashboards.filters import Filters
from dashboards.limit_command import limited_command
from dashboards.limits import budget_of, forget_button, limit_controls, within
from dashboards.place import escaped
from dashboards.theme import SIGNS
from dashboards.watches import checked, opening

# The answer is a sentence and a heading: as large as a heading it would fill a phone.
_STYLE = """<style>
.st-key-answer h2 {font-size: 1.6rem; line-height: 1.35; padding: 0 0 0.6rem 0;}
@media (max-width: 640px) {.st-key-answer h2 {font-size: 1.3rem;}}
.st-key-cards [data-testid="stVerticalBlock"] {gap: 0.4rem;}
.st-key-cards [data-testid="stPageLink"] a {padding-left: 0;}
</style>"""
_LONGEST = 2000  # of a sentence; names in it are cut before
_LEFT_OUT_TOLD = 12


def show() -> None:
    """Place the view."""
    st.html(_STYLE)
    found: Picked | None = None
    with place.problems_told():
        found = picked()
    limited = within(found.comparison, budget_of(found.comparison, chosen())) if found else None
    model = choice(limited) if limited else _no_choice()
    watched, today = checked(chosen().from_the_start()), datetime.now(UTC)
    now = production(watched, today)
    if now.word == "not watched":
        now = replace(now, sentence=f"{now.sentence}{board.caveat()}")
    with st.container(key="answer", gap="small"):
        st.header(escaped(model.sentence, _LONGEST), anchor=False)
        place.sentence(now.sentence, now.standing)
    _cards(model, limited, _last_gate(), now, told_window(watched, today))
    if found is None or limited is None:
        if not board.comparisons(chosen()):
            place.empty("No comparison is of this choice.", FIRST_COMMANDS)
        return
    _explained(found, limited)


def _no_choice() -> Answer:
    if board.comparisons(chosen()):
        return Answer("warning", "can't be read", "The comparisons of this choice can't be read.")
    if board.comparisons(Filters()):
        return Answer("info", "none of this choice", "There is no comparison of this choice to choose by.")
    return Answer("info", "none yet", f"There is no comparison to choose by.{board.caveat()}")


def _last_gate() -> Answer:
    rows = board.gates(chosen())
    if not rows and board.gates(Filters()):
        return Answer("info", "none of this choice", "No gate is of this choice.")
    answer = gate(rows)
    return answer if rows else replace(answer, sentence=f"{answer.sentence}{board.caveat()}")


# ---------------------------------------------------------------- cards


def _cards(model: Answer, limited: Comparison | None, last_gate: Answer, now: Answer, window: CheckRow | None) -> None:
    told = chosen() if window is None else opening(window, chosen())
    with st.container(key="cards"):
        for column, (title, answer, said, page, label, asked) in zip(
            st.columns(3, gap="small"),
            (
                (_choice_title(limited, model), model, _choice_words(limited), "compare", "→ Compare the models", None),
                (f"Gate: {last_gate.word}", last_gate, last_gate.sentence, "history", "→ All gates", None),
                (f"Production: {now.word}", now, _champion_words(limited), "drift", "→ Windows and causes", told),
            ),
            strict=True,
        ):
            with column, st.container(border=True, gap="xsmall", height="stretch"):
                st.markdown(f"{SIGNS[answer.standing]} **{escaped(title)}**")
                st.caption(escaped(said, _LONGEST))
                link(page, label, asked)


def _choice_title(limited: Comparison | None, answer: Answer) -> str:
    model = limited.recommendation.model if limited else None
    return f"Choice: {answer.word}" if model is None else f"Choice: {words.plain(model, 60)} ({answer.word})"


def _choice_words(limited: Comparison | None) -> str:
    if limited is None:
        return "Nothing was compared."
    model, size = limited.recommendation.model, words.counted(len(limited.models), "model")
    compared = f"{size} on {words.plain(limited.suite.name, 60)}, {when(limited.started)}"
    meta = next((meta for meta in limited.models if meta.name == model), None)
    if meta is None:
        return f"{compared}."
    costs = ", ".join(filter(None, [words.cost_words(limited.cost, meta.name), words.size_words(meta)]))
    return f"{words.plain(meta.name, 60)}{f': {costs}' if costs else ''}. {compared}."


def _champion_words(limited: Comparison | None) -> str:
    """Return which model gates compare with, of the suite that the choice is of."""
    rows = [row for row in board.champions(chosen()) if limited is None or row.suite == limited.suite.name]
    if not rows:
        return f"No model was promoted to champion.{board.caveat()}"
    row = next((row for row in reversed(rows) if row.is_present), rows[-1])
    name, suite = words.plain(row.model, 60), words.plain(row.suite, 60)
    if not row.is_present:
        return f"{suite} has no champion any more; the last one was {name}, promoted {when(row.promoted_at)}."
    return f"Champion of {suite}: {name}, promoted {when(row.promoted_at)}."


# ---------------------------------------------------------------- why, and within which limits


def _explained(found: Picked, limited: Comparison) -> None:
    if found.note:
        place.sentence(found.note, "info")
    if found.unfinished is not None:
        link("compare", "→ What the interrupted one has", replace(chosen(), comparison=found.unfinished.key))
    if why := verdict_words.why_sentence(limited):
        place.sentence(why)
    st.subheader("What may it cost?", anchor=False)
    limit_controls(found.comparison, limited.budget)
    _unmeasured(limited)
    _left_out(limited)
    forget_button(chosen())
    quality_chart(limited, _first_known(limited), key="verdict-quality")
    model_table(limited, SHORT_COLUMNS, key="verdict-models")
    warned(limited)
    if command := limited.environment.values.get("command"):
        place.sentence("How these numbers were made:")
        place.command(place.plain(command, _LONGEST))
        stored = found.comparison.budget
        if limited.budget != stored and (again := limited_command(command, stored, limited.budget)):
            place.sentence("The same with the limits that are set here:")
            place.command(place.plain(again, _LONGEST))


def _first_known(limited: Comparison) -> CostAxis:
    """Return the first cost that the picture can be drawn against."""
    axes: tuple[CostAxis, ...] = ("latency", "memory", "bytes")
    return next((axis for axis in axes if quality_against(limited, axis) is not None), "latency")


def _unmeasured(limited: Comparison) -> None:
    if limited.cost is None:
        place.sentence("Costs were not measured, so latency and memory can't be limited. To measure them:", "info")
        names = " ".join(model.name for model in limited.models)
        given = limited.environment.values.get("command", f"benchkit compare {names}")
        place.command(place.plain(with_costs(given), _LONGEST))


def with_costs(command: str) -> str:
    """Return a command of a comparison so that it measures costs.

    >>> with_costs("benchkit compare minilm --no-cost --offline")
    'benchkit compare minilm --offline --cost quick'
    """
    kept = command.replace("--cost=off", "").replace("--cost off", "").replace("--no-cost", "")
    return f"{' '.join(kept.split())} --cost quick"


def _left_out(limited: Comparison) -> None:
    lines = [escaped(line, _LONGEST) for line in budget_lines(limited)]
    if len(lines) > _LEFT_OUT_TOLD:
        lines[_LEFT_OUT_TOLD:] = [f"and {len(lines) - _LEFT_OUT_TOLD} more: see the table"]
    if lines:
        st.markdown("\n".join(f"- {line}" for line in lines))
