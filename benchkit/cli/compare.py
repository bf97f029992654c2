"""benchkit compare: the main job."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from benchkit.cli.budget import budget_options
from benchkit.cli.console import make_progress, say
from benchkit.cli.interrupt import ends_at_once, ends_in_order
from benchkit.cli.invoked import command_line
from benchkit.cli.options import (
    FILE,
    STDOUT,
    baseline_option,
    check_targets,
    cost_option,
    json_option,
    machine_options,
    quiet_option,
    seed_option,
    suite_option,
    tracking_options,
)
from benchkit.cli.plan import show_plan
from benchkit.cli.streams import drop_stdout
from benchkit.errors import EXIT_CELL_FAILED, EXIT_INTERRUPTED, EXIT_OK, EXIT_USAGE, UsageError

if TYPE_CHECKING:
    from benchkit.api.record import Recorded
    from benchkit.api.request import Prepared
    from benchkit.types.comparison import Comparison
    from benchkit.types.cost import Budget, CostChoice


@click.command("compare")
@click.argument("models", nargs=-1, metavar="MODEL...")
@suite_option()
@baseline_option
@json_option("result")
@click.option("--markdown", "markdown_path", type=FILE, metavar="PATH", help="Write the report as Markdown.")
@click.option("--html", "html_path", type=FILE, metavar="PATH", help="Write the report as one HTML file.")
@tracking_options(store="MLflow store: sqlite:///..., http://..., postgresql://...", recorded="comparison")
@machine_options
@cost_option
@click.option("--no-cost", is_flag=True, help="Do not measure latency, throughput and memory.")
@budget_options
@click.option(
    "--dry-run",
    is_flag=True,
    help="Show what would be run, and stop. Nothing is written but the cache: no --json, --markdown or --html file. "
    "With --json - the plan is JSON: suite, models, tasks, and for each cell whether it is kept already.",
)
@quiet_option
@seed_option()
def command(
    models: tuple[str, ...],
    suite: str | None,
    baseline: str | None,
    json_path: str | None,
    markdown_path: Path | None,
    html_path: Path | None,
    tracking_uri: str | None,
    no_track: bool,
    device: str,
    offline: bool,
    engine: str | None,
    cost: CostChoice | None,
    no_cost: bool,
    budget: Budget,
    dry_run: bool,
    quiet: bool,
    seed: int | None,
) -> int:
    """Compare MODELs on a suite: which one to take, by how much it is better, and how sure that is.

    MODEL is a short name (`benchkit models list`), a hub name, a local directory, or a variant of one:
    minilm@dim=128,precision=int8.
    """
    check_targets({"--json": json_path, "--markdown": markdown_path, "--html": html_path})
    if cost and no_cost:
        raise UsageError("--cost and --no-cost were both given; leave one of the two out")
    say("benchkit compare: reading the suite", quiet=quiet)
    from benchkit.api.request import Request, prepare

    request = Request(
        models=models,
        suite=suite,
        baseline=baseline,
        device=device,
        offline=offline or None,
        tracking_uri=tracking_uri,
        track=not no_track,
        seed=seed,
        engine=engine,
        cost="off" if no_cost else cost,
        budget=budget,
        command=command_line(),
    )
    with ends_at_once():
        prepared = prepare(request, on_stage=lambda stage: say(stage, quiet=quiet))
    if dry_run:
        show_plan(prepared, as_json=json_path == STDOUT)
        return EXIT_OK
    return _run(prepared, json_path, markdown_path, html_path, quiet=quiet)


def _run(
    prepared: Prepared, json_path: str | None, markdown_path: Path | None, html_path: Path | None, *, quiet: bool
) -> int:
    from benchkit.api.record import record
    from benchkit.api.run import run

    progress = make_progress(quiet=quiet)
    try:
        with ends_in_order():
            finished = run(prepared, progress=progress)
    except KeyboardInterrupt:
        say("interrupted: finished cells are kept; the same command goes on from there")
        return EXIT_INTERRUPTED
    finally:
        if (stop := getattr(progress, "stop", None)) is not None:
            stop()
    comparison = finished.comparison
    # What was asked for by name comes before the record, which may wait for a server.
    is_delivered = _deliver(comparison, json_path, markdown_path, html_path)
    recorded = record(finished, prepared)
    _tell_of(recorded, quiet=quiet)
    if comparison.interrupted:
        say("interrupted: the report holds what was finished; the same command goes on from there")
        return EXIT_INTERRUPTED
    failed = [cell for cell in finished.cells if cell.status == "failed"]
    for cell in failed:
        say(f"failed: {cell.model} on {cell.task}: {cell.reason}")
    if failed:
        return EXIT_CELL_FAILED
    if recorded.interrupted:
        return EXIT_INTERRUPTED
    return EXIT_OK if is_delivered else EXIT_USAGE


def _tell_of(recorded: Recorded, *, quiet: bool) -> None:
    for warning in recorded.warnings:
        say(f"warning: {warning}")
    if recorded.same_as:
        say(f"unchanged since {recorded.same_as}: the same result is recorded already", quiet=quiet)
    if recorded.folder is not None:
        say(f"files: {recorded.folder}", quiet=quiet)
    if recorded.run is not None:
        say(f"MLflow: {recorded.run}", quiet=quiet)


def _deliver(comparison: Comparison, json_path: str | None, markdown_path: Path | None, html_path: Path | None) -> bool:
    """Write and print what was asked for; return whether all of it could be."""
    from benchkit.report.html import render_html
    from benchkit.report.markdown import render_markdown

    outputs: list[tuple[str, Callable[[], object]]] = []
    if json_path not in (None, STDOUT):
        outputs.append((f"--json {json_path}", lambda: _write_json(comparison, Path(str(json_path)))))
    if markdown_path is not None:
        outputs.append(
            (
                f"--markdown {markdown_path}",
                lambda: markdown_path.write_text(render_markdown(comparison), encoding="utf-8"),
            )
        )
    if html_path is not None:
        outputs.append((f"--html {html_path}", lambda: html_path.write_text(render_html(comparison), encoding="utf-8")))
    outputs.append(("stdout", lambda: (_print_json if json_path == STDOUT else _print_table)(comparison)))
    delivered = [_is_delivered(name, deliver) for name, deliver in outputs]
    return all(delivered)


def _is_delivered(name: str, deliver: Callable[[], object]) -> bool:
    try:
        deliver()
    except BrokenPipeError:
        # `benchkit compare ... | head`: its reader has seen what it wanted.
        drop_stdout()
    except OSError as exc:
        # The other outputs are still written, and the comparison is recorded.
        say(f"error: {name}: {exc.strerror or exc}; everything else is done all the same")
        if name == "stdout":
            drop_stdout()
        return False
    return True


def _write_json(comparison: Comparison, path: Path) -> None:
    from benchkit.api.record import write_json
    from benchkit.report.json_form import to_dict

    write_json(path, to_dict(comparison))


def _print_json(comparison: Comparison) -> None:
    from benchkit.report.json_form import to_dict

    # Where stdout can't show every character, JSON's own escapes keep them.
    is_utf8 = "utf" in (getattr(sys.stdout, "encoding", None) or "").lower()
    click.echo(json.dumps(to_dict(comparison), ensure_ascii=not is_utf8, indent=1, allow_nan=False))


def _print_table(comparison: Comparison) -> None:
    from rich.console import Console

    from benchkit.report.table import render_table

    class Stdout(Console):
        def on_broken_pipe(self) -> None:
            # rich would end the program here, before the comparison is recorded.
            raise BrokenPipeError

    render_table(comparison, Stdout())
