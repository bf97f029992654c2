"""benchkit cache: what the cache of vectors and results holds."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

import click

from benchkit.errors import UsageError

_UNITS = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}


def _cache_dir() -> Path:
    from benchkit.settings import load_settings

    return load_settings(Path.cwd(), os.environ).cache_dir


def parse_size(text: str) -> int:
    """Return the bytes of "500M", "20G" or a plain number.

    Raises:
        UsageError: something else.
    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([KMGT]?)(i?B)?", text.strip(), re.IGNORECASE)
    if found is None:
        raise UsageError(f"{text!r} is no size; write 500M, 20G or a number of bytes")
    return int(float(found[1]) * _UNITS[found[2].upper()])


def show_size(size: int) -> str:
    """Return a size for people: "1.5 GiB"."""
    value = float(size)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if value < 1024:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1024
    return f"{value:.1f} TiB"


@click.group("cache")
def command() -> None:
    """Show, clear or shrink the cache of vectors and results."""


@command.command("info")
def info_command() -> None:
    """Show where the cache is and what it holds."""
    from benchkit.cost.kept import KeptSessions
    from benchkit.embeddings.store import info
    from benchkit.runner.draw_cache import DrawCache
    from benchkit.tasks.known import known_folder

    root = _cache_dir()
    click.echo(f"cache: {root}")
    totals = info(root)
    for model in totals:
        name = model.facts.get("name") or model.fingerprint[:12]
        click.echo(
            f"  {name}: {show_size(model.n_bytes)} of vectors in {model.spaces} spaces ({model.fingerprint[:12]})"
        )
    cells = list((root / "cells").glob("*.npz"))
    size = sum(path.stat().st_size for path in cells)
    click.echo(f"  {len(totals)} models, {show_size(sum(model.n_bytes for model in totals))} of vectors")
    click.echo(f"  {len(cells)} finished cells, {show_size(size)}")
    draws = list(DrawCache(root).folder.glob("*.draws"))
    click.echo(f"  resampled scores of {len(draws)} cells, {show_size(sum(path.stat().st_size for path in draws))}")
    sessions = list(KeptSessions(root).folder.glob("*.json"))
    click.echo(f"  {len(sessions)} cost sessions, {show_size(sum(path.stat().st_size for path in sessions))}")
    facts = list(known_folder(root).glob("*.json"))
    click.echo(f"  facts of {len(facts)} tasks, {show_size(sum(path.stat().st_size for path in facts))}")


@command.command("clear")
@click.option("--yes", is_flag=True, help="Do not ask.")
def clear_command(yes: bool) -> None:
    """Remove all vectors, finished cells and costs; the next comparison computes them again."""
    from benchkit.cost.kept import KeptSessions
    from benchkit.embeddings.store import clear
    from benchkit.runner.draw_cache import DrawCache
    from benchkit.tasks.known import known_folder

    root = _cache_dir()
    if not yes and not click.confirm(f"Remove everything in {root}?", err=True):
        click.echo("nothing was removed", err=True)
        return
    removed = clear(root)
    shutil.rmtree(root / "cells", ignore_errors=True)
    shutil.rmtree(DrawCache(root).folder, ignore_errors=True)
    shutil.rmtree(KeptSessions(root).folder, ignore_errors=True)
    shutil.rmtree(root / "datasets", ignore_errors=True)
    shutil.rmtree(known_folder(root), ignore_errors=True)
    click.echo(f"removed {show_size(removed.n_bytes)} of vectors and all finished cells")


@command.command("prune")
@click.option(
    "--max-size",
    required=True,
    metavar="SIZE",
    help="Keep at most this much of vectors and resampled scores: 500M, 20G.",
)
def prune_command(max_size: str) -> None:
    """Remove the vectors of the models that were not used for longest, until the rest fits."""
    from benchkit.embeddings.store import info, prune
    from benchkit.runner.draw_cache import DrawCache

    root, max_bytes = _cache_dir(), parse_size(max_size)
    removed = prune(root, max_bytes)
    # Resampled scores get the room that vectors leave: those are made again in a second, these in minutes.
    freed = DrawCache(root).shrink(max(0, max_bytes - sum(model.n_bytes for model in info(root))))
    click.echo(f"removed {show_size(removed.n_bytes + freed)}")
