"""The baselines of a project: made of a source, found by name.

BaselineRequest ── make_baseline ──> mlruns/drift/baselines/NAME.safetensors ── load_baseline ──> Baseline
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchkit.errors import BenchkitError, NotComparable, UsageError, nearest
from benchkit.monitor import baseline as baselines
from benchkit.monitor.baseline import USUAL, Baseline
from benchkit.monitor.canary_texts import FROM_SOURCE, CanaryTexts, canaries_of_suite, read_canaries
from benchkit.monitor.create import CreateRequest, create_baseline
from benchkit.monitor.live_model import opened_model
from benchkit.monitor.project import baselines_of, settings_here
from benchkit.settings import Settings
from benchkit.sources.open import open_source
from benchkit.store.drift_baseline import list_baselines, path_of
from benchkit.types.drift import BaselineInfo, ColumnNames


@dataclass(frozen=True, slots=True)
class BaselineRequest:
    """A baseline as it was asked for.

    Attributes:
        source: A path, glob, URL or database; see sources.open.
        canary: A file of texts, a suite, or "source" for texts of the source itself; None for none.
        history: Length of a window of the past: "auto", "none", "1h", "1d", "1w".
        replaces: Whether a baseline of that name may be there already.
    """

    name: str
    source: str
    model: str | None = None
    canary: str | None = None
    columns: ColumnNames = USUAL
    segment_by: str = ""
    keep_texts: bool = False
    history: str = "auto"
    dimension: int | None = None
    query: str | None = None
    device: str = "auto"
    offline: bool | None = None
    replaces: bool = False
    seed: int = 0


def make_baseline(
    request: BaselineRequest,
    *,
    settings: Settings | None = None,
    on_message: Callable[[str], None] = lambda message: None,
) -> BaselineInfo:
    """Make a baseline and keep it; `on_message` is told what was not learnt from the source.

    Raises:
        NotComparable: there is none of that name to renew.
        UsageError: a wrong name or option, or one of that name is there already.
        SourceError: the source can't be read.
        ModelError: the model can't be had.
    """
    here = settings or settings_here()
    folder = baselines_of(here)
    # A wrong name is told before the source is read.
    if path_of(folder, request.name).exists() != request.replaces:
        raise _not_there(folder, request.name) if request.replaces else _taken(request.name)
    source = open_source(request.source, columns=request.columns, dimension=request.dimension, query=request.query)
    model = opened_model(request.model, request.device, request.offline)
    made = create_baseline(
        source,
        CreateRequest(
            name=request.name,
            columns=request.columns,
            segment_by=request.segment_by,
            canary=_canary_texts(request.canary),
            canary_of_source=request.canary == FROM_SOURCE,
            keep_texts=request.keep_texts,
            history=request.history,
            seed=request.seed,
        ),
        model=model,
        on_message=on_message,
    )
    return baselines.save_as(made, folder, replaces=request.replaces).info


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Rows of a source that a baseline learnt nothing from.

    Attributes:
        rows: All that were read.
        nonfinite: Of these with NaN or infinity, a missing vector among them.
        zero: Of these nothing but zeros.
    """

    rows: int
    nonfinite: int
    zero: int


def left_out(baseline: Baseline) -> LeftOut:
    """Return how many rows of its source a baseline is not of."""
    health = baseline.health
    return LeftOut(rows=health.rows, nonfinite=health.nonfinite, zero=health.zero)


def _taken(name: str) -> UsageError:
    return UsageError(
        f"there is a baseline {name!r} already; renew it with `benchkit drift baseline renew {name} --from SOURCE`, or "
        "take another name"
    )


def _not_there(folder: Path, name: str) -> NotComparable:
    names = list_baselines(folder)
    near = nearest(name, names)
    hint = f" (did you mean {near!r}?)" if near else ""
    known = f"{hint}; there are {', '.join(names)}" if names else " (there is none yet)"
    return NotComparable(
        f"no baseline {name!r} to renew{known}; make it: benchkit drift baseline create {name} --from SOURCE"
    )


def _canary_texts(name: str | None) -> CanaryTexts | None:
    if name is None or name == FROM_SOURCE:
        return None
    path = Path(name)
    is_text = path.suffix.lower() in (".txt", ".jsonl")
    return read_canaries(path) if is_text else canaries_of_suite(name)


def load_baseline(name: str, *, settings: Settings | None = None) -> Baseline:
    """Read a baseline of the project.

    Raises:
        NotComparable: there is none of that name, or it is of another version.
        UsageError: it is damaged.
    """
    return baselines.load(baselines_of(settings or settings_here()), name)


def known_baselines(settings: Settings | None = None) -> list[BaselineInfo]:
    """Return the baselines of the project; one that can't be used is left out."""
    return listed_baselines(settings)[0]


def listed_baselines(settings: Settings | None = None) -> tuple[list[BaselineInfo], dict[str, str]]:
    """Return the baselines of the project; and of those that can't be used, by name, what is wrong and what to do."""
    folder = baselines_of(settings or settings_here())
    found, unusable = [], {}
    for name in list_baselines(folder):
        try:
            found.append(baselines.load(folder, name).info)
        except BenchkitError as exc:
            unusable[name] = str(exc)
    return found, unusable
