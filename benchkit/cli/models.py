"""benchkit models: which models there are, what they are, and fetching them for a machine without a network."""

from __future__ import annotations

import os
from pathlib import Path

import click

from benchkit.cli.interrupt import ends_at_once
from benchkit.errors import EXIT_OK


@click.group("models")
def command() -> None:
    """List, show and fetch models."""


@command.command("list")
def list_command() -> int:
    """List the short names of the catalogue."""
    from benchkit.models.catalog import find, short_names

    for name in short_names():
        entry = find(name)
        assert entry is not None
        size = f"{entry.parameters / 1e6:.0f}M" if entry.parameters else "-"
        click.echo(f"{name:<24} {entry.dimension or '-':>5} dim {size:>6}  {entry.id}")
    click.echo("Also: any MTEB or hub name (org/name), any local sentence-transformers directory,", err=True)
    click.echo("and variants of each: NAME@dim=128,precision=int8 (see docs/models.md)", err=True)
    return EXIT_OK


@command.command("show")
@click.argument("name")
@click.option("--offline", is_flag=True, help="Touch no network.")
def show_command(name: str, offline: bool) -> int:
    """Show what NAME is and where it comes from, without loading it."""
    from benchkit.api.request import go_offline
    from benchkit.models.names import parse_model
    from benchkit.plugins import open_model
    from benchkit.runner.run import PlannedModel
    from benchkit.settings import load_settings
    from benchkit.types.model import OpenContext

    settings = load_settings(Path.cwd(), os.environ)
    is_offline = offline or settings.offline
    if is_offline:
        go_offline()
    spec = parse_model(name)
    with ends_at_once():
        handle = open_model(spec, OpenContext(device="cpu", offline=is_offline, cache_dir=settings.cache_dir))
    meta = PlannedModel(spec, handle).meta
    facts = {
        "name": meta.name,
        "id": meta.id,
        "revision": meta.revision,
        "fingerprint": meta.fingerprint,
        "dimension": meta.dimension,
        "precision": meta.precision,
        "bytes per vector": meta.bytes_per_vector,
        "parameters": meta.parameters,
        "licence": meta.license,
        "similarity": meta.similarity,
        "longest input": f"{meta.max_seq_length} tokens" if meta.max_seq_length else None,
        "languages": ", ".join(meta.languages[:8]) + (", ..." if len(meta.languages) > 8 else ""),
    }
    for label, value in facts.items():
        click.echo(f"{label + ':':<18} {value if value not in (None, '') else '-'}")
    for note in meta.notes:
        click.echo(f"{'note:':<18} {note}")
    return EXIT_OK


@command.command("prefetch")
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
@click.option(
    "--to",
    "target",
    type=click.Path(file_okay=False, path_type=Path),
    required=True,
    metavar="DIR",
    help="Folder that gets one folder for each.",
)
def prefetch_command(names: tuple[str, ...], target: Path) -> int:
    """Fetch models into folders of their own, to be carried to a machine without a network."""
    from benchkit.errors import UsageError
    from benchkit.models.hub import prefetch

    try:
        target.mkdir(parents=True, exist_ok=True)
    except OSError as exc:
        raise UsageError(f"--to: {target} can't be made: {exc.strerror or exc}") from exc
    with ends_at_once():
        for name in names:
            click.echo(prefetch(name, target))
    return EXIT_OK
