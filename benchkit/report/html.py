"""A comparison as one HTML file that needs nothing else: no network, no script, no second file.

    Comparison ──> verdict · warnings · summary · quality and cost · costs · map of tasks · differences · worst items
               ──> models · environment

Everything that comes from data is escaped, and a Content-Security-Policy forbids scripts, plug-ins, forms and every
load from elsewhere, so that even a text that slips through could do nothing. The style sheet is allowed by its hash.
"""

from __future__ import annotations

from collections.abc import Sequence

from benchkit.report import cost_view, page, verdict_words, warning_words, words
from benchkit.report.charts.base import Chart
from benchkit.report.charts.forest import forest
from benchkit.report.charts.heat import HEAT, finite_score, heat_range, heat_step
from benchkit.report.charts.quality import quality_against, without_place
from benchkit.report.charts.svg import svg_of_both_widths
from benchkit.report.charts.tasks import task_map
from benchkit.report.charts.variants import variants_note
from benchkit.report.page import document, escape
from benchkit.report.view import (
    WorstOfTask,
    cells_by_place,
    metas_by_name,
    pairs_against,
    reference,
    summaries,
    task_names,
    task_types,
    worst_of,
)
from benchkit.types.comparison import MEAN, Comparison, ModelSummary, PairResult, ScoredCell
from benchkit.types.cost import CostFigure, CostRatio
from benchkit.types.model import ModelMeta

_WORST_SHOWN = 10
_OPEN_TASKS = 12  # a longer table of differences by task is folded up


def render_html(comparison: Comparison) -> str:
    """Return the comparison as a self-contained page."""
    sections = (
        _head(comparison),
        _warnings(comparison),
        _summary(comparison),
        _quality_cost(comparison),
        _costs(comparison),
        _map(comparison),
        _differences(comparison),
        _worst(comparison),
        _models(comparison),
        _environment(comparison),
    )
    return document(f"{comparison.suite.name}: which embedding model?", sections)


# --- sections


def _head(comparison: Comparison) -> str:
    suite = comparison.suite
    facts = [
        words.counted(len(comparison.models), "model"),
        words.counted(len(task_names(comparison)), "task"),
        f"started {escape(comparison.started)}",
        f"{comparison.seconds:.0f} s",
    ]
    why = verdict_words.why_sentence(comparison)
    return f"""<header>
<h1>{escape(suite.name)}: which embedding model?</h1>
{f"<p>{escape(suite.description)}</p>" if suite.description else ""}
<p class="facts">{" · ".join(facts)}</p>
</header>
<div class="verdict">
<p class="take">{escape(verdict_words.verdict_sentence(comparison))}</p>
{f"<p>{escape(why)}</p>" if why else ""}
<p class="note">Scores are points (0 to 100) with 95 % intervals from a paired bootstrap over the items.</p>
</div>"""


def _warnings(comparison: Comparison) -> str:
    said = warning_words.warnings(comparison)
    if not said:
        return ""
    items = "\n".join(f"<li>{escape(warning)}</li>" for warning in said)
    return f'<section class="warnings">\n<h2>Before you trust these numbers</h2>\n<ul>\n{items}\n</ul>\n</section>'


def _summary(comparison: Comparison) -> str:
    types, costs = task_types(comparison), cost_view.columns(comparison)
    numbers = ["mean", "rank", *costs, *map(escape, types), "dimensions", "bytes per vector", "parameters"]
    headings = [page.heading("model"), *(page.heading(title, "number") for title in numbers)]
    rows = [
        _summary_row(comparison, row, types, [figures[place] for figures in costs.values()])
        for place, row in enumerate(summaries(comparison))
    ]
    said = ["A rank range holds every rank that the data leave open."]
    said += [f"{cost_view.COLUMN_NOTE}."] if costs else []
    said += [f"Pareto: {cost_view.FRONT_NOTE}."] if comparison.pareto else []
    note = f'<p class="note">{" ".join(map(escape, said))}</p>'
    return page.section("Summary", page.table("Summary", headings, rows), note, *_budget(comparison))


def _budget(comparison: Comparison) -> list[str]:
    limits = cost_view.budget_words(comparison.budget)
    if not limits:
        return []
    items = "\n".join(f"<li>{escape(line)}</li>" for line in cost_view.budget_lines(comparison))
    return [f"<p>Budget: {escape(limits)}.</p>", f"<ul>\n{items}\n</ul>" if items else "<p>Every model keeps it.</p>"]


def _summary_row(
    comparison: Comparison, row: ModelSummary, types: Sequence[str], costs: Sequence[CostFigure | None]
) -> str:
    meta = metas_by_name(comparison)[row.model]
    taken, over = row.model == comparison.recommendation.model, row.model in cost_view.over_budget(comparison)
    tags = (("recommended", taken), ("Pareto", row.model in comparison.pareto), ("breaks the budget", over))
    cells = [
        page.row_heading(
            escape(row.model) + "".join(f' <span class="tag">{text}</span>' for text, is_so in tags if is_so)
        ),
        page.number(words.points(row.mean_score) + page.small(words.span(row.interval))),
        page.number(words.rank(row)),
        *(page.number(words.figure(found) + page.small(words.figure_span(found))) for found in costs),
        *(page.number(words.type_words(comparison, row, kind)) for kind in types),
        page.number(words.count(meta.dimension)),
        page.number(words.count(meta.bytes_per_vector)),
        page.number(words.parameters(meta.parameters)),
    ]
    return page.row(cells, "taken" if taken else "over" if over else "")


def _quality_cost(comparison: Comparison) -> str:
    bars = "The diamond is the recommended model; bars are 95 % intervals"
    note = variants_note(comparison.models)
    joins = f" {note}" if note else ""
    latency = _figure(
        quality_against(comparison, "latency"),
        f"Up is better, left is faster. {bars}; a hollow mark breaks the budget. Left of and above the dashed steps "
        f"there is no model.{joins}",
        without_place(comparison, "latency"),
    )
    size = _figure(
        quality_against(comparison, "bytes"),
        f"Up is better, left is cheaper. {bars}; models of one size stand side by side.{joins}",
        without_place(comparison, "bytes"),
    )
    return page.section("Quality and cost", latency, size) if latency or size else ""


def _figure(chart: Chart | None, said: str, beside: Sequence[str] = ()) -> str:
    if chart is None:
        return ""
    others = f'\n<p class="note">Not in the picture: {"; ".join(map(escape, beside))}.</p>' if beside else ""
    frame = f'<div class="scroll" role="region" tabindex="0" aria-label="{escape(chart.title)}">'
    picture = f"{frame}{svg_of_both_widths(chart)}</div>"
    return f"<figure>\n{picture}\n<figcaption>{said}</figcaption>\n</figure>{others}"


def _costs(comparison: Comparison) -> str:
    cost = comparison.cost
    if cost is None:
        return ""
    said = f"<p>{escape(cost_view.session_words(cost))}</p>"
    items = "\n".join(f"<li>{escape(note)}</li>" for note in cost_view.notes(cost))
    notes = f'<ul class="note">\n{items}\n</ul>' if items else ""
    ratios = [page.table("Paired latency", _ratio_headings(), map(_ratio_row, cost.ratios))] if cost.ratios else []
    how = [f'<p class="note">{escape(cost_view.ratio_note(cost))}</p>'] if cost.ratios else []
    return page.section("Costs", said, *ratios, *how, _figures(comparison), notes)


def _ratio_headings() -> list[str]:
    texts = map(page.heading, ("model", "against", "verdict", "paired"))
    return [*texts, *(page.heading(title, "number") for title in ("ratio", "95 % interval", "n"))]


def _ratio_row(found: CostRatio) -> str:
    return page.row(
        [
            page.row_heading(escape(found.candidate)),
            page.cell(escape(found.baseline)),
            page.cell(found.verdict, found.verdict),
            page.cell(escape(cost_view.time_words(found))),
            page.number(words.ratio(found.ratio)),
            page.number(words.ratio_span(found)),
            page.number(words.count(found.n)),
        ]
    )


def _figures(comparison: Comparison) -> str:
    """Return every figure of every model: a line for each metric, under the name that JSON and MLflow have for it."""
    headings = [page.heading("metric"), *(page.heading(escape(row.model)) for row in summaries(comparison))]
    rows = [
        page.row(
            [page.row_heading(escape(line.metric) + page.small(escape(line.unit))), *map(_figure_cell, line.figures)]
        )
        for line in cost_view.lines(comparison)
    ]
    table = page.table("Figures of cost by model", headings, rows, "map")
    return f"<details open>\n<summary>All figures</summary>\n{table}\n</details>" if rows else ""


def _figure_cell(found: CostFigure | None) -> str:
    if found is None:
        return f'<td class="absent">{words.ABSENT}</td>'
    return page.cell(words.figure(found) + page.small(words.figure_span(found)))


def _map(comparison: Comparison) -> str:
    cells, order = cells_by_place(comparison), [row.model for row in summaries(comparison)]
    low, high = heat_range(comparison)
    headings = [page.heading("task"), *(page.heading(escape(model)) for model in order)]
    rows = [
        page.row(
            [
                page.row_heading(_task_heading(comparison, task)),
                *(_heat(cells.get((model, task)), low, high) for model in order),
            ]
        )
        for task in task_names(comparison)
    ]
    return page.section("Tasks", _legend(low, high), page.table("Scores by task and model", headings, rows, "map"))


def _task_heading(comparison: Comparison, task: str) -> str:
    found = [scored.result for scored in comparison.cells if scored.result.task == task]
    metric = next((cell.main_metric for cell in found if cell.main_metric), None)
    behind = words.items_behind(found)
    facts = [found[0].type, *([metric] if metric else []), *([f"n = {behind}"] if behind != words.ABSENT else [])]
    return escape(task) + page.small(escape(" · ".join(facts)))


def _heat(scored: ScoredCell | None, low: float, high: float) -> str:
    said, score = words.cell_words(scored), finite_score(scored)
    if scored is None or score is None:
        reason = escape(scored.result.reason) if scored is not None else ""
        return f'<td class="absent" title="{reason}">{said}</td>'
    return page.cell(said + page.small(words.span(scored.interval)), f"heat{heat_step(score, low, high)}")


def _legend(low: float, high: float) -> str:
    ends = [low + (high - low) * step / len(HEAT) for step in range(len(HEAT))]
    swatches = "".join(f'<span class="heat{step}">{end * 100:.3g}</span>' for step, end in enumerate(ends))
    return f'<div class="legend"><span>from</span>{swatches}<span>to {high * 100:.3g} points</span></div>'


def _differences(comparison: Comparison) -> str:
    if not comparison.pairs:
        return ""
    said = (
        "Filled: a difference was found; hollow: inconclusive; square: the same within the margin, which is the band."
    )
    figure = _figure(forest(comparison), said)
    decided = (
        f"{comparison.n_resamples} resamples, seed {comparison.seed}; &quot;same&quot; means an interval within "
        f"{words.margin_words(comparison.margin)}, &quot;inconclusive&quot; that more items would be needed. "
        "Verdicts are at the 5 % level after Holm&#x27;s correction."
    )
    note = f'<p class="note">{decided}</p>'
    return page.section("Differences", figure, note, _mean_pairs(comparison), *_by_task(comparison))


def _by_task(comparison: Comparison) -> list[str]:
    """Return the differences by task, as a picture and in numbers; on one task the mean says it all."""
    against = reference(comparison)
    if against is None or len(task_names(comparison)) < 2:
        return []
    said = (
        f"Points against {escape(against)}. Blue is better, orange is worse; in parentheses on grey is what may be "
        "chance, or is the same within the margin."
    )
    return [_figure(task_map(comparison, baseline=against), said), _pairs_by_task(comparison, against)]


def _mean_pairs(comparison: Comparison) -> str:
    numbers = [page.heading(title, "number") for title in ("difference", "95 % interval", "p", "p (Holm)")]
    headings = [*(page.heading(title) for title in ("model", "against", "verdict on the mean")), *numbers]
    rows = [_pair_row(pair) for pair in comparison.pairs if pair.task == MEAN]
    return page.table("Differences on the mean", headings, rows) if rows else ""


def _pair_row(pair: PairResult) -> str:
    absent = f"not compared{page.small(escape(pair.reason))}"
    return page.row(
        [
            page.row_heading(escape(pair.candidate)),
            page.cell(escape(pair.baseline)),
            page.cell(pair.verdict, pair.verdict) if pair.delta is not None else page.cell(absent),
            page.number(words.signed_points(pair.delta)),
            page.number(words.signed_span(pair.interval) or words.ABSENT),
            page.number(words.p_words(pair.p_value)),
            page.number(words.p_words(pair.p_holm)),
        ]
    )


def _pairs_by_task(comparison: Comparison, against: str) -> str:
    tasks = task_names(comparison)
    found = pairs_against(comparison, against)
    others = [row.model for row in summaries(comparison) if row.model != against]
    headings = [page.heading("task"), *(page.heading(escape(other)) for other in others)]
    rows = [
        page.row([page.row_heading(escape(task)), *(_pair_cell(found.get((other, task))) for other in others)])
        for task in tasks
    ]
    title = f"Against {escape(against)}, by task"
    opened = " open" if len(tasks) <= _OPEN_TASKS else ""
    return f"<details{opened}>\n<summary>{title}</summary>\n{page.table(title, headings, rows, 'map')}\n</details>"


def _pair_cell(pair: PairResult | None) -> str:
    if pair is None or pair.delta is None:
        reason = escape(pair.reason) if pair is not None else ""
        return f'<td class="absent" title="{reason}">{words.ABSENT}</td>'
    said = f"{words.signed_points(pair.delta)} {pair.verdict}"
    return page.cell(said + page.small(words.signed_span(pair.interval)), pair.verdict)


def _worst(comparison: Comparison) -> str:
    folds = []
    for row in summaries(comparison):
        if worst := worst_of(comparison, row.model, _WORST_SHOWN):
            opened = " open" if row.model == comparison.recommendation.model else ""
            table = _worst_table(row.model, worst)
            folds.append(f"<details{opened}>\n<summary>{escape(row.model)}</summary>\n{table}\n</details>")
    return page.section("Where each model did worst", *folds) if folds else ""


def _worst_table(model: str, worst: Sequence[WorstOfTask]) -> str:
    headings = [
        page.heading("task"),
        page.heading("score", "number"),
        *map(page.heading, ("item", "expected", "found")),
    ]
    rows = [
        page.row(
            [
                page.row_heading(escape(task) + page.small(escape(item.item))),
                page.number(words.points(item.value)),
                *map(page.text_cell, (item.text, item.expected, item.found)),
            ]
        )
        for task, item in worst
    ]
    return page.table(f"Worst items of {escape(model)}", headings, rows)


def _models(comparison: Comparison) -> str:
    texts = ("model", "from", "revision", "fingerprint", "licence", "precision", "engine", "notes")
    numbers = ("longest input", "memory")
    headings = [*map(page.heading, texts), *(page.heading(title, "number") for title in numbers)]
    return page.section("Models", page.table("Models", headings, map(_model_row, comparison.models)))


def _model_row(meta: ModelMeta) -> str:
    memory = words.ABSENT if meta.memory_bytes is None else f"{meta.memory_bytes / 2**20:.0f} MiB"
    return page.row(
        [
            page.row_heading(escape(meta.name)),
            *(page.cell(escape(value or words.ABSENT), "code") for value in (meta.id, meta.revision, meta.fingerprint)),
            page.cell(escape(meta.license or words.ABSENT)),
            page.cell(meta.precision),
            page.cell(escape(meta.engine or words.ABSENT)),
            page.text_cell(" ".join(meta.notes)),
            page.number(words.count(meta.max_seq_length)),
            page.number(memory),
        ]
    )


def _environment(comparison: Comparison) -> str:
    values = comparison.environment.values
    facts = {
        "suite": comparison.suite.name,
        "suite file": comparison.suite.path or words.ABSENT,
        "suite digest": comparison.suite.digest,
        **{key: value for key, value in values.items() if key != "command"},
    }
    rows = [
        page.row([page.row_heading(escape(key)), page.cell(escape(value), text=True)]) for key, value in facts.items()
    ]
    command = f"<p>Run it again:</p>\n<pre>{escape(values['command'])}</pre>" if "command" in values else ""
    return page.section(
        "How to reproduce", command, page.table("Environment", [page.heading("fact"), page.heading("value")], rows)
    )
