"""benchkit drift models: two versions of a model on the same texts; keep the index, adapt, or embed again?"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from benchkit.cli.console import say
from benchkit.cli.drift_output import print_json
from benchkit.cli.interrupt import ends_in_order
from benchkit.cli.options import STDOUT, check_targets, json_option, quiet_option
from benchkit.errors import EXIT_OK

if TYPE_CHECKING:
    from benchkit.monitor.versions import DrawnTexts, ModelsReport

SCHEMA_VERSION = 1


@click.command("models")
@click.argument("old")
@click.argument("new")
@click.option("--texts", required=True, metavar="FILE", help="Texts to encode: .txt, .jsonl, .parquet or a folder.")
@click.option("--queries", metavar="FILE", help="Queries that search among the texts; without it the texts do.")
@click.option("--text-column", metavar="NAME", help="Column of the text.")
@click.option(
    "--seed",
    type=click.IntRange(0, 2**32 - 1),
    default=0,
    show_default=True,
    metavar="N",
    help="Of the sample of the texts.",
)
@click.option("--device", default="auto", show_default=True, metavar="auto|cpu|cuda|cuda:N", help="Where models run.")
@click.option("--offline", is_flag=True, help="Touch no network.")
@json_option("comparison")
@quiet_option
def command(
    old: str,
    new: str,
    texts: str,
    queries: str | None,
    text_column: str | None,
    seed: int,
    device: str,
    offline: bool,
    json_path: str | None,
    quiet: bool,
) -> int:
    """Compare two models on your texts: is NEW a drop-in for OLD, does an adapter do, or is a re-embed needed?

    At most 5,000 distinct texts are encoded; of more, a sample is drawn. Exit codes: 0 compared, whatever came out, 2
    wrong usage, texts or model, 130 interrupted.
    """
    check_targets({"--json": json_path})
    say(f"benchkit drift: reading {texts}", quiet=quiet)
    from benchkit.monitor.versions import ModelsRequest, run
    from benchkit.types.drift import ColumnNames

    with ends_in_order():
        report = run(
            ModelsRequest(
                old=old,
                new=new,
                texts=texts,
                queries=queries,
                columns=ColumnNames(text=text_column),
                device=device,
                offline=offline or None,
                seed=seed,
            )
        )
    if json_path is not None:
        text = render_json(report)
        if json_path == STDOUT:
            print_json(text)
            return EXIT_OK
        Path(json_path).write_text(text, encoding="utf-8")
    click.echo("\n".join(lines_of(report)))
    return EXIT_OK


def render_json(report: ModelsReport) -> str:
    """Return the JSON text, with a line end: figures and where they are from, and none of the texts."""
    from benchkit.report.forms import plain

    data = plain(report)
    for name in ("texts", "queries"):
        if data[name] is not None:
            data[name]["texts"] = len(data[name]["texts"])
    return json.dumps({"schema_version": SCHEMA_VERSION, **data}, indent=2, ensure_ascii=False) + "\n"


def lines_of(report: ModelsReport) -> Iterator[str]:
    """Yield the report for a terminal: the advice, then the figures."""
    from benchkit.report.words import plain

    yield _capital(report.figures.reason)
    yield ""
    rows = [*_given(report), *_figures(report)]
    width = max(len(name) for name, _ in rows)
    yield from (f"  {name:<{width}}  {plain(value)}" for name, value in rows)


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:] + "."


def _given(report: ModelsReport) -> Iterator[tuple[str, str]]:
    yield "old", f"{report.old.name} ({report.old.dimension} dimensions)"
    yield "new", f"{report.new.name} ({report.new.dimension} dimensions)"
    yield "texts", _drawn(report.texts, report.seed)
    if report.queries is not None:
        left_out = f"; {report.left_out_queries:,} are among the texts and left out" if report.left_out_queries else ""
        yield "queries", _drawn(report.queries, report.seed) + left_out


def _drawn(drawn: DrawnTexts, seed: int) -> str:
    of = f", a sample (seed {seed})" if drawn.is_sample else ""
    return f"{len(drawn.texts):,} distinct of {drawn.rows:,} rows with a text{of}, {drawn.source}"


def _figures(report: ModelsReport) -> Iterator[tuple[str, str]]:
    found = report.figures
    yield "same space", "yes" if found.same_space else "no"
    if found.mean_cosine is not None:
        yield "cosine of a text's two vectors", f"{_cut(found.mean_cosine, 5)}, lowest {_cut(found.worst_cosine, 5)}"
    yield "overlap@10, each in its own space", _share(found.overlap_at_10)
    yield "linear CKA", "not defined" if found.cka is None else f"{found.cka:.4f}"
    yield "Procrustes residual", f"{found.procrustes_residual:.4f}"
    yield "recall@10 of new queries on old vectors", _share(found.cross_recall_at_10)
    yield "  where every other vector is a new one", _share(found.mixed_recall_at_10)
    yield "  through a rotation", _share(found.rotation_recall_at_10)
    yield "  through a linear map", _share(found.linear_recall_at_10)


def _share(share: float | None) -> str:
    return "not possible: the dimensions differ" if share is None else f"{_cut(100 * share, 1)} %"


def _cut(value: float | None, places: int) -> str:
    """Return a number with so many decimals, cut as in the reason: what is below a limit must not read as the limit."""
    return "" if value is None else f"{math.floor(value * 10**places + 1e-6) / 10**places:.{places}f}"
