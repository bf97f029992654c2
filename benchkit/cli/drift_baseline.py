"""benchkit drift baseline: what windows of production are held against."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from benchkit.cli.console import say
from benchkit.cli.drift_options import (
    QUIET,
    TEXTS,
    Command,
    columns_of,
    failures_of_models,
    in_order,
    machine_options,
    source_options,
)
from benchkit.cli.interrupt import ends_in_order
from benchkit.errors import EXIT_OK
from benchkit.sources.words import shown_place

if TYPE_CHECKING:
    from benchkit.monitor.baseline import Baseline
    from benchkit.types.drift import BaselineInfo

HISTORY = ("auto", "none", "1h", "1d", "1w")


@click.group("baseline")
def command() -> None:
    """Make, list, show, renew and delete baselines."""


def _creation(function: Command) -> Command:
    """Add how a baseline is made."""
    options = (
        click.option("--from", "source", required=True, metavar="SOURCE", help="Path, glob, URL or database."),
        click.option("--model", metavar="MODEL", help="The model of these vectors; encodes texts and canaries."),
        click.option("--canary", metavar="FILE|SUITE|source", help="Texts that are embedded again at each check."),
        click.option(
            "--segment-by", type=click.Choice(["segment", "role"]), metavar="segment|role", help="Test each apart."
        ),
        click.option(
            "--history",
            type=click.Choice(HISTORY),
            metavar="|".join(HISTORY),
            default="auto",
            show_default=True,
            help="Windows of the past that show how much days differ.",
        ),
        click.option(
            "--seed", type=click.IntRange(0), default=0, show_default=True, help="Of the sample and the null."
        ),
        TEXTS,
        source_options,
        machine_options,
        QUIET,
    )
    return in_order(function, *options)


@command.command("create")
@click.argument("name")
@_creation
def create(name: str, **options: Any) -> int:
    """Make the baseline NAME out of a source."""
    return _make(name, replaces=False, **options)


@command.command("renew")
@click.argument("name")
@_creation
def renew(name: str, **options: Any) -> int:
    """Make the baseline NAME anew; the old one is replaced at the end."""
    return _make(name, replaces=True, **options)


def _make(
    name: str,
    *,
    replaces: bool,
    source: str,
    model: str | None,
    canary: str | None,
    segment_by: str | None,
    history: str,
    seed: int,
    keep_texts: bool,
    query: str | None,
    dimension: int | None,
    device: str,
    offline: bool,
    quiet: bool,
    **columns: str | None,
) -> int:
    say(f"benchkit drift: reading {shown_place(source)}", quiet=quiet)
    from benchkit.monitor.kept_baselines import BaselineRequest, load_baseline, make_baseline

    told: list[str] = []
    with ends_in_order(), failures_of_models():
        info = make_baseline(
            BaselineRequest(
                name=name,
                source=source,
                model=model,
                canary=canary,
                columns=columns_of(columns),
                segment_by=segment_by or "",
                keep_texts=keep_texts,
                history=history,
                dimension=dimension,
                query=query,
                device=device,
                offline=offline or None,
                replaces=replaces,
                seed=seed,
            ),
            on_message=told.append,
        )
    _show_baselines([info])
    _show_left_out(load_baseline(name))
    for fact in told:
        click.echo(fact)
    return EXIT_OK


@command.command("list")
def list_command() -> int:
    """List the baselines of the project, and what is wrong with those that can't be used."""
    from benchkit.monitor.kept_baselines import listed_baselines
    from benchkit.report.words import plain

    infos, unusable = listed_baselines()
    if not infos and not unusable:
        say("no baseline yet; make one: benchkit drift baseline create NAME --from SOURCE")
    if infos:
        _show_baselines(infos)
    for name, why in unusable.items():
        click.echo(f"can't be used: {name}: {plain(why)}; or delete it: benchkit drift baseline delete {name}")
    return EXIT_OK


@command.command("show")
@click.argument("name")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
def show(name: str, as_json: bool) -> int:
    """Show what is known of a baseline."""
    from benchkit.monitor.kept_baselines import left_out, load_baseline

    baseline = load_baseline(name)
    if as_json:
        import json
        from dataclasses import asdict

        absent = left_out(baseline)
        told = {"left_out": {"nonfinite": absent.nonfinite, "zero": absent.zero}}
        click.echo(json.dumps(asdict(baseline.info) | told, indent=2))
        return EXIT_OK
    _show_baselines([baseline.info])
    _show_left_out(baseline)
    return EXIT_OK


@command.command("delete")
@click.argument("name")
def delete(name: str) -> int:
    """Delete a baseline; the history of its checks stays."""
    from benchkit.monitor.project import baselines_of, settings_here
    from benchkit.store.drift_baseline import delete_baseline

    delete_baseline(baselines_of(settings_here()), name)
    say(f"deleted the baseline {name}")
    return EXIT_OK


def _show_baselines(infos: list[BaselineInfo]) -> None:
    from benchkit.report.drift_table import baseline_lines

    click.echo("\n".join(baseline_lines(infos)))


def _show_left_out(baseline: Baseline) -> None:
    from benchkit.monitor.kept_baselines import left_out
    from benchkit.report.drift_table import left_out_line, left_out_warning

    absent = left_out(baseline)
    line = left_out_line(absent.rows, absent.nonfinite, absent.zero)
    if line is not None:
        click.echo(line)
    warning = left_out_warning(absent.rows, absent.nonfinite + absent.zero)
    if warning is not None:
        say(f"warning: {warning}")
