"""benchkit drift watch: a source that grows, window by window."""

from __future__ import annotations

import _thread
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from benchkit.cli.console import say
from benchkit.cli.drift_options import NAME, Number, asked_of, canary_options, judging_options
from benchkit.cli.drift_output import shown
from benchkit.errors import EXIT_DRIFT, EXIT_INTERRUPTED, EXIT_OK
from benchkit.sources.words import shown_place

if TYPE_CHECKING:
    from benchkit.types.drift import DriftReport


@click.command("watch")
@click.argument("source")
@NAME
@click.option("--every", metavar="15m|1h|1d", help="Windows of this span, by the rows' own times.")
@click.option("--window-size", type=click.IntRange(1), metavar="N", help="Windows of N rows.")
@click.option("--lateness", default="1m", show_default=True, metavar="SPAN", help="How long a window waits for rows.")
@click.option(
    "--poll", default=5.0, show_default=True, type=Number(0.01, 86_400), metavar="SECONDS", help="Time between looks."
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
@canary_options
@judging_options
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
    quiet: bool,
    **judging: Any,
) -> int:
    """Follow SOURCE, window by window, and go on after a restart exactly where it stopped.

    SIGTERM ends it in order with 0, Ctrl-C with 130. A drift is an alert and does not end the watch; with --once the
    exit code is 1 where a window breaks the policy.
    """
    if (every is None) == (window_size is None):
        raise click.UsageError("give the windows: --every SPAN or --window-size N, and not both")
    say(f"benchkit drift: following {shown_place(source)}", quiet=quiet)
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
        alerts=alerts,
        metrics_port=metrics_port,
        **asked_of(judging, run_length=run_length),
    )
    stop = threading.Event()
    broken = False

    def told(report: DriftReport) -> None:
        nonlocal broken
        broken = broken or report.breaks_policy
        from benchkit.report.drift_words import headline

        if not shown(lambda: click.echo(headline(report))):
            say("nobody reads stdout any more; the watch goes on, and `benchkit drift history` lists its windows")

    with _stops_in_order(stop) as heard:
        ended = watch_source(request, stop=stop, on_report=told, on_message=say)
    from benchkit.report.words import counted

    say(f"stopped after {counted(ended, 'window')}; the same command goes on from there", quiet=quiet)
    if heard:
        return heard[0]
    return EXIT_DRIFT if once and broken else EXIT_OK


@contextmanager
def _stops_in_order(stop: threading.Event) -> Iterator[list[int]]:
    """On SIGTERM or Ctrl-C, finish the batch in hand; the list then holds the exit code."""
    heard: list[int] = []

    def hear(signum: int, frame: object) -> None:
        heard.append(EXIT_INTERRUPTED if signum == signal.SIGINT else EXIT_OK)
        # This thread may hold the event's lock just now, or one of `threading` itself: the signal came in between.
        _thread.start_new_thread(stop.set, ())

    before = {number: signal.signal(number, hear) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield heard
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
