"""A baseline for a terminal: which model, made when and where, and its score on every task.

Scored ──> heading · table of tasks · what a gate would compare with
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchkit.report import words
from benchkit.types.gate import Scored

if TYPE_CHECKING:
    from rich.console import Console

_DIGEST = 12  # characters of a digest that a person compares by eye


def render_scored(scored: Scored, console: Console) -> None:
    """Print the scores of one model; colour and width are the console's."""
    from rich.table import Table
    from rich.text import Text

    console.print(Text(f"{words.plain(scored.model.name)} on {words.plain(scored.suite.name)}"), style="bold")
    for line in _facts(scored):
        console.print(Text(line))
    table = Table(box=None, pad_edge=False)
    table.add_column("task", overflow="fold")
    for heading in ("points", "items"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("metric", overflow="fold")
    table.add_column("data", no_wrap=True)
    for cell in scored.cells:
        score = words.points(cell.main_score) if cell.status == "ok" else cell.status
        digest = (cell.data_digest or "")[:_DIGEST]
        row = (words.plain(cell.task), score, words.count(cell.n_items), cell.main_metric or "", digest)
        table.add_row(*(Text(value) for value in row))
    console.print(table)


def _facts(scored: Scored) -> list[str]:
    model, suite = scored.model, scored.suite
    size = words.size_words(model)
    facts = [
        f"from {words.plain(scored.source)}, made {scored.created} with benchkit {scored.benchkit_version}",
        f"model {words.plain(model.id)}{f', {size}' if size else ''}, fingerprint {model.fingerprint[:_DIGEST]}",
        f"suite digest {suite.digest[:_DIGEST]}, seed {scored.seed}, {scored.n_resamples} resamples",
    ]
    if scored.cost is not None:
        facts.append(f"costs measured {scored.cost.measured_at}; a gate measures its own beside the candidate")
    return facts
