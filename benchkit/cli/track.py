"""benchkit track: log a result that is on disk."""

from __future__ import annotations

import os
from pathlib import Path

import click


@click.command("track")
@click.argument("result", type=click.Path(path_type=Path), metavar="RESULT.json")
@click.option("--tracking-uri", metavar="URI", help="MLflow store; without it the project's.")
def command(result: Path, tracking_uri: str | None) -> int:
    """Log RESULT.json, written by `benchkit compare`, to MLflow. Doing it twice changes nothing."""
    from benchkit.api.record import track
    from benchkit.settings import load_settings

    uri = tracking_uri or load_settings(Path.cwd(), os.environ).tracking_uri
    click.echo(track(result, tracking_uri=uri))
    return 0
