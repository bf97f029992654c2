"""Options of `benchkit drift` that several of its commands take, said once; only click is imported.

--vector-column ... --query ──> the signature of a command ── columns_of ──> ColumnNames
--model ... --tracking-uri ──> what `check` and `watch` both are asked ── asked_of ──> a part of their requests
a model that fails ── failures_of_models ──> a wrong source
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypedDict, TypeVar

import click

from benchkit.errors import CellFailed, ModelError

if TYPE_CHECKING:
    from benchkit.types.drift import ColumnNames, DriftPolicy, LayoutName

Command = TypeVar("Command", bound=Callable[..., Any])
COLUMNS = ("vector", "time", "id", "text", "segment", "role", "score")
SEVERITIES = ("info", "warn", "critical")
LAYOUTS = ("pca", "umap")

NAME = click.option("--baseline", required=True, metavar="NAME", help="The baseline to hold it against.")
TEXTS = click.option("--keep-texts", is_flag=True, help="Show and store example texts and keywords.")
QUIET = click.option("--quiet", is_flag=True, help="The report and errors only.")


class Number(click.FloatRange):
    """A number of a range; click's own lets "nan" through, which is neither inside nor outside."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        number = float(super().convert(value, param, ctx))
        if number != number:
            self.fail(f"{value!r} is no number of the range {self._describe_range()}.", param, ctx)
        return number


@contextmanager
def failures_of_models() -> Iterator[None]:
    """Make a model that fails a wrong source (2): 3 says that a cell of a comparison failed, and here is none."""
    try:
        yield
    except CellFailed as exc:
        raise ModelError(str(exc)) from exc


def in_order(command: Command, *options: Callable[[Command], Command]) -> Command:
    """Add options, the first one first in the help."""
    for option in reversed(options):
        command = option(command)
    return command


def source_options(command: Command) -> Command:
    """Add how a source is read: `dimension`, `query`, and `vector_column` and the like for `columns_of`."""
    columns = [click.option(f"--{name}-column", metavar="NAME", help=f"Column of the {name}.") for name in COLUMNS]
    dimension = click.option("--dimension", type=click.IntRange(1), metavar="D", help="Of FixedSizeBinary vectors.")
    query = click.option("--query", metavar="SQL", help="For postgresql:// sources.")
    return in_order(command, query, dimension, *columns)


def columns_of(named: Mapping[str, str | None]) -> ColumnNames:
    """Return the columns that were named."""
    from benchkit.types.drift import ColumnNames

    return ColumnNames(**{name: named[f"{name}_column"] for name in COLUMNS})


def machine_options(command: Command) -> Command:
    """Add where the model that is asked runs."""
    device = click.option(
        "--device", default="auto", show_default=True, metavar="auto|cpu|cuda|cuda:N", help="Where the model runs."
    )
    return in_order(command, device, click.option("--offline", is_flag=True, help="Touch no network."))


def canary_options(command: Command) -> Command:
    """Add what canaries are embedded with."""
    model = click.option(
        "--model", metavar="MODEL", help="What canaries are embedded with; without it the baseline's model."
    )
    return in_order(command, model, click.option("--no-canary", is_flag=True, help="Do not embed the canaries."))


def judging_options(command: Command) -> Command:
    """Add when a window is an alarm, what is kept, and how the source is read: the last options of check and watch."""
    return in_order(
        command,
        *_policy_options(),
        TEXTS,
        _layout_option(),
        click.option("--tracking-uri", metavar="URI", help="MLflow store; without it the project's."),
        click.option("--no-track", is_flag=True, help="Do not record the check in MLflow."),
        source_options,
        machine_options,
        QUIET,
    )


def _policy_options() -> tuple[Callable[[Any], Any], ...]:
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
        type=Number(0, 1, min_open=True, max_open=True),
        metavar="SHARE",
        default=0.01,
        show_default=True,
        help="Share of unchanged windows called drift.",
    )
    tolerance = click.option(
        "--tolerance",
        type=Number(0, 1, max_open=True),
        metavar="SHARE",
        default=0.0,
        show_default=True,
        help="Share of rows that may be replaced before a change counts.",
    )
    return fail_on, alarms, tolerance


def _layout_option() -> Callable[[Any], Any]:
    return click.option(
        "--layout",
        type=click.Choice(LAYOUTS),
        metavar="|".join(LAYOUTS),
        default="pca",
        show_default=True,
        help="umap adds an illustration of the regions; needs benchkit[umap].",
    )


class Asked(TypedDict):
    """What the requests of a check and of a watch share."""

    model: str | None
    ask_canaries: bool
    columns: ColumnNames | None
    dimension: int | None
    query: str | None
    keep_texts: bool
    policy: DriftPolicy
    device: str
    offline: bool | None
    track: bool
    tracking_uri: str | None
    layout: LayoutName


def asked_of(given: Mapping[str, Any], *, run_length: int = 1000) -> Asked:
    """Return what `canary_options` and `judging_options` were given."""
    from benchkit.types.drift import DriftPolicy

    policy = DriftPolicy(
        false_alarms=given["false_alarms"],
        run_length=run_length,
        tolerance=given["tolerance"],
        fail_on=given["fail_on"],
    )
    return Asked(
        model=given["model"],
        ask_canaries=not given["no_canary"],
        columns=columns_of(given) if any(given[f"{name}_column"] for name in COLUMNS) else None,
        dimension=given["dimension"],
        query=given["query"],
        keep_texts=given["keep_texts"],
        policy=policy,
        device=given["device"],
        offline=given["offline"] or None,
        track=not given["no_track"],
        tracking_uri=given["tracking_uri"],
        layout=given["layout"],
    )
