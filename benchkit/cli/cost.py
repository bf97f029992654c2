"""benchkit cost: latency, throughput, memory and price of models, and how they stand load."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from benchkit.cli.console import say
from benchkit.cli.interrupt import ends_at_once, ends_in_order
from benchkit.cli.invoked import command_line
from benchkit.cli.options import (
    STDOUT,
    baseline_option,
    check_targets,
    cost_option,
    earlier_names,
    json_option,
    machine_options,
    quiet_option,
    seed_option,
    suite_option,
)
from benchkit.errors import EXIT_CELL_FAILED, EXIT_INTERRUPTED, EXIT_OK, UsageError

if TYPE_CHECKING:
    from benchkit.api.request import Prepared
    from benchkit.types.cost import CostLevel
    from benchkit.types.load import LoadReport

_LOAD_OPTIONS = ("rates", "utilisations", "slo_ms", "seconds")


class Numbers(click.ParamType[tuple[float, ...]]):
    """Numbers above 0 with commas between them: 5,10,20."""

    name = "numbers"

    def __init__(self, most: float | None = None) -> None:
        self._most = most

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[float, ...]:
        try:
            numbers = tuple(float(part) for part in str(value).split(","))
        except ValueError:
            self.fail(f"{value!r} should be numbers with commas between them, such as 5,10,20", param, ctx)
        limit = ", and finite" if self._most is None else f" and below {self._most:g}"
        if not all(0 < number < (self._most or float("inf")) for number in numbers):
            self.fail(f"{value!r}: every number should be above 0{limit}", param, ctx)
        return numbers


@click.command("cost", context_settings=earlier_names(level="cost"))
@click.argument("models", nargs=-1, metavar="MODEL...")
@suite_option("Suite whose texts are encoded")
@baseline_option
@cost_option
@click.option("--refresh", is_flag=True, help="Measure again what was measured on this machine before.")
@click.option("--against", type=click.Path(path_type=Path), metavar="RESULT.json", help="Show stored costs beside.")
@click.option("--load", "is_load", is_flag=True, help="Open-loop load instead: requests arrive whatever is under way.")
@click.option("--rates", type=Numbers(), metavar="R,R", help="Requests per second of --load.")
@click.option("--utilisations", type=Numbers(1.0), metavar="U,U", help="Shares of the capacity [0.3,0.5,0.7].")
@click.option("--slo-ms", type=click.FloatRange(0.0, min_open=True), metavar="MS", help="Latency that --load may take.")
@click.option("--seconds", type=click.FloatRange(1.0, 60.0), metavar="S", help="Length of each rate of --load [10].")
@json_option("result")
@machine_options
@quiet_option
@seed_option("draws")
def command(
    models: tuple[str, ...],
    suite: str | None,
    baseline: str | None,
    cost: CostLevel | None,
    refresh: bool,
    against: Path | None,
    is_load: bool,
    rates: tuple[float, ...] | None,
    utilisations: tuple[float, ...] | None,
    slo_ms: float | None,
    seconds: float | None,
    json_path: str | None,
    device: str,
    offline: bool,
    engine: str | None,
    quiet: bool,
    seed: int | None,
) -> int:
    """Measure what MODELs cost on this machine, each in a fresh process, call by call beside the others.

    With --load, requests arrive at random times at given rates, and latency counts from the time at which a request
    was due.
    """
    given = {"rates": rates, "utilisations": utilisations, "slo_ms": slo_ms, "seconds": seconds}
    _check(given, is_load=is_load, against=against, refresh=refresh)
    check_targets({"--json": json_path})
    say("benchkit cost: reading the suite", quiet=quiet)
    from benchkit.api.request import Request, prepare

    request = Request(
        models=models,
        suite=suite,
        baseline=baseline,
        device=device,
        offline=offline or None,
        track=False,
        seed=seed,
        engine=engine,
        cost=cost or "quick",
        command=command_line(),
    )
    with ends_at_once():
        prepared = prepare(request, on_stage=lambda stage: say(stage, quiet=quiet))
        for note in prepared.notes:
            say(f"warning: {note}")
        if not is_load:
            return _measure(prepared, against, json_path, refresh=refresh, quiet=quiet)
    plan = {name: value for name, value in given.items() if value is not None}
    return _load(prepared, plan, json_path, quiet=quiet)


def _check(given: dict[str, Any], *, is_load: bool, against: Path | None, refresh: bool) -> None:
    if not is_load and (alone := [name for name in _LOAD_OPTIONS if given[name] is not None]):
        raise UsageError(f"--{alone[0].replace('_', '-')} goes only with --load")
    if given["rates"] is not None and given["utilisations"] is not None:
        raise UsageError("--rates and --utilisations were both given; leave one of the two out")
    if is_load and (against is not None or refresh):
        raise UsageError(f"{'--against' if against else '--refresh'} does not go with --load")


def _measure(prepared: Prepared, against: Path | None, json_path: str | None, *, refresh: bool, quiet: bool) -> int:
    from rich.console import Console

    from benchkit.api.cost import measure, read_costs
    from benchkit.report.cost_view import render_cost
    from benchkit.report.json_form import cost_to_dict

    # Read first: a file that can't be compared is told before minutes of measuring.
    stored = read_costs(against, device=prepared.device) if against is not None else None
    report = measure(prepared, refresh=refresh, on_stage=lambda stage: say(stage, quiet=quiet)).report
    if json_path is not None:
        _write(cost_to_dict(report), json_path)
    if json_path != STDOUT:
        render_cost(report, Console(), stored=stored)
    failed = [cost for cost in report.models if cost.status == "failed"]
    for cost in failed:
        say(f"failed: {cost.model}: {cost.reason}")
    return EXIT_CELL_FAILED if failed else EXIT_OK


def _load(prepared: Prepared, given: dict[str, Any], json_path: str | None, *, quiet: bool) -> int:
    from rich.console import Console

    from benchkit.api.cost import LoadPlan, measure_loads
    from benchkit.report.load import load_to_dict, render_load

    reports: list[LoadReport] = []
    loads = measure_loads(prepared, LoadPlan(**given), on_stage=lambda stage: say(stage, quiet=quiet))
    with ends_in_order(), suppress(KeyboardInterrupt):  # between two models; during one its report says so
        reports.extend(loads)
    is_interrupted = len(reports) < len(prepared.models) or reports[-1].interrupted
    if is_interrupted and not any(report.points for report in reports):
        say("interrupted: no load was measured to its end")
        return EXIT_INTERRUPTED
    if json_path is not None:
        _write({"schema_version": 1, "load": [load_to_dict(report) for report in reports]}, json_path)
    if json_path != STDOUT:
        render_load(reports, Console())
    if is_interrupted:
        say("interrupted: the report holds what was finished")
        return EXIT_INTERRUPTED
    return EXIT_CELL_FAILED if any(report.failure for report in reports) else EXIT_OK


def _write(content: dict[str, Any], json_path: str) -> None:
    from benchkit.api.record import write_json

    if json_path == STDOUT:
        click.echo(json.dumps(content, ensure_ascii=True, indent=1, allow_nan=False))
    else:
        write_json(Path(json_path), content)
