"""benchkit models: which models there are, what they are, and fetching them for a machine without a network."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from benchkit.cli.interrupt import ends_at_once
from benchkit.errors import EXIT_OK

if TYPE_CHECKING:
    from benchkit.models.catalog import Entry
    from benchkit.types.model import ModelMeta, ModelSpec, OpenContext

# What only the files of a model tell.
_UNKNOWN = "not known without its files"
_MOST_LANGUAGES = 8


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
    """Show what NAME is and where it comes from, without loading it.

    Where its files are not on this machine and can't be had, what the catalogue knows is shown.
    """
    from benchkit.api.request import go_offline
    from benchkit.models.names import parse_model
    from benchkit.settings import load_settings
    from benchkit.types.model import OpenContext

    settings = load_settings(Path.cwd(), os.environ)
    is_offline = offline or settings.offline
    if is_offline:
        go_offline()
    with ends_at_once():
        facts, notes = _known(
            parse_model(name), OpenContext(device="cpu", offline=is_offline, cache_dir=settings.cache_dir)
        )
    for label, value in facts.items():
        click.echo(f"{label + ':':<18} {value if value not in (None, '') else '-'}")
    for note in notes:
        click.echo(f"{'note:':<18} {note}")
    return EXIT_OK


def _known(spec: ModelSpec, context: OpenContext) -> tuple[dict[str, object], tuple[str, ...]]:
    """Return the facts of a model and what is to be said of them.

    Raises:
        ModelError: there is no such model, or a setting doesn't fit it.
    """
    from benchkit.models.catalog import NotAtHand, find, find_in_registry
    from benchkit.plugins import open_model
    from benchkit.runner.run import PlannedModel

    try:
        meta = PlannedModel(spec, open_model(spec, context)).meta
    except NotAtHand as exc:
        entry = find(spec.name) or find_in_registry(spec.name)
        if entry is None:
            raise
        return _catalogued(spec, entry), (f"from the catalogue alone: {exc}",)
    return _facts(meta), meta.notes


def _facts(meta: ModelMeta) -> dict[str, object]:
    return {
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
        "languages": _named(meta.languages),
    }


def _catalogued(spec: ModelSpec, entry: Entry) -> dict[str, object]:
    from benchkit.embeddings.precision import bytes_per_vector

    variant = spec.variant
    dimension = entry.dimension and min(entry.dimension, variant.truncate_dim or entry.dimension)
    return {
        "name": spec.label,
        "id": entry.id,
        "revision": spec.revision or entry.revision,
        "fingerprint": _UNKNOWN,
        "dimension": dimension,
        "precision": variant.precision,
        "bytes per vector": dimension and bytes_per_vector(dimension, variant.precision),
        "parameters": entry.parameters,
        "licence": entry.license,
        "similarity": _UNKNOWN,
        "longest input": f"{spec.max_seq_length} tokens" if spec.max_seq_length else _UNKNOWN,
        "languages": _named(entry.languages),
    }


def _named(languages: tuple[str, ...]) -> str:
    return ", ".join(languages[:_MOST_LANGUAGES]) + (", ..." if len(languages) > _MOST_LANGUAGES else "")


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
