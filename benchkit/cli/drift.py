"""benchkit drift: is what runs in production still what we chose?"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from benchkit.cli import drift_models, drift_test
from benchkit.cli.console import say
from benchkit.cli.drift_options import columns_of, source_options
from benchkit.cli.interrupt import ends_in_order
from benchkit.cli.options import FILE, STDOUT, check_targets
from benchkit.errors import EXIT_DRIFT, EXIT_INTERRUPTED, EXIT_OK, CellFailed, ModelError

if TYPE_CHECKING:
    from benchkit.types.drift import BaselineInfo, DriftPolicy, DriftReport

Command = TypeVar("Command", bound=Callable[..., Any])
SEVERITIES = ("info", "warn", "critical")
HISTORY = ("auto", "none", "1h", "1d", "1w")


class _Number(click.FloatRange):
    """A number of a range; click's own lets "nan" through, which is neither inside nor outside."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        number = float(super().convert(value, param, ctx))
        if number != number:
            self.fail(f"{value!r} is no number of the range {self._describe_range()}.", param, ctx)
        return number


@contextmanager
def _failures_of_models() -> Iterator[None]:
    """Make a model that fails a wrong source (2): 3 says that a cell of a comparison failed, and here is none."""
    try:
        yield
    except CellFailed as exc:
        raise ModelError(str(exc)) from exc


def _model_options(command: Command) -> Command:
    """Add where the model that is asked runs."""
    device = click.option(
        "--device", default="auto", show_default=True, metavar="auto|cpu|cuda|cuda:N", help="Where the model runs."
    )
    return device(click.option("--offline", is_flag=True, help="Touch no network.")(command))


def _policy_options(command: Command) -> Command:
    """Add when a window is an alarm."""
    share = _Number(0, 1, min_open=True, max_open=True)
    fail_on = click.option(
        "--fail-on",
        type=click.Choice(SEVERITIES),
        metavar="|".join(SEVERITIES),
        default="warn",
        show_default=True,
        help="The least severity that ends with 1.",
    )
    alarms = click.option(
        "--false-alarms",
        type=share,
        metavar="SHARE",
        default=0.01,
        show_default=True,
        help="Share of unchanged windows called drift.",
    )
    tolerance = click.option(
        "--tolerance",
        type=_Number(0, 1, max_open=True),
        metavar="SHARE",
        default=0.0,
        show_default=True,
        help="Share of rows that may be replaced before a change counts.",
    )
    return fail_on(alarms(tolerance(command)))


_NAME = click.option("--baseline", required=True, metavar="NAME", help="The baseline to hold it against.")
_TEXTS = click.option("--keep-texts", is_flag=True, help="Show and store example texts and keywords.")
_QUIET = click.option("--quiet", is_flag=True, help="The report and errors only.")
_URI = click.option("--tracking-uri", metavar="URI", help="MLflow store; without it the project's.")
_NO_TRACK = click.option("--no-track", is_flag=True, help="Do not record the check in MLflow.")


@click.group("drift")
def command() -> None:
    """Compare production embeddings with a baseline: what changed, does it harm, which texts.

    Exit codes of `check`: 0 fine, 1 drift that breaks the policy, 2 wrong usage or source, 4 not comparable.
    """


@command.group("baseline")
def baseline_group() -> None:
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
        _TEXTS,
        source_options,
        _model_options,
        _QUIET,
    )
    for option in reversed(options):
        function = option(function)
    return function


@baseline_group.command("create")
@click.argument("name")
@_creation
def create(name: str, **options: Any) -> int:
    """Make the baseline NAME out of a source."""
    return _make(name, replaces=False, **options)


@baseline_group.command("renew")
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
    say(f"benchkit drift: reading {source}", quiet=quiet)
    from benchkit.monitor.project import BaselineRequest, make_baseline

    with ends_in_order(), _failures_of_models():
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
            )
        )
    _show_baselines([info])
    return EXIT_OK


@baseline_group.command("list")
def list_command() -> int:
    """List the baselines of the project."""
    from benchkit.monitor.project import known_baselines

    infos = known_baselines()
    if not infos:
        say("no baseline yet; make one: benchkit drift baseline create NAME --from SOURCE")
        return EXIT_OK
    _show_baselines(infos)
    return EXIT_OK


@baseline_group.command("show")
@click.argument("name")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
def show(name: str, as_json: bool) -> int:
    """Show what is known of a baseline."""
    from benchkit.monitor.project import load_baseline

    info = load_baseline(name).info
    if as_json:
        import json
        from dataclasses import asdict

        click.echo(json.dumps(asdict(info), indent=2))
        return EXIT_OK
    _show_baselines([info])
    return EXIT_OK


@baseline_group.command("delete")
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


@command.command("check")
@click.argument("source")
@_NAME
@click.option("--window", metavar="START..END", help="Rows of these times: 2026-11-01..2026-11-08.")
@click.option("--last", type=click.IntRange(1), metavar="N", help="The last N rows of the source instead.")
@click.option("--model", metavar="MODEL", help="What canaries are embedded with; without it the baseline's model.")
@click.option("--no-canary", is_flag=True, help="Do not embed the canaries.")
@click.option("--json", "json_path", metavar="PATH|-", help="Write the report as JSON (schema_version 1).")
@click.option("--html", "html_path", type=FILE, metavar="PATH", help="Write the report as a page.")
@_policy_options
@_TEXTS
@_URI
@_NO_TRACK
@source_options
@_model_options
@_QUIET
def check(
    source: str,
    baseline: str,
    window: str | None,
    last: int | None,
    model: str | None,
    no_canary: bool,
    json_path: str | None,
    html_path: Path | None,
    fail_on: str,
    false_alarms: float,
    tolerance: float,
    keep_texts: bool,
    tracking_uri: str | None,
    no_track: bool,
    query: str | None,
    dimension: int | None,
    device: str,
    offline: bool,
    quiet: bool,
    **columns: str | None,
) -> int:
    """Hold a window of SOURCE against a baseline.

    Exit codes: 0 fine, 1 drift that breaks the policy, 2 wrong usage or source, 4 not comparable, 130 interrupted.
    """
    if window is not None and last is not None:
        raise click.UsageError("--window and --last exclude each other")
    check_targets({"--json": json_path, "--html": html_path})
    say(f"benchkit drift: reading {source}", quiet=quiet)
    from benchkit.monitor.project import CheckRequest, check_source
    from benchkit.sources.spans import parse_window

    span = parse_window(window) if window is not None else None
    with ends_in_order(), _failures_of_models():
        checked = check_source(
            CheckRequest(
                source=source,
                baseline=baseline,
                start=span.start if span else None,
                end=span.end if span else None,
                last=last,
                model=model,
                ask_canaries=not no_canary,
                columns=columns_of(columns) if any(columns.values()) else None,
                dimension=dimension,
                query=query,
                keep_texts=keep_texts,
                policy=_policy(fail_on, false_alarms, tolerance),
                device=device,
                offline=offline or None,
                track=not no_track,
                tracking_uri=tracking_uri,
            )
        )
    if checked.problem:
        say(f"not recorded in MLflow: {checked.problem}")
    _write(checked.report, json_path, html_path)
    return EXIT_DRIFT if checked.report.breaks_policy else EXIT_OK


def _policy(fail_on: str, false_alarms: float, tolerance: float, run_length: int = 1000) -> DriftPolicy:
    from benchkit.types.drift import DriftPolicy

    return DriftPolicy(
        false_alarms=false_alarms,
        run_length=run_length,
        tolerance=tolerance,
        fail_on=fail_on,  # type: ignore[arg-type]  # one of SEVERITIES
    )


def _write(report: DriftReport, json_path: str | None, html_path: Path | None) -> None:
    from benchkit.report.drift_json import render_drift_json

    if html_path is not None:
        from benchkit.monitor.project import history
        from benchkit.report.drift_html import render_drift_html

        earlier = [other for other in history(report.baseline.name) if other.checked_at < report.checked_at]
        html_path.write_text(render_drift_html([*earlier, report]), encoding="utf-8")
    if json_path == STDOUT:
        sys.stdout.write(render_drift_json(report))
        return
    if json_path is not None:
        Path(json_path).write_text(render_drift_json(report), encoding="utf-8")
    from rich.console import Console

    from benchkit.report.drift_table import render_drift

    render_drift(report, Console())


@command.command("history")
@click.option("--baseline", metavar="NAME", help="Only checks against this one.")
@click.option(
    "--limit", type=click.IntRange(1), metavar="N", default=50, show_default=True, help="How many, the latest."
)
@click.option("--json", "as_json", is_flag=True, help="As JSON lines.")
def history_command(baseline: str | None, limit: int, as_json: bool) -> int:
    """Show the verdicts so far, oldest first."""
    from benchkit.monitor.project import history

    reports = history(baseline, limit=limit)
    if not reports:
        say("nothing was checked yet: benchkit drift check SOURCE --baseline NAME")
        return EXIT_OK
    if as_json:
        import json

        from benchkit.report.drift_json import drift_to_dict

        for report in reports:
            click.echo(json.dumps(drift_to_dict(report), ensure_ascii=False))
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
    from benchkit.monitor.project import history
    from benchkit.report.drift_html import render_drift_html

    html_path.write_text(render_drift_html(history(baseline)), encoding="utf-8")
    say(f"wrote {html_path}")
    return EXIT_OK


@command.command("watch")
@click.argument("source")
@_NAME
@click.option("--every", metavar="15m|1h|1d", help="Windows of this span, by the rows' own times.")
@click.option("--window-size", type=click.IntRange(1), metavar="N", help="Windows of N rows.")
@click.option("--lateness", default="1m", show_default=True, metavar="SPAN", help="How long a window waits for rows.")
@click.option(
    "--poll", default=5.0, show_default=True, type=_Number(0.01, 86_400), metavar="SECONDS", help="Time between looks."
)
@click.option("--once", is_flag=True, help="Take what is there and end.")
@click.option(
    "--run-length",
    type=click.IntRange(2),
    metavar="N",
    default=1000,
    show_default=True,
    help="Windows per false alarm.",
)
@click.option("--alert", "alerts", multiple=True, metavar="SINK", help="jsonl:PATH, webhook:URL, slack:URL, smtp://...")
@click.option("--metrics-port", type=click.IntRange(0, 65535), metavar="PORT", help="Serve Prometheus metrics.")
@click.option("--model", metavar="MODEL", help="What canaries are embedded with; without it the baseline's model.")
@click.option("--no-canary", is_flag=True, help="Do not embed the canaries.")
@_policy_options
@_TEXTS
@_URI
@_NO_TRACK
@source_options
@_model_options
@_QUIET
def watch(
    source: str,
    baseline: str,
    every: str | None,
    window_size: int | None,
    lateness: str,
    poll: float,
    once: bool,
    run_length: int,
    alerts: tuple[str, ...],
    metrics_port: int | None,
    model: str | None,
    no_canary: bool,
    fail_on: str,
    false_alarms: float,
    tolerance: float,
    keep_texts: bool,
    tracking_uri: str | None,
    no_track: bool,
    query: str | None,
    dimension: int | None,
    device: str,
    offline: bool,
    quiet: bool,
    **columns: str | None,
) -> int:
    """Follow SOURCE, window by window, and go on after a restart exactly where it stopped.

    SIGTERM ends it in order with 0, Ctrl-C with 130. A drift is an alert and does not end the watch; with --once the
    exit code is 1 where a window breaks the policy.
    """
    if (every is None) == (window_size is None):
        raise click.UsageError("give the windows: --every SPAN or --window-size N, and not both")
    say(f"benchkit drift: following {source}", quiet=quiet)
    from benchkit.monitor.watch import WatchRequest, watch_source
    from benchkit.sources.spans import parse_span

    request = WatchRequest(
        source=source,
        baseline=baseline,
        size=window_size,
        every=parse_span(every) if every is not None else None,
        lateness=parse_span(lateness),
        poll_s=poll,
        once=once,
        model=model,
        ask_canaries=not no_canary,
        columns=columns_of(columns) if any(columns.values()) else None,
        dimension=dimension,
        query=query,
        keep_texts=keep_texts,
        policy=_policy(fail_on, false_alarms, tolerance, run_length),
        alerts=alerts,
        metrics_port=metrics_port,
        device=device,
        offline=offline or None,
        track=not no_track,
        tracking_uri=tracking_uri,
    )
    stop = threading.Event()
    broken = False

    def told(report: DriftReport) -> None:
        nonlocal broken
        broken = broken or report.breaks_policy
        from benchkit.report.drift_words import headline

        click.echo(headline(report))

    with _stops_in_order(stop) as heard:
        ended = watch_source(request, stop=stop, on_report=told, on_message=say)
    say(f"stopped after {ended} windows; the same command goes on from there", quiet=quiet)
    if heard:
        return heard[0]
    return EXIT_DRIFT if once and broken else EXIT_OK


@contextmanager
def _stops_in_order(stop: threading.Event) -> Iterator[list[int]]:
    """On SIGTERM or Ctrl-C, finish the batch in hand; the list then holds the exit code."""
    import signal

    heard: list[int] = []

    def hear(signum: int, frame: object) -> None:
        heard.append(EXIT_INTERRUPTED if signum == signal.SIGINT else EXIT_OK)
        stop.set()

    before = {number: signal.signal(number, hear) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield heard
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


command.add_command(drift_models.command)
command.add_command(drift_test.command)
