"""The checks of a project: a window of a source held against a baseline, and what all of them found.

CheckRequest ── check_source ──> DriftReport ── keep ──> mlruns/drift/state.db and MLflow ── history ──> reports
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from benchkit.drift.findings import is_silence_news
from benchkit.drift.layout import lay_out
from benchkit.errors import BenchkitError, NotComparable, UsageError, nearest
from benchkit.monitor.baseline import Baseline
from benchkit.monitor.check import Circumstances, ask_canaries, collect, judge_window
from benchkit.monitor.followed import open_beside
from benchkit.monitor.kept_baselines import load_baseline
from benchkit.monitor.live_model import LiveModel, encoded, opened_model
from benchkit.monitor.project import STATE, baselines_of, folder_of, open_state, settings_here
from benchkit.monitor.volume import Counted, Volume
from benchkit.monitor.window import Window, pack
from benchkit.report.drift_json import drift_from_dict, drift_to_dict
from benchkit.settings import Settings
from benchkit.sources.selection import Selection
from benchkit.sources.times import microseconds
from benchkit.sources.words import shown
from benchkit.store.drift_baseline import list_baselines
from benchkit.store.drift_state import KeptCheck
from benchkit.types.drift import ColumnNames, DriftPolicy, DriftReport, Harm, LayoutName, Rows, Source

DEFAULT_POLICY = DriftPolicy()
_CHECKS_LOOKED_AT = 1000  # for the names of baselines that were deleted


@dataclass(frozen=True, slots=True)
class CheckRequest:
    """A check as it was asked for.

    Attributes:
        start, end: Rows with start <= time < end; None leaves that side open.
        last: Its newest rows instead; see `Selection`.
        model: What canaries are embedded with; None takes the model that the baseline was made with.
        ask_canaries: Whether they are embedded at all.
        columns: None takes those of the baseline.
        keep_texts: Whether texts of the source may stand in the report.
        layout: "umap" adds a second picture of the regions to the report; needs benchkit[umap].
    """

    source: str
    baseline: str
    start: datetime | None = None
    end: datetime | None = None
    last: int | None = None
    model: str | None = None
    ask_canaries: bool = True
    columns: ColumnNames | None = None
    dimension: int | None = None
    query: str | None = None
    keep_texts: bool = False
    policy: DriftPolicy = DEFAULT_POLICY
    device: str = "auto"
    offline: bool | None = None
    track: bool = True
    tracking_uri: str | None = None
    layout: LayoutName = "pca"


@dataclass(frozen=True, slots=True)
class Checked:
    """A report, and where it was kept.

    Attributes:
        run_id: MLflow's run; "" where it isn't recorded.
        problem: Why it isn't; "" where it is, or wasn't asked for.
    """

    report: DriftReport
    run_id: str = ""
    problem: str = ""


def check_source(request: CheckRequest, *, settings: Settings | None = None) -> Checked:
    """Hold a window of a source against a baseline, and keep what was found.

    Raises:
        NotComparable: no such baseline, or rows of another dimension or model.
        SourceError: the source can't be read.
        ModelError: the model can't be had.
        UsageError: a wrong option, a rate of false alarms that no p-value goes below, or a damaged baseline or history.
    """
    here = settings or settings_here()
    baseline = load_baseline(request.baseline, settings=here)
    _check_reachable(request.policy, baseline)
    layout = lay_out(baseline.reference.frame.centroids, request.layout)
    source = open_beside(
        baseline, request.source, columns=request.columns, dimension=request.dimension, query=request.query
    )
    harm, model = asked(baseline, request.model, request.ask_canaries, request.device, request.offline)
    chosen = Selection(start=request.start, end=request.end, last=request.last)
    read = Counted(source)
    batches = read.count(chosen.rows(read))
    window = collect(baseline, _with_vectors(batches, baseline, model, source, request), keep_texts=request.keep_texts)
    usual = _usual_rows(baseline, request, read.volume)
    about = Circumstances(source=source.name, harm=harm, usual_rows=usual, notes=chosen.notes, layout=layout)
    report = judge_window(baseline, window, request.policy, about)
    return keep(report, window, here, track=request.track, tracking_uri=request.tracking_uri)


def _check_reachable(policy: DriftPolicy, baseline: Baseline) -> None:
    least = baseline.reference.least_p
    if policy.false_alarms < least:
        raise UsageError(
            f"--false-alarms {policy.false_alarms:g}: no p-value is below {least:g}, so that no change whatever would "
            f"be an alarm; allowed: {least:g} and more. A watch adds up the evidence of windows (--run-length)"
        )


def asked(
    baseline: Baseline, model: str | None, wanted: bool, device: str, offline: bool | None
) -> tuple[Harm | None, LiveModel | None]:
    """Embed the canaries, where there are any and a model to do it; return what they say, and the model."""
    spec = model or baseline.model_spec
    if baseline.canaries is None or not wanted or not spec:
        return None, opened_model(model, device, offline)
    opened = LiveModel.open(spec, device=device, offline=offline)
    return ask_canaries(baseline, opened), opened


def _with_vectors(
    batches: Iterable[Rows], baseline: Baseline, model: LiveModel | None, source: Source, request: CheckRequest
) -> Iterable[Rows]:
    """Encode rows that are texts alone, with a model that is loaded only when the first of them comes."""
    for rows in batches:
        if len(rows) and not rows.vectors.shape[1] and model is None and (request.model or baseline.model_spec):
            model = LiveModel.open(request.model or baseline.model_spec, device=request.device, offline=request.offline)
        yield from encoded(iter([rows]), model, source.name)


def _usual_rows(baseline: Baseline, request: CheckRequest, volume: Volume) -> float | None:
    if request.start is None or request.end is None:
        return None
    # A month that has just begun has few rows yet.
    end = min(microseconds(request.end), microseconds(datetime.now(UTC)))
    seconds = (end - microseconds(request.start)) / 1e6
    usual = volume.usual_rows(baseline.usual_per_s(seconds), seconds)
    # Where few are usual, the number of rows tells nothing but that there is none where somebody looked for some.
    return usual if usual is not None and is_silence_news(usual) else None


def keep(
    report: DriftReport, window: Window, settings: Settings, *, track: bool = True, tracking_uri: str | None = None
) -> Checked:
    """Keep a report in the history and, unless told not to, in MLflow; a store that can't be written is told of."""
    form = drift_to_dict(report)
    with open_state(settings) as state:
        number = state.add_check(form)
        if not track:
            return Checked(report)
        from benchkit.store.drift_runs import log_drift

        try:
            run_id = log_drift(form, tracking_uri=tracking_uri or settings.tracking_uri, sketch=sums_of(window))
        except BenchkitError as exc:
            return Checked(report, problem=str(exc))
        state.recorded(number, run_id)
    return Checked(report, run_id)


def sums_of(window: Window) -> bytes:
    """Return the sums of a window, without any text."""
    return pack({"window": replace(window, texts={})})


def history(baseline: str | None = None, *, limit: int = 1000, settings: Settings | None = None) -> list[DriftReport]:
    """Return the latest verdicts, oldest first; none where nothing was ever checked.

    Raises:
        NotComparable: there is no such baseline, and there was none that has a history.
    """
    here = settings or settings_here()
    kept = _kept_checks(here, baseline, limit)
    if not kept and baseline is not None:
        _check_known(here, baseline)
    return [drift_from_dict(entry.report, place=f"check {entry.id} of the history") for entry in kept]


def _kept_checks(settings: Settings, baseline: str | None, limit: int) -> list[KeptCheck]:
    if not (folder_of(settings) / STATE).is_file():
        return []
    with open_state(settings) as state:
        return state.history(baseline, limit=limit)


def _check_known(settings: Settings, baseline: str) -> None:
    """Raise where a baseline is neither there nor in the history: a name was misspelt."""
    there = list_baselines(baselines_of(settings))
    if baseline in there:
        return
    checked = {str(kept.report["baseline"]["name"]) for kept in _kept_checks(settings, None, _CHECKS_LOOKED_AT)}
    gone = sorted(checked - set(there))
    name, near = shown(baseline), nearest(baseline, [*there, *gone])
    hint = f" (did you mean {near!r}?)" if near else ""
    known = (
        f"; there are {', '.join(there)}"
        if there
        else f"; make it: benchkit drift baseline create {name} --from SOURCE"
    )
    past = f"; deleted, with a history, are {', '.join(gone)}" if gone else ""
    raise NotComparable(f"no baseline '{name}'{hint}{known}{past}")
