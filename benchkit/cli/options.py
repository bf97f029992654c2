"""Options that several commands take, said once; only click is imported, so that a help text stays light.

SUITE · BASELINE · JSON · tracking · DEVICE, OFFLINE, ENGINE · QUIET · SEED ──> the signature of a command
files to write ── check_targets ──> refused before the work that would fill them
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import click

from benchkit.cli.budget import ENGINES
from benchkit.errors import UsageError

STDOUT = "-"
FILE = click.Path(dir_okay=False, path_type=Path)
_SEED = click.IntRange(0, 2**32 - 1)
_SEED.name = "whole number"  # click says "integer range"

Command = TypeVar("Command", bound=Callable[..., Any])


def suite_option(what: str = "Suite to run") -> Callable[[Command], Command]:
    """Add --suite, which a command gets as `suite`."""
    return click.option("--suite", metavar="NAME|PATH", help=f"{what}; without it the project's, else quickstart.")


def json_option(what: str) -> Callable[[Command], Command]:
    """Add --json, which a command gets as `json_path`: a file, or STDOUT."""
    return click.option("--json", "json_path", metavar="PATH|-", help=f"Write the {what} as JSON (schema_version 1).")


def earlier_names(**now: str) -> dict[str, Any]:
    """Return settings of a command whose options are still found under earlier names, of which no help tells.

    Args:
        now: What an option of this name is called now, both without dashes.
    """
    return {"token_normalize_func": lambda name: now.get(name, name)}


def tracking_options(*, store: str, recorded: str) -> Callable[[Command], Command]:
    """Add --tracking-uri and --no-track, which a command gets as `tracking_uri` and `no_track`."""

    def add(command: Command) -> Command:
        no_track = click.option("--no-track", is_flag=True, help=f"Do not record the {recorded} in MLflow.")
        return click.option("--tracking-uri", metavar="URI", help=store)(no_track(command))

    return add


def cost_option(command: Command) -> Command:
    """Add --cost, how thoroughly costs are measured, which a command gets as `cost`."""
    levels = ("quick", "full")
    return click.option(
        "--cost", type=click.Choice(levels), metavar="|".join(levels), help="How thoroughly costs are measured [quick]."
    )(command)


def machine_options(command: Command) -> Command:
    """Add where and by what models are run: `device`, `offline` and `engine`."""
    device = click.option(
        "--device", default="auto", show_default=True, metavar="auto|cpu|cuda|cuda:N", help="Where models run."
    )
    offline = click.option("--offline", is_flag=True, help="Touch no network.")
    engine = click.option(
        "--engine", type=click.Choice(ENGINES), metavar="|".join(ENGINES), help="What computes the vectors [auto]."
    )
    return device(offline(engine(command)))


def seed_option(what: str = "bootstrap") -> Callable[[Command], Command]:
    """Add --seed, which a command gets as `seed`; None is the suite's."""
    return click.option("--seed", type=_SEED, metavar="N", help=f"Seed of the {what} [the suite's: 42].")


def quiet_option(command: Command) -> Command:
    """Add --quiet, which a command gets as `quiet`."""
    return click.option("--quiet", is_flag=True, help="No progress; the report and errors only.")(command)


def baseline_option(command: Command) -> Command:
    """Add --baseline of a comparison, which a command gets as `baseline`."""
    return click.option("--baseline", metavar="MODEL", help="The model that the others are held against.")(command)


def check_targets(targets: Mapping[str, str | Path | None]) -> None:
    """Refuse a file that can't be written before hours of work, not after.

    Raises:
        UsageError: it is a folder, or its folder isn't there or can't be written.
    """
    for option, target in targets.items():
        if target is None or (option, target) == ("--json", STDOUT):
            continue
        path = Path(target)
        folder = path.absolute().parent
        if path.is_dir():
            raise UsageError(f"{option}: a file is needed, got the folder {str(target) or '.'!r}")
        if not folder.is_dir():
            raise UsageError(f"{option} {path}: there is no folder {folder}; make it first, or name another")
        if not os.access(folder, os.W_OK):
            raise UsageError(f"{option} {path}: the folder {folder} can't be written; mend its rights or name another")
