"""benchkit suites: which suites there are, whether one and its data are sound, and fetching its data."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from benchkit.cli.interrupt import ends_at_once
from benchkit.errors import EXIT_OK, EXIT_USAGE, BenchkitError, SuiteError

if TYPE_CHECKING:
    from benchkit.suite.findings import Finding
    from benchkit.suite.suite import Suite
    from benchkit.types.task import TaskSpec


@click.group("suites")
def command() -> None:
    """List, show, check and fetch suites."""


def _load(name: str, *, asks_mteb: bool = False) -> Suite:
    from benchkit.suite.find import find_suite
    from benchkit.suite.load import load_suite

    return load_suite(find_suite(name), asks_mteb=asks_mteb)


@command.command("list")
def list_command() -> int:
    """List the suites of this folder and those that come with benchkit."""
    from benchkit.suite.find import list_suites

    for name, path in list_suites().items():
        click.echo(f"{name:<20} {path}")
    return EXIT_OK


@command.command("show")
@click.argument("name", metavar="NAME|PATH")
def show_command(name: str) -> int:
    """Show what a suite holds."""
    suite = _load(name)
    click.echo(f"{suite.name}: {suite.description or 'no description'}")
    click.echo(f"{'file:':<10} {suite.path}")
    click.echo(f"{'digest:':<10} {suite.digest}")
    click.echo(f"{'seed:':<10} {suite.seed}; margin {suite.margin}; {suite.n_resamples} resamples")
    for task in suite.tasks:
        kind = (
            f"{task.type}, own data {task.data}" if task.type else f"MTEB{f', mirror {task.data}' if task.data else ''}"
        )
        click.echo(f"task:      {task.name} ({kind})")
    for benchmark in suite.benchmarks:
        click.echo(f"benchmark: {benchmark.name}")
    for model in suite.models:
        click.echo(f"model:     {model.label}")
    return EXIT_OK


@command.command("validate")
@click.argument("names", nargs=-1, required=True, metavar="NAME|PATH...")
def validate_command(names: tuple[str, ...]) -> int:
    """Check suite files and the data that they name: duplicates, leakage, label balance, judgements.

    Exit code 2 when something is wrong; warnings alone are no failure.
    """
    wrong = 0
    for name in names:
        try:
            wrong += _wrong_of(_load(name, asks_mteb=True))
        except SuiteError as exc:
            if len(names) == 1:
                raise
            # The others are checked all the same.
            click.echo(f"error: {exc}")
            wrong += 1
    return EXIT_USAGE if wrong else EXIT_OK


def _wrong_of(suite: Suite) -> int:
    """Print what was found in a suite's data and return how many errors there are."""
    wrong = _wrong_names(suite)
    for task in suite.tasks:
        if task.type is None:
            continue
        try:
            findings = list(_findings(task))
        except SuiteError as exc:
            click.echo(f"{task.name}: error: {exc}")
            wrong += 1
            continue
        wrong += sum(found.severity == "error" for found in findings)
        click.echo(f"{task.name}: {'no findings' if not findings else ''}".rstrip())
        for found in findings:
            shown = f" ({'; '.join(map(str, found.items[:5]))})" if found.items else ""
            click.echo(f"  {found.severity}: {found.message}{shown}")
    return wrong


def _wrong_names(suite: Suite) -> int:
    """Print whether MTEB knows what a suite takes from it, and return how many errors there are."""
    from benchkit.api.request import open_tasks
    from benchkit.settings import load_settings

    named = replace(suite, tasks=tuple(task for task in suite.tasks if task.type is None))
    if not (named.tasks or named.benchmarks):
        return 0
    try:
        open_tasks(named, load_settings(Path.cwd(), os.environ))
    except SuiteError as exc:
        click.echo(f"error: {exc}")
        return 1
    for task in named.tasks:
        click.echo(f"{task.name}: an MTEB task; its data are not checked here")
    for benchmark in named.benchmarks:
        click.echo(f"{benchmark.name}: an MTEB benchmark; its data are not checked here")
    return 0


def _findings(task: TaskSpec) -> Iterable[Finding]:
    from benchkit.suite.check_data import check_labels, check_pairs, check_retrieval
    from benchkit.suite.findings import finding
    from benchkit.tasks.checking import PairRows, RetrievalRows, read_own_rows

    rows = read_own_rows(task)
    for note in rows.notes:
        yield finding("note", "reading", note)
    if isinstance(rows, RetrievalRows):
        yield from check_retrieval(rows.corpus, rows.queries, rows.qrels)
    elif isinstance(rows, PairRows):
        yield from check_pairs(rows.first, rows.second, rows.values, kind=task.type or "STS")
    else:
        yield from check_labels(rows.texts, rows.labels, rows.splits)


@command.command("prefetch")
@click.argument("name", metavar="NAME|PATH")
@click.option(
    "--to",
    "target",
    type=click.Path(file_okay=False, path_type=Path),
    required=True,
    metavar="DIR",
    help="Folder that gets one folder for each.",
)
def prefetch_command(name: str, target: Path) -> int:
    """Fetch the data of a suite's MTEB tasks, to be carried to a machine without a network."""
    from benchkit.settings import load_settings
    from benchkit.suite.mteb_names import locate_names
    from benchkit.tasks.mirror import mirror_data
    from benchkit.tasks.opened import expand_benchmark, open_task

    suite = _load(name, asks_mteb=True)
    if suite.path is not None and (misnamed := locate_names(suite.path)) is not None:
        raise misnamed
    cache_dir = load_settings(Path.cwd(), os.environ).cache_dir
    specs = [task for task in suite.tasks if task.data is None]
    for benchmark in suite.benchmarks:
        specs.extend(expand_benchmark(benchmark.name, types=benchmark.types or (), exclude=benchmark.exclude))
    if not specs:
        click.echo(f"{suite.name}: all of its data are local already", err=True)
    failed = 0
    for spec in specs:
        try:
            with ends_at_once():
                folder = mirror_data(open_task(spec, cache_dir=cache_dir, offline=False), target)
        except BenchkitError as exc:
            click.echo(f"error: {exc}", err=True)
            failed += 1
            continue
        click.echo(f"{spec.name}: data: {folder}")
    return EXIT_USAGE if failed else EXIT_OK
