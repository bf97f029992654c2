"""Cost: how long, how large, how many per second, and whether two runs may be compared at all.

a comparison with costs ── warnings, noise floor, another run beside it ──> what to know first
                        ── key figures ── one of: latency and its ratios, throughput and memory ──> charts and tables
models, a number of documents ──────────┴─ or: index_size ──> what an index takes
samples, figures, machine, licences, the command ──> what the numbers rest on
"""

from __future__ import annotations

import streamlit as st

from benchkit.report import warning_words, words
from benchkit.report.charts.cost import batch_sweep, index_size, memory, throughput
from benchkit.report.charts.latency import latency_by_length, latency_cdf
from benchkit.report.cost_view import notes, ratio_note, session_words
from benchkit.types.board import ComparisonRow
from benchkit.types.comparison import Comparison
from benchkit.types.cost import CostReport, CostSamples
from dashboards import board, place
from dashboards.asked import Asked, missing_sentence, tell
from dashboards.bar import chosen
from dashboards.choices import box, comparison_box, keeps, part, row_words
from dashboards.compared import Picked, readable, when
from dashboards.costs import (
    figure_rows,
    key_columns,
    key_rows,
    machine_facts,
    model_facts,
    noise_sentence,
    ratio_rows,
    size_rows,
)
from dashboards.machines import differences, judged
from dashboards.place import escaped, plain
from dashboards.theme import SAVES

COMMANDS = (
    "benchkit compare minilm minilm-static tfidf --offline --cost full   # with scores",
    "benchkit cost minilm minilm-static   # costs alone, printed and not kept",
)
_LONGEST = 2000
_FEW = 3  # warnings that don't push everything else off the page
_NONE = ""
# Six pictures at once take the browser half as long again: those of one question are drawn.
PARTS = {"latency": "latency", "throughput": "throughput and memory", "index": "index size"}
MOST, DEFAULT = 1_000_000_000, 1_000_000
_RATIO_COLUMNS = {
    "candidate": "candidate",
    "baseline": "baseline",
    "of": "of",
    "ratio": "ratio",
    "interval": "95 % CI",
    "verdict": "verdict",
    "n": "calls",
}

_MODEL_COLUMNS = {
    "model": "model",
    "license": "licence",
    "parameters": "parameters",
    "weights": "weights",
    "max_seq_length": "longest input",
    "engine": "engine",
    "origin": "origin",
    "revision": "revision",
}


def show() -> None:
    """Place the view."""
    st.header("What models cost", anchor=False)
    found, cost = _found()
    if found is None or cost is None:
        return
    comparison_box(found, key="cost-comparison")
    if found.note:
        place.sentence(found.note, "info")
    samples: CostSamples | None = None
    with place.problems_told():
        samples = board.cost_samples_of(found.row.key)
    _warned(found, cost)
    place.table(
        key_rows(cost), key="cost-models", columns=key_columns(cost), alt="What each model costs, with 95 % intervals"
    )
    st.caption(escaped(f"{session_words(cost)} In brackets: 95 % intervals.", _LONGEST))
    # A link with a number of documents alone is of a time when all parts were on the page.
    usual = "index" if chosen().documents else "latency"
    shown = part("Costs", PARTS, usual, field="costs", key="cost-part")
    if shown == "latency":
        _latency(samples, cost)
        _ratios(cost)
    elif shown == "throughput":
        _work(cost)
    else:
        _index(found.comparison)
    _origins(found.comparison, cost, samples)


def _found() -> tuple[Picked | None, CostReport | None]:
    """Return the comparison that is asked for, or else the newest one, of those with costs; say where there is none."""
    filters = chosen()
    every = board.comparisons(filters)
    rows = [row for row in every if row.has_cost]
    if not rows:
        what = "The comparisons of this choice have no costs." if every else "No comparison is of this choice."
        place.empty(what, COMMANDS)
        return None, None
    row, comparison = readable(next((row for row in rows if row.key == filters.comparison), rows[-1]), rows)
    newest = f"the newest with costs, of {when(row.started)}"
    note = missing_sentence([Asked("comparison", filters.comparison, {row.key for row in rows}, newest)])
    found = Picked(row, comparison, rows, note)
    if found.comparison.cost is None:
        comparison_box(found, key="cost-comparison")
        place.empty("This comparison says that costs were measured, and has none.", COMMANDS)
    return found, found.comparison.cost


# ---------------------------------------------------------------- what to know first


def _warned(found: Picked, cost: CostReport) -> None:
    if cost.unstable:
        said = f"The machine was too noisy for a verdict on costs: {words.plain(cost.unstable)}."
        place.sentence(said, "warning")
    if cost.from_cache:
        said = f"These costs are of an earlier session on this hardware: {when(cost.measured_at)}."
        place.sentence(said, "info")
    warnings = [said for said in warning_words.cost_warnings(cost) if not said.startswith("costs are unstable: ")]
    if warnings:
        with st.expander(words.counted(len(warnings), "warning"), expanded=len(warnings) <= _FEW):
            for warning in warnings:
                place.sentence(warning, "warning")
    _other_run(found)
    place.sentence(noise_sentence(cost))


def _other_run(found: Picked) -> None:
    """Place another run beside this one: what differs between their machines."""
    others = {row.key: row for row in reversed(found.rows) if row.key != found.row.key}
    asked = chosen().other
    tell(Asked("other run", asked, others))
    if not others:
        return
    said = {_NONE: "choose another run", **row_words(list(others.values()))}
    now = asked if asked is not None and asked in others else _NONE
    label = "Can its costs be compared with those of another run?"
    box(label, list(said), now, field="other", key="cost-other", said=said.__getitem__)
    if now in others:
        with place.problems_told():
            _beside(found.comparison, others[now])


def _beside(this: Comparison, row: ComparisonRow) -> None:
    unlike = differences(this, board.comparison_of(row.key))
    verdict = judged(unlike)
    place.sentence(verdict.sentence, verdict.kind)
    if unlike:
        heads = {"what": "what", "this": "this run", "other": "the other run"}
        place.table(unlike, key="cost-machines", columns=heads, alt="What differs between the two runs")


# ---------------------------------------------------------------- pictures


def _latency(samples: CostSamples | None, cost: CostReport) -> None:
    st.subheader("How long does one query take?", anchor=False)
    if samples is None:
        place.sentence("The timed calls of this run were not kept, so there is no distribution of latencies.", "info")
    else:
        left, right = st.columns(2, gap="medium")
        with left:
            place.chart(latency_cdf(samples, cost), key="cost-cdf", absent="No single query was timed.")
        with right:
            place.chart(latency_by_length(samples), key="cost-length")
    told = notes(cost)
    if told:
        with st.expander(words.counted(len(told), "note") + " on single models"):
            for note in told:
                place.sentence(note)


def _work(cost: CostReport) -> None:
    st.subheader("How much in a second, and in how much memory?", anchor=False)
    left, right = st.columns(2, gap="medium")
    with left:
        place.chart(throughput(cost), key="cost-throughput", absent="Throughput: not measured.")
    with right:
        place.chart(batch_sweep(cost), key="cost-batches", absent="Batches: not measured.")
    place.chart(memory(cost), key="cost-memory", absent="Memory: not measured.")


def _ratios(cost: CostReport) -> None:
    st.subheader("Which differences in latency are sure?", anchor=False)
    if cost.ratios:
        rows = ratio_rows(cost.ratios)
        place.table(rows, key="cost-ratios", columns=_RATIO_COLUMNS, alt="Latency of each pair of models, as a ratio")
        st.caption(escaped(ratio_note(cost), _LONGEST))
    else:
        place.sentence("No two models were measured call by call, so there are no ratios.", "info")
    if cost.control:
        with st.expander("A model against itself (A/A)"):
            place.table(
                ratio_rows(cost.control), key="cost-control", columns=_RATIO_COLUMNS, alt="A model against itself"
            )


# ---------------------------------------------------------------- index


def document_steps(asked: int | None) -> tuple[tuple[int, ...], int]:
    """Return the steps of the slider, even in the logarithm, and where it stands.

    >>> document_steps(1500)[0][:4], document_steps(0)[1]
    ((1000, 1500, 2000, 5000), 1000000)
    """
    now = asked or DEFAULT
    powers = [10**power for power in range(3, 9)]
    steps = {digit * power for power in powers for digit in (1, 2, 5)} | {MOST, now}
    return tuple(sorted(steps)), now


def _index(comparison: Comparison) -> None:
    st.subheader("How large is an index?", anchor=False)
    steps, now = document_steps(chosen().documents)
    st.session_state["cost-documents"] = now
    st.select_slider(
        "Documents",
        steps,
        format_func=lambda number: f"{number:,}",
        key="cost-documents",
        on_change=keeps("documents", "cost-documents"),
    )
    drawn = index_size(comparison.models, now)
    place.chart(drawn, key="cost-index", absent="No model has vectors of one size, so the size depends on the texts.")
    place.table(
        size_rows(comparison.models, now),
        key="cost-sizes",
        columns={
            "model": "model",
            "size": "size",
            "vector": "one vector",
            "dimensions": "dimensions",
            "precision": "precision",
        },
        alt=f"Size of {now:,} vectors of each model",
    )
    st.caption("Vectors alone: an index structure and the texts come on top.")


# ---------------------------------------------------------------- what the numbers rest on


def _origins(comparison: Comparison, cost: CostReport, samples: CostSamples | None) -> None:
    st.subheader("Where the numbers come from", anchor=False)
    if command := comparison.environment.values.get("command"):
        place.sentence("The command that measures this again:")
        place.command(plain(command, _LONGEST))
    with st.expander("Machine and software"):
        place.table(machine_facts(comparison), key="cost-machine", alt="Machine and software of the run")
    with st.expander("Licences and models"):
        place.table(
            model_facts(comparison), key="cost-licenses", columns=_MODEL_COLUMNS, alt="Licence and size of each model"
        )
    place.sentence("Raw rows:")
    with st.container(horizontal=True):
        place.download(place.as_rows(figure_rows(cost)), key="cost-figures", label="All figures")
        if samples is not None:
            _sample_download(samples)


def _sample_download(samples: CostSamples) -> None:
    """Place the timed calls as a file; of ten thousand, rows are made when it is clicked."""
    st.download_button(
        f"{SAVES} All {len(samples.samples):,} timed calls",
        data=lambda: place.csv_of(place.as_rows(samples.samples)).encode("utf-8-sig"),
        file_name="cost-samples.csv",
        mime="text/csv",
        key="cost-samples-csv",
        on_click="ignore",
        type="tertiary",
    )
