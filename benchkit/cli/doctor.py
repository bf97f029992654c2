"""benchkit doctor: what is installed, where things are kept, and what works without a network."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import click

from benchkit import __version__
from benchkit.errors import EXIT_OK, EXIT_USAGE, BenchkitError


@click.command("doctor")
def command() -> int:
    """Show versions, device, cache, MLflow store and what can be loaded offline.

    Exit code 2 when something is broken.
    """
    healthy = True
    for title, facts in (
        ("versions", _versions),
        ("machine", _machine),
        ("settings", _settings),
        ("MLflow", _mlflow),
        ("offline models", _offline),
        ("plug-ins", _plugins),
    ):
        click.echo(f"{title}")
        for label, value, fine in _facts(facts):
            healthy &= fine
            click.echo(f"  {'' if fine else '! '}{label}: {value}")
    return EXIT_OK if healthy else EXIT_USAGE


Fact = tuple[str, str, bool]


def _facts(facts: Callable[[], Iterator[Fact]]) -> Iterator[Fact]:
    try:
        yield from facts()
    except BenchkitError as exc:
        yield "problem", str(exc), False


def _versions() -> Iterator[Fact]:
    from benchkit.runner.environment import describe_environment

    yield "benchkit", __version__, True
    values = describe_environment(device="cpu", command="").values
    yield "python", values["python"], True
    for name, value in values.items():
        if name.startswith("version/"):
            yield name.removeprefix("version/"), value, value != "absent"


def _machine() -> Iterator[Fact]:
    from benchkit.models.device import resolve_device
    from benchkit.runner.environment import describe_environment

    device = resolve_device("auto")
    values = describe_environment(device=device, command="").values
    for name in ("cpu", "cores", "ram_gib", "gpu", "platform"):
        if name in values:
            yield name, values[name], True
    yield "device", device, True


def _settings() -> Iterator[Fact]:
    from benchkit.settings import load_settings

    settings = load_settings(Path.cwd(), os.environ)
    yield "file", str(settings.source or "none"), True
    yield "suite", settings.suite or "quickstart", True
    for label, folder in (("cache", settings.cache_dir), ("mlruns", settings.mlruns_dir)):
        yield label, *_folder_state(folder)
    yield "offline", "yes" if settings.offline else "no", True


def _folder_state(folder: Path) -> tuple[str, bool]:
    existing = next(path for path in (folder, *folder.parents) if path.exists())
    if not existing.is_dir() or not os.access(existing, os.W_OK):
        return f"{folder} (not writable: {existing})", False
    free = shutil.disk_usage(existing).free / 2**30
    return f"{folder} ({free:.1f} GiB free)", free > 0.5


def _mlflow() -> Iterator[Fact]:
    from benchkit.settings import load_settings
    from benchkit.store.uri import locate, prepare_tracking

    tracking = locate(load_settings(Path.cwd(), os.environ).tracking_uri)
    yield "store", tracking.shown, True
    if tracking.database is not None and not tracking.database.exists():
        yield "state", "not there yet; the first comparison makes it", True
        return
    prepare_tracking(tracking.uri)
    yield "state", "answers", True


def _offline() -> Iterator[Fact]:
    from benchkit.models.catalog import short_names
    from benchkit.models.names import parse_model
    from benchkit.plugins import open_model
    from benchkit.settings import load_settings
    from benchkit.types.model import OpenContext

    context = OpenContext("cpu", offline=True, cache_dir=load_settings(Path.cwd(), os.environ).cache_dir)
    ready: list[str] = []
    absent: list[str] = []
    for name in short_names():
        try:
            open_model(parse_model(name), context)
            ready.append(name)
        except BenchkitError:
            absent.append(name)
    yield "ready", ", ".join(ready) or "none", True
    yield "to be fetched first", ", ".join(absent) or "none", True


def _plugins() -> Iterator[Fact]:
    from benchkit.plugins import list_plugins

    for plugin in list_plugins():
        yield f"{plugin.group} {plugin.name}", plugin.problem or f"ok ({plugin.origin})", not plugin.problem
