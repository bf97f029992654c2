"""benchkit drift: is what runs in production still what we chose?"""

from __future__ import annotations

from pathlib import Path

import click

from benchkit.cli import drift_baseline, drift_models, drift_test
from benchkit.cli.console import say
from benchkit.cli.drift_check import check
from benchkit.cli.drift_output import prints_unicode
from benchkit.cli.drift_watch import watch
from benchkit.cli.options import FILE, check_targets
from benchkit.errors import EXIT_OK


@click.group("drift")
def command() -> None:
    """Compare production embeddings with a baseline: what changed, does it harm, which texts.

    Exit codes of `check`: 0 fine, 1 drift that breaks the policy, 2 wrong usage or source, 4 not comparable.
    """


@command.command("history")
@click.option("--baseline", metavar="NAME", help="Only checks against this one.")
@click.option(
    "--limit", type=click.IntRange(1), metavar="N", default=50, show_default=True, help="How many, the latest."
)
@click.option("--json", "as_json", is_flag=True, help="As JSON lines.")
def history_command(baseline: str | None, limit: int, as_json: bool) -> int:
    """Show the verdicts so far, oldest first."""
    from benchkit.monitor.kept_checks import history

    reports = history(baseline, limit=limit)
    if not reports:
        against = f" against {baseline}" if baseline else ""
        say(f"nothing was checked{against} yet: benchkit drift check SOURCE --baseline {baseline or 'NAME'}")
        return EXIT_OK
    if as_json:
        import json

        from benchkit.report.drift_json import drift_to_dict

        for report in reports:
            click.echo(json.dumps(drift_to_dict(report), ensure_ascii=not prints_unicode()))
        return EXIT_OK
    from benchkit.report.drift_table import history_lines

    click.echo("\n".join(history_lines(reports)))
    return EXIT_OK


@command.command("report")
@click.option("--baseline", required=True, metavar="NAME", help="Whose checks.")
@click.option("--html", "html_path", type=FILE, required=True, metavar="PATH", help="The page to write.")
def report_command(baseline: str, html_path: Path) -> int:
    """Write a page of the checks so far; it is about the latest."""
    check_targets({"--html": html_path})
    from benchkit.monitor.kept_checks import history
    from benchkit.report.drift_html import render_drift_html

    html_path.write_text(render_drift_html(history(baseline)), encoding="utf-8")
    say(f"wrote {html_path}")
    return EXIT_OK


for part in (drift_baseline.command, check, watch, drift_models.command, drift_test.command):
    command.add_command(part)
