"""benchkit drift test: do two sources come from one distribution, by named methods?"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from benchkit.cli.console import say
from benchkit.cli.drift_options import Number, columns_of, source_options
from benchkit.cli.drift_output import print_json, shown
from benchkit.cli.interrupt import ends_in_order
from benchkit.cli.options import STDOUT, check_targets, earlier_names, json_option, quiet_option
from benchkit.errors import EXIT_DRIFT, EXIT_OK
from benchkit.sources.words import shown_place

if TYPE_CHECKING:
    from benchkit.monitor.two_samples import MethodVerdict, SampleInfo, TwoSampleReport

SCHEMA_VERSION = 1


@click.command("test", context_settings=earlier_names(alpha="false-alarms"))
@click.argument("reference")
@click.argument("current")
@click.option(
    "--method", "methods", multiple=True, required=True, metavar="NAME", help="mmd, ks, ...; may be given again."
)
@click.option(
    "--rows", type=click.IntRange(5), default=2000, show_default=True, metavar="N", help="Drawn of each source."
)
@click.option(
    "--false-alarms",
    type=Number(0.001, 1, max_open=True),
    default=0.05,
    show_default=True,
    metavar="SHARE",
    help="Chance of a false alarm.",
)
@click.option(
    "--seed",
    type=click.IntRange(0, 2**32 - 1),
    default=0,
    show_default=True,
    metavar="N",
    help="Of the samples and the methods.",
)
@json_option("result")
@source_options
@quiet_option
def command(
    reference: str,
    current: str,
    methods: tuple[str, ...],
    rows: int,
    false_alarms: float,
    seed: int,
    json_path: str | None,
    query: str | None,
    dimension: int | None,
    quiet: bool,
    **columns: str | None,
) -> int:
    """Test whether the rows of REFERENCE and CURRENT come from one distribution.

    A plain two-sample test of rows drawn from each; without a baseline it knows nothing of weekdays or of harm, which
    `drift check` does. `benchkit plugins` lists the methods (benchkit.detectors). Several are corrected for their
    number (Holm).

    Exit codes: 0 no drift, 1 a method says drift, 2 wrong usage or source, 4 the dimensions differ, 130 interrupted.
    """
    check_targets({"--json": json_path})
    say(f"benchkit drift: reading {shown_place(reference)} and {shown_place(current)}", quiet=quiet)
    from benchkit.monitor.two_samples import TwoSampleRequest, run

    with ends_in_order():
        report = run(
            TwoSampleRequest(
                reference=reference,
                current=current,
                methods=methods,
                rows=rows,
                alpha=false_alarms,
                columns=columns_of(columns),
                dimension=dimension,
                query=query,
                seed=seed,
            )
        )
    _write(report, json_path)
    return EXIT_DRIFT if report.drifted else EXIT_OK


def _write(report: TwoSampleReport, json_path: str | None) -> None:
    if json_path == STDOUT:
        shown(lambda: print_json(render_json(report)))
        return
    if json_path is not None:
        Path(json_path).write_text(render_json(report), encoding="utf-8")
    shown(lambda: click.echo("\n".join(lines_of(report))))


def render_json(report: TwoSampleReport) -> str:
    """Return the JSON text, with a line end."""
    from benchkit.report.forms import plain

    data = {"schema_version": SCHEMA_VERSION, "drifted": report.drifted, **plain(report)}
    return json.dumps(data, indent=2, ensure_ascii=False) + "\n"


def lines_of(report: TwoSampleReport) -> Iterator[str]:
    """Yield the report for a terminal: the answer, the rows, and a line for each method."""
    said = [method.result.method for method in report.methods if method.drifted]
    corrected = len(report.methods) > 1
    after = f", after Holm's correction for {len(report.methods)} methods" if corrected else ""
    yield f"DRIFT by {', '.join(said)}{after}" if said else f"no drift was found at alpha {report.alpha:g}{after}"
    yield f"  reference  {_sample_words(report.reference, report.seed)}"
    yield f"  current    {_sample_words(report.current, report.seed)}"
    yield ""
    width = max(len(method.result.method) for method in report.methods)
    for method in report.methods:
        yield f"  {_method_words(method, width, corrected=corrected)}"


def _sample_words(info: SampleInfo, seed: int) -> str:
    from benchkit.report.words import plain

    drawn = f"{info.drawn:,} of {info.rows:,} rows"
    how = f", a sample (seed {seed})" if info.drawn < info.rows - info.broken else ""
    broken = f", {info.broken:,} with NaN or infinity left out" if info.broken else ""
    return f"{drawn}{how}{broken}, {plain(info.source)}"


def _method_words(method: MethodVerdict, width: int, *, corrected: bool) -> str:
    from benchkit.report.words import p_equals

    result = method.result
    used = [
        given if compared is None else compared
        for given, compared in (
            (result.n_reference, result.used_reference),
            (result.n_current, result.used_current),
        )
    ]
    decided = (
        f"threshold {result.threshold:.4g}"
        if result.p_value is None and result.threshold is not None
        else f"p {p_equals(result.p_value)}"
        if result.p_value is not None
        else "no p-value"
    )
    after = f"   Holm p {p_equals(method.p_holm)}" if corrected and method.p_holm is not None else ""
    verdict = "drift" if method.drifted else "no drift"
    return (
        f"{result.method:<{width}}   statistic {result.statistic:<10.4g}   {decided}{after}   {verdict:<8}   "
        f"{used[0]:,} and {used[1]:,} rows"
    )
