"""A comparison as GitHub Markdown, for a pull request or a wiki.

    Comparison ──> verdict · models · cost · tasks · differences · warnings · worst items
               ──> where the models come from · how to reproduce it

Source of what has to be escaped: GitHub Flavored Markdown Spec 0.29, sections 2.4, 4.10, 6.1 and 6.6.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from benchkit.report import cost_view, verdict_words, warning_words, words
from benchkit.report.view import (
    cells_by_place,
    metas_by_name,
    pairs_against,
    reference,
    summaries,
    task_names,
    task_types,
    worst_of,
)
from benchkit.types.comparison import MEAN, Comparison, ModelSummary, ScoredCell
from benchkit.types.cost import CostFigure

_WORST_SHOWN = 5
_TEXT_SHOWN = 200  # characters of a worst item; more makes a table row unreadable
_SPECIAL = re.compile(r"([\\`*_\[\]~|])")
_LIST_NUMBER = re.compile(r"^(\d+)([.)])(?=\s|$)")
_LINE_START = re.compile(r"^([#+-])")
_MENTION = re.compile(r"(?<!\w)@(?=\w)")  # "@name" would send that person a message; "minilm@dim=64" would not


def render_markdown(comparison: Comparison) -> str:
    """Return the comparison as a Markdown page."""
    sections = [
        [f"# {escape(comparison.suite.name)}: which embedding model?"],
        [f"**{escape(verdict_words.verdict_sentence(comparison))}**"],
        [escape(verdict_words.why_sentence(comparison))],
        ["## Models", "", *_models(comparison)],
        _cost(comparison),
        _cost_ratios(comparison),
        ["## Tasks", "", *_tasks(comparison)],
        _differences(comparison),
        _differences_by_task(comparison),
        _warnings(comparison),
        _worst(comparison),
        ["## Where the models come from", "", *_origins(comparison)],
        _reproduction(comparison),
    ]
    return "\n\n".join("\n".join(section) for section in sections if any(section)) + "\n"


def escape(text: str) -> str:
    """Return text of the data so that Markdown and HTML show it as it is, on one line.

    >>> escape("a|b <i> _c_ @you")
    'a\\\\|b &lt;i&gt; \\\\_c\\\\_ @&#8203;you'
    """
    flat = _SPECIAL.sub(r"\\\1", words.plain(text))
    flat = flat.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    flat = _LINE_START.sub(r"\\\1", _LIST_NUMBER.sub(r"\1\\\2", flat))
    return _MENTION.sub("@&#8203;", flat)


def _rows(heading: Sequence[str], rows: Iterable[Sequence[str]], *, text_columns: int = 1) -> list[str]:
    """Return a table; the first columns hold text, the others numbers on the right. Texts come escaped."""
    rule = ["---" if place < text_columns else "---:" for place in range(len(heading))]
    return [f"| {' | '.join(row)} |" for row in (heading, rule, *rows)]


def _models(comparison: Comparison) -> list[str]:
    types, rows = task_types(comparison), summaries(comparison)
    costs = cost_view.columns(comparison)
    budget = ["budget"] if comparison.budget.is_set else []
    heading = ["model", "mean", "95 % interval", "rank", *budget, *map(escape, types), *costs]
    heading += ["dim", "bytes/vector", "parameters"]
    cells = [[words.figure(figures[place]) for figures in costs.values()] for place in range(len(rows))]
    table = _rows(heading, [_model_row(comparison, row, types, own) for row, own in zip(rows, cells, strict=True)])
    said = [*_models_notes(comparison, costs), *map(escape, cost_view.budget_lines(comparison))]
    return [*table, *(line for note in said for line in ("", note))]


def _model_row(comparison: Comparison, row: ModelSummary, types: Sequence[str], costs: Sequence[str]) -> list[str]:
    meta = metas_by_name(comparison)[row.model]
    name = f"**{escape(row.model)}** (recommended)" if _is_taken(comparison, row) else escape(row.model)
    over = ["breaks it" if row.model in cost_view.over_budget(comparison) else "keeps it"]
    return [
        f"{name} \\*" if row.model in comparison.pareto else name,
        words.points(row.mean_score),
        words.span(row.interval) or words.ABSENT,
        words.rank(row),
        *(over if comparison.budget.is_set else []),
        *(words.type_words(comparison, row, kind) for kind in types),
        *costs,
        words.count(meta.dimension),
        words.count(meta.bytes_per_vector),
        words.parameters(meta.parameters),
    ]


def _is_taken(comparison: Comparison, row: ModelSummary) -> bool:
    return row.model == comparison.recommendation.model


def _models_notes(comparison: Comparison, costs: Iterable[str]) -> list[str]:
    front = [f"\\* {cost_view.FRONT_NOTE}."] if comparison.pareto else []
    limits = cost_view.budget_words(comparison.budget)
    return [
        *front,
        *([f"{cost_view.COLUMN_NOTE}."] if costs else []),
        *([f"Budget: {escape(limits)}."] if limits else []),
    ]


def _cost(comparison: Comparison) -> list[str]:
    if comparison.cost is None:
        return []
    order = [row.model for row in summaries(comparison)]
    rows = [
        [escape(line.metric), escape(line.unit), *map(_figure_and_interval, line.figures)]
        for line in cost_view.lines(comparison)
    ]
    table = _rows(["metric", "unit", *map(escape, order)], rows, text_columns=2) if rows else []
    said = [cost_view.session_words(comparison.cost), *cost_view.notes(comparison.cost)]
    return ["## Cost", "", *(f"- {escape(line)}" for line in said), "", *table]


def _figure_and_interval(found: CostFigure | None) -> str:
    interval = words.figure_span(found)
    return words.figure(found) + (f" ({interval})" if interval else "")


def _cost_ratios(comparison: Comparison) -> list[str]:
    cost = comparison.cost
    if cost is None or not cost.ratios:
        return []
    rows = [
        [
            escape(found.candidate),
            escape(found.baseline),
            found.verdict,
            cost_view.time_words(found),
            words.ratio(found.ratio),
            words.ratio_span(found),
            words.count(found.n),
        ]
        for found in cost.ratios
    ]
    heading = ["model", "against", "verdict", "paired", "ratio", "95 % interval", "n"]
    table = _rows(heading, rows, text_columns=4)
    return ["### Latency, query by query", "", *table, "", cost_view.ratio_note(cost)]


def _tasks(comparison: Comparison) -> list[str]:
    order, cells = [row.model for row in summaries(comparison)], cells_by_place(comparison)
    rows = []
    for task in task_names(comparison):
        own = [cells.get((model, task)) for model in order]
        found = [scored.result for scored in own if scored is not None]
        metric = next((cell.main_metric for cell in found if cell.main_metric), words.ABSENT)
        facts = [escape(task), escape(found[0].type), escape(metric), escape(words.items_behind(found))]
        rows.append([*facts, *map(_score_and_interval, own)])
    return _rows(["task", "type", "metric", "n", *map(escape, order)], rows, text_columns=3)


def _score_and_interval(scored: ScoredCell | None) -> str:
    interval = words.span(scored.interval) if scored is not None else ""
    return words.cell_words(scored) + (f" ({interval})" if interval else "")


def _differences(comparison: Comparison) -> list[str]:
    pairs = [pair for pair in comparison.pairs if pair.task == MEAN]
    if not pairs:
        return []
    rows = [
        [
            escape(pair.candidate),
            escape(pair.baseline),
            pair.verdict if pair.delta is not None else "not compared",
            words.signed_points(pair.delta),
            words.signed_span(pair.interval) or words.ABSENT,
            words.p_words(pair.p_holm),
        ]
        for pair in pairs
    ]
    heading = ["model", "against", "verdict on the mean", "difference", "95 % interval", "p (Holm)"]
    return ["## Differences", "", *_rows(heading, rows, text_columns=3), "", _how_decided(comparison)]


def _how_decided(comparison: Comparison) -> str:
    return (
        f"Paired bootstrap over the items, {comparison.n_resamples} resamples, seed {comparison.seed}; "
        f'"same" means an interval within {words.margin_words(comparison.margin)}, and "inconclusive" that more items '
        "would be needed."
    )


def _differences_by_task(comparison: Comparison) -> list[str]:
    against = reference(comparison)
    if against is None or len(task_names(comparison)) < 2:  # on one task the mean says it all
        return []
    found = pairs_against(comparison, against)
    others = [row.model for row in summaries(comparison) if row.model != against]
    rows = [
        [escape(task), *(words.pair_words(found.get((other, task))) for other in others)]
        for task in task_names(comparison)
    ]
    if not others:
        return []
    return [f"### Against {escape(against)}, by task", "", *_rows(["task", *map(escape, others)], rows)]


def _warnings(comparison: Comparison) -> list[str]:
    said = warning_words.warnings(comparison)
    return ["## Warnings", "", *(f"- {escape(warning)}" for warning in said)] if said else []


def _worst(comparison: Comparison) -> list[str]:
    model = comparison.recommendation.model
    worst = worst_of(comparison, model, _WORST_SHOWN) if model is not None else []
    if model is None or not worst:
        return []
    rows = []
    for task, item in worst:
        texts = [escape(words.plain(text, _TEXT_SHOWN)) for text in (item.text, item.expected, item.found)]
        rows.append([escape(task), *texts, words.points(item.value)])
    heading = ["task", "item", "expected", "found", "score"]
    return [f"## Where {escape(model)} did worst", "", *_rows(heading, rows, text_columns=4)]


def _origins(comparison: Comparison) -> list[str]:
    rows = [
        [
            escape(meta.name),
            escape(meta.id),
            escape(meta.revision or words.ABSENT),
            escape(meta.fingerprint),
            escape(meta.license or words.ABSENT),
            meta.precision,
            escape(meta.engine or words.ABSENT),
            escape("; ".join(meta.notes)),
        ]
        for meta in comparison.models
    ]
    heading = ["model", "from", "revision", "fingerprint", "licence", "precision", "engine", "notes"]
    return _rows(heading, rows, text_columns=len(heading))


def _reproduction(comparison: Comparison) -> list[str]:
    suite, environment = comparison.suite, comparison.environment.values
    facts = f"Suite {escape(suite.name)} with digest {escape(suite.digest)}, started {escape(comparison.started)}."
    machine = "; ".join(f"{escape(key)} {escape(value)}" for key, value in environment.items() if key != "command")
    command = _code_block(environment["command"]) if "command" in environment else []
    return ["## How to reproduce", "", facts, *(["", f"Made with {machine}."] if machine else []), *command]


def _code_block(text: str) -> list[str]:
    flat = words.plain(text)
    # A fence has to be longer than any run of backticks within it.
    fence = "`" * max(3, 1 + max(map(len, re.findall("`+", flat)), default=0))
    return ["", f"{fence}sh", flat, fence]
