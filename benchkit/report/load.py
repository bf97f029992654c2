"""Models under load, for a terminal and as JSON.

    LoadReport of each model ─┬─ render_load ──> heading · table by rate · what follows from it · notes
                              └─ load_to_dict ──> dict (schema_version 1)

Latency here is from the time at which a request was due; "service" is from the time at which it was sent. A latency
that nobody knows is a dash and never 0: "over" stands where the rank falls on a request that was never answered.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from benchkit.report import words
from benchkit.types.load import HELD_SHARE, Interval, LoadPoint, LoadReport

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

SCHEMA_VERSION = 1
OVER = "over"
_COLUMNS = (
    ("offered", "per s"),
    ("utili-", "sation"),
    ("p50", "ms"),
    ("p95", "ms"),
    ("p99", "ms"),
    ("service", "p95 ms"),
    ("goodput", "per s"),
    ("within", "limit"),
    ("", "failed"),
    ("", "held"),
)
_PERCENTILES = (50, 95, 99)  # of the table
_GAP = 2  # one space of padding and one that rich puts between columns


def render_load(reports: Sequence[LoadReport], console: Console) -> None:
    """Print each model's table and what follows from it; colour is the console's. No number is cut."""
    from rich.text import Text  # rich is only for terminals

    console.print(Text("Load: requests arrive at random times, whatever is under way; latency from when each was due"))
    for report in reports:
        console.print()
        console.print(Text(heading(report)), style="bold")
        if report.points:
            console.print(_table(report), crop=False)
            for line in _intervals(report):
                console.print(Text(line), crop=False)
        console.print(Text(sentence(report)), style="" if report.saturation_per_s else "yellow")
        for line in _notes(report):
            console.print(Text(line), style="dim")


def load_to_dict(report: LoadReport) -> dict[str, Any]:
    """Return a report as JSON can hold it: the fields of its record, `held` for each point; what is absent is null."""
    points = [asdict(point) | {"notes": list(point.notes), "held": point.is_held} for point in report.points]
    own = asdict(report) | {"hardware": dict(report.hardware), "notes": list(report.notes), "points": points}
    return {"schema_version": SCHEMA_VERSION, **own}


def heading(report: LoadReport) -> str:
    """Return the model, how it was served, its capacity and the limit, on one line."""
    parts = ["one process, one request at a time"]
    if report.server == "endpoint":
        parts = [f"endpoint, up to {report.connections} connections"]
    if report.capacity_per_s is not None:
        parts.append(f"capacity {words.digits(report.capacity_per_s)} requests/s in a closed loop")
    if report.slo_ms is not None:
        parts.append(f"limit {words.digits(report.slo_ms)} ms")
    return f"{words.plain(report.model)}: {', '.join(parts)}"


def sentence(report: LoadReport) -> str:
    """Return in plain words up to which rate the model holds, and why not beyond."""
    name = words.plain(report.model)
    failure = f"{name} failed: {words.plain(report.failure)}" if report.failure else ""
    if report.interrupted:
        failure = f"{name} was interrupted; rates that were not finished are left out."
    if not report.points:
        return failure or f"{name} was not measured."
    return " ".join(filter(None, (_held(report, name), _beyond(report), failure)))


def _held(report: LoadReport, name: str) -> str:
    if report.saturation_per_s is None:
        # By rising rate: after a first rate at which the client was late, nothing is known of the others either.
        return f"{name} held none of the loads tried." if report.points[0].valid else f"{name}: no load can be judged."
    limit = ""
    if report.slo_ms is not None:
        limit = f", with {HELD_SHARE:.0%} of them answered within {words.digits(report.slo_ms)} ms"
    share = ""
    if report.capacity_per_s is not None:
        share = f" ({report.saturation_per_s / report.capacity_per_s:.0%} of its capacity)"
    return f"{name} keeps up with {words.digits(report.saturation_per_s)} requests per second{share}{limit}."


def _beyond(report: LoadReport) -> str:
    above = next((point for point in report.points if not point.is_held), None)
    if above is None:
        return "That is the highest load tried: where it saturates lies above."
    return f"At {words.digits(above.offered_per_s)} per second {_why_not(above)}."


def _why_not(point: LoadPoint) -> str:
    if not point.valid:
        late = words.digits(point.late_p99_ms)
        return f"nothing can be said: the measuring client itself was up to {late} ms late (p99)"
    if not point.keeps_up:
        return f"it does not keep up: {words.digits(point.achieved_per_s)} were answered per second"
    return f"only {_share(point.within_slo)} were answered within the limit"


def _table(report: LoadReport) -> Table:
    from rich import box
    from rich.table import Table

    rows = [_cells(point) for point in report.points]
    widths = [max(map(len, (*title, *column))) for title, column in zip(_COLUMNS, zip(*rows, strict=True), strict=True)]
    # A fixed width: on a narrow console a cut number would be a wrong number.
    table = Table(
        box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0),
        width=sum(widths) + _GAP * (len(widths) - 1),
    )  # fmt: skip
    for title, width in zip(_COLUMNS, widths, strict=True):
        table.add_column("\n".join(title), justify="right", no_wrap=True, min_width=width)
    for row in rows:
        table.add_row(*row)
    return table


def _cells(point: LoadPoint) -> tuple[str, ...]:
    return (
        words.digits(point.offered_per_s),
        words.ABSENT if point.utilisation is None else f"{point.utilisation:.0%}",
        _latency(point, point.p50_ms),
        _latency(point, point.p95_ms),
        _latency(point, point.p99_ms),
        words.digits(point.service_p95_ms),
        words.digits(point.goodput_per_s),
        _share(point.within_slo),
        str(point.failed),
        _verdict(point),
    )


def _intervals(report: LoadReport) -> Iterator[str]:
    """Yield the 95 % intervals, a line for each rate."""
    if any(point.n_effective is not None for point in report.points):
        yield "95 % intervals:"
    for point in report.points:
        if point.n_effective is not None:
            yield f"  {words.digits(point.offered_per_s)}/s: {', '.join(_interval_parts(point))}"


def _interval_parts(point: LoadPoint) -> Iterator[str]:
    known = [percent for percent in _PERCENTILES if f"p{percent}_ms" in point.intervals]
    for percent in known:
        yield f"p{percent} {_ends(point.intervals[f'p{percent}_ms'])} ms"
    if missing := [f"p{percent}" for percent in _PERCENTILES if percent not in known]:
        yield f"{words.names(missing)}: not enough arrivals"
    if "goodput_per_s" in point.intervals:
        yield f"goodput {_ends(point.intervals['goodput_per_s'])} per s"


def _ends(interval: Interval) -> str:
    return f"{words.digits(interval.ci_low)}–{words.digits(interval.ci_high)}"


def _latency(point: LoadPoint, ms: float | None) -> str:
    return OVER if ms is None and point.unsent else words.digits(ms)


def _verdict(point: LoadPoint) -> str:
    if not point.valid:
        return "unknown"
    return "yes" if point.is_held else "no"


def _share(share: float | None) -> str:
    """Return a share in per cent; 99.96 % isn't 100 %, and 98.96 % isn't the 99 % that are asked for."""
    if share is None:
        return words.ABSENT
    percent = int(share * 1000 + 1e-9) / 10
    return f"{percent:.0f}%" if percent == int(percent) else f"{percent:.1f}%"


def _notes(report: LoadReport) -> Iterator[str]:
    for point in report.points:
        for note in point.notes:
            yield f"  {words.digits(point.offered_per_s)}/s: {words.plain(note)}"
    if any(point.unsent for point in report.points):
        yield f'  "{OVER}": longer than the run; requests that were never sent count as slower than any other'
    if any(point.n_effective is not None for point in report.points):
        yield "  requests that wait for each other are alike, so that fewer count for an interval than were sent"
    for note in report.notes:
        yield f"  {words.plain(note)}"
