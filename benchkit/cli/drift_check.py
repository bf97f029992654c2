"""benchkit drift check: a window of a source against a baseline."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from benchkit.cli.console import say
from benchkit.cli.drift_options import NAME, asked_of, canary_options, failures_of_models, judging_options
from benchkit.cli.drift_output import print_check, print_json, shown
from benchkit.cli.interrupt import ends_in_order
from benchkit.cli.options import FILE, STDOUT, check_targets
from benchkit.errors import EXIT_DRIFT, EXIT_OK
from benchkit.sources.words import shown_place

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchkit.types.drift import DriftReport


@click.command("check")
@click.argument("source")
@NAME
@click.option("--window", metavar="START..END", help="Rows of these times: 2026-11-01..2026-11-08.")
@click.option("--last", type=click.IntRange(1), metavar="N", help="The newest N rows of the source instead.")
@canary_options
@click.option("--json", "json_path", metavar="PATH|-", help="Write the report as JSON (schema_version 1).")
@click.option("--html", "html_path", type=FILE, metavar="PATH", help="Write the report as a page.")
@judging_options
def check(
    source: str,
    baseline: str,
    window: str | None,
    last: int | None,
    json_path: str | None,
    html_path: Path | None,
    quiet: bool,
    **judging: Any,
) -> int:
    """Hold a window of SOURCE against a baseline.

    Exit codes: 0 fine, 1 drift that breaks the policy, 2 wrong usage or source, 4 not comparable, 130 interrupted.
    """
    if window is not None and last is not None:
        raise click.UsageError("--window and --last exclude each other")
    check_targets({"--json": json_path, "--html": html_path})
    say(f"benchkit drift: reading {shown_place(source)}", quiet=quiet)
    from benchkit.monitor.kept_checks import CheckRequest, check_source
    from benchkit.sources.spans import parse_window

    span = parse_window(window) if window is not None else None
    request = CheckRequest(
        source=source,
        baseline=baseline,
        start=span.start if span else None,
        end=span.end if span else None,
        last=last,
        **asked_of(judging),
    )
    with ends_in_order(), failures_of_models():
        checked = check_source(request)
    if checked.problem:
        say(f"not recorded in MLflow: {checked.problem}")
    _write(checked.report, json_path, html_path)
    return EXIT_DRIFT if checked.report.breaks_policy else EXIT_OK


def _write(report: DriftReport, json_path: str | None, html_path: Path | None) -> None:
    from benchkit.report.drift_json import render_drift_json

    if html_path is not None:
        from benchkit.monitor.kept_checks import history
        from benchkit.report.drift_html import render_drift_html

        earlier = _earlier(report, history(report.baseline.name))
        html_path.write_text(render_drift_html([*earlier, report]), encoding="utf-8")
    if json_path == STDOUT:
        shown(lambda: print_json(render_drift_json(report)))
        return
    if json_path is not None:
        Path(json_path).write_text(render_drift_json(report), encoding="utf-8")
    shown(lambda: print_check(report))


def _earlier(report: DriftReport, kept: Sequence[DriftReport]) -> list[DriftReport]:
    """Return the checks before this one, those of the same second among them; it is kept itself where it could be."""
    return [
        other
        for other in kept
        if other.checked_at <= report.checked_at
        and (other.checked_at, other.window) != (report.checked_at, report.window)
    ]
