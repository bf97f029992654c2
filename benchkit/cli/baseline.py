"""benchkit baseline: what gates compare with."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from benchkit.cli.budget import ENGINES
from benchkit.cli.console import make_progress, say
from benchkit.cli.interrupt import ends_in_order
from benchkit.cli.invoked import command_line
from benchkit.cli.options import FILE, check_targets
from benchkit.errors import EXIT_INTERRUPTED, EXIT_OK, UsageError

if TYPE_CHECKING:
    from benchkit.api.request import Request
    from benchkit.runner.progress import Progress
    from benchkit.store.registry import Champion
    from benchkit.types.gate import Scored

_SUITE = click.option("--suite", metavar="NAME|PATH", help="Suite; without it the project's, else quickstart.")
_URI = click.option("--tracking-uri", metavar="URI", help="MLflow store; without it the project's.")
_DEVICE = click.option(
    "--device", default="auto", show_default=True, metavar="auto|cpu|cuda|cuda:N", help="Where the model runs."
)
_OFFLINE = click.option("--offline", is_flag=True, help="Touch no network.")
_ENGINE = click.option(
    "--engine", type=click.Choice(ENGINES), metavar="|".join(ENGINES), help="What computes the vectors [auto]."
)
_QUIET = click.option("--quiet", is_flag=True, help="No progress.")


@click.group("baseline")
def command() -> None:
    """Save, show, promote and list what gates hold candidates against."""


@command.command("save")
@click.argument("file", type=FILE)
@click.option("--model", metavar="MODEL", help="The model to score.")
@click.option("--result", type=click.Path(path_type=Path), metavar="RESULT", help="Stored scores instead.")
@_SUITE
@_DEVICE
@_ENGINE
@_OFFLINE
@_QUIET
def save(
    file: Path,
    model: str | None,
    result: Path | None,
    suite: str | None,
    device: str,
    engine: str | None,
    offline: bool,
    quiet: bool,
) -> int:
    """Write FILE with the scores of a model, item by item: small, and made to be committed.

    With --result the scores are those of a stored result, and --model says which model of it.
    """
    check_targets({"FILE": file})
    if model is None and result is None:
        raise UsageError("name the model: benchkit baseline save FILE --model MODEL; or stored scores: --result RESULT")
    from benchkit.api.baseline import save as save_baseline

    request = _request(
        models=() if model is None else (model,), suite=suite, device=device, engine=engine, offline=offline or None
    )
    saved = _watched(quiet, lambda progress: save_baseline(file, request, result=result, progress=progress))
    if saved is None:
        return EXIT_INTERRUPTED
    scored = saved.scored
    click.echo(
        f"{saved.path}: {scored.model.name} on {scored.suite.name}, {len(scored.cells)} tasks, "
        f"{sum(cell.n_items or 0 for cell in scored.cells)} items, {saved.bytes / 1024:.0f} KiB"
    )
    click.echo(f"next: benchkit gate MODEL --baseline {shlex.quote(str(file))} --suite {_suite_name(scored, suite)}")
    return EXIT_OK


def _suite_name(scored: Scored, given: str | None) -> str:
    return shlex.quote(given or scored.suite.name)


@command.command("show")
@click.argument("name", default="champion", metavar="[FILE|champion]")
@_SUITE
@_URI
def show(name: str, suite: str | None, tracking_uri: str | None) -> int:
    """Show a baseline file, or the champion of a suite: which model, made when, its scores."""
    from rich.console import Console

    from benchkit.api.baseline import show as find
    from benchkit.report.baseline_view import render_scored

    render_scored(find(name, suite=suite, request=_request(suite=suite, tracking_uri=tracking_uri)), Console())
    return EXIT_OK


@command.command("promote")
@click.argument("model")
@_SUITE
@click.option("--reason", default="", metavar="TEXT", help="Why; asked for with --force.")
@click.option("--force", is_flag=True, help="Promote a model whose last gate did not pass, or that had none.")
@click.option("--by", metavar="NAME", help="Who; without it the user's name.")
@_URI
@_DEVICE
@_ENGINE
@_OFFLINE
@_QUIET
def promote(
    model: str,
    suite: str | None,
    reason: str,
    force: bool,
    by: str | None,
    tracking_uri: str | None,
    device: str,
    engine: str | None,
    offline: bool,
    quiet: bool,
) -> int:
    """Make MODEL the champion of a suite: what `benchkit gate --baseline champion` compares with.

    Its last gate on this suite must have passed, and one against the present champion; the first champion needs none.
    """
    if force and not reason.strip():
        raise UsageError("--force needs --reason TEXT: it is recorded with the champion")
    from benchkit.api.baseline import promote as promote_model

    request = _request(
        models=(model,),
        suite=suite,
        tracking_uri=tracking_uri,
        device=device,
        engine=engine,
        offline=offline or None,
    )
    champion = _watched(
        quiet, lambda progress: promote_model(request, reason=reason, force=force, by=by, progress=progress)
    )
    if champion is None:
        return EXIT_INTERRUPTED
    _tell(champion)
    return EXIT_OK


@command.command("list")
@click.option("--suite", metavar="NAME|PATH", help="History of one suite; without it the champions of all suites.")
@_URI
def list_champions(suite: str | None, tracking_uri: str | None) -> int:
    """List champions: of every suite the present one, with --suite all of them, newest first."""
    from benchkit.api.baseline import champions

    found = champions(_request(tracking_uri=tracking_uri), suite=suite)
    if not found:
        say("no champion yet; make one with: benchkit baseline promote MODEL --suite SUITE")
    for champion in found:
        _tell(champion)
    return EXIT_OK


def _tell(champion: Champion) -> None:
    from benchkit.report.words import plain

    gate = f"gate {champion.gate_id} {champion.gate_verdict}" if champion.gate_id else "without a gate"
    forced = ", forced" if champion.forced else ""
    why = f": {plain(champion.reason)}" if champion.reason else ""
    click.echo(
        f"{plain(champion.suite)} version {champion.version}: {plain(champion.model)}, promoted {champion.when} by "
        f"{plain(champion.by)} ({gate}{forced}){why}"
    )


def _request(**given: Any) -> Request:
    from benchkit.api.request import Request

    return Request(command=command_line(), cost="off", **given)


def _watched(quiet: bool, work: Callable[[Progress], Any]) -> Any:
    """Do work with a progress bar; None when it was interrupted."""
    progress = make_progress(quiet=quiet)
    try:
        with ends_in_order():
            return work(progress)
    except KeyboardInterrupt:
        say("interrupted: finished cells are kept; the same command goes on from there")
        return None
    finally:
        if (stop := getattr(progress, "stop", None)) is not None:
            stop()
