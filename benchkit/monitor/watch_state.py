"""What a watch is asked for, and what it knows between two commits.

WatchRequest, Baseline, Source ── stream_key ──> the name under which a watch goes on
WatchState ── progress ── state.db ── kept_state ──> the same
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import astuple, dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from benchkit.embeddings.fingerprint import digest_json
from benchkit.errors import SourceError, UsageError
from benchkit.monitor.baseline import Baseline
from benchkit.monitor.evidence import Standing
from benchkit.monitor.kept_checks import DEFAULT_POLICY
from benchkit.monitor.log_removed import Removed
from benchkit.monitor.volume import Volume
from benchkit.monitor.window import Window, pack, unpack
from benchkit.sources.windows import CutState
from benchkit.store.drift_state import DriftState, Progress
from benchkit.types.drift import ColumnNames, DriftPolicy, LayoutName, Source

BATCH_ROWS = 8192
POLL_S = 5.0
LATENESS = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class WatchRequest:
    """A watch as it was asked for.

    Attributes:
        size, every: Rows or span of a window; one of the two.
        lateness: How long after its end a window of time waits for rows.
        poll_s: How long to wait when all rows were read.
        once: Read what is there and end; windows that aren't full stay open.
        alerts: Sinks; see alerts.specs.
        metrics_port: Serve Prometheus' text on it; None for not.
        layout: "umap" adds a second picture of the regions to each report; needs benchkit[umap].
    """

    source: str
    baseline: str
    size: int | None = None
    every: timedelta | None = None
    lateness: timedelta = LATENESS
    poll_s: float = POLL_S
    once: bool = False
    model: str | None = None
    ask_canaries: bool = True
    columns: ColumnNames | None = None
    dimension: int | None = None
    query: str | None = None
    keep_texts: bool = False
    policy: DriftPolicy = DEFAULT_POLICY
    alerts: tuple[str, ...] = ()
    metrics_port: int | None = None
    device: str = "auto"
    offline: bool | None = None
    track: bool = True
    tracking_uri: str | None = None
    batch_rows: int = BATCH_ROWS
    layout: LayoutName = "pca"


@dataclass(frozen=True, slots=True, eq=False)
class WatchState:
    """What a watch knows between two commits.

    Attributes:
        left_out: Rows and files that a report has told of.
        volumes: Of each unfinished window, what was embedded for its rows.
        sampling: Of the last rows.
        removed: What the log removed unread.
        baseline: Digest of the one that windows were counted against.
        tolerance: Of the p-values that the evidence is of.
        given_up: Rows of unfinished windows that were counted against the baseline before this one.
    """

    position: Mapping[str, Any]
    cut: CutState
    windows: Mapping[str, Window]
    standing: Standing
    segments: Mapping[str, Standing]
    alerts: Mapping[str, Any] | None
    left_out: int = 0
    version: int = 0
    baseline: str = ""
    tolerance: float = 0.0
    given_up: int = 0
    volumes: Mapping[str, Volume] = field(default_factory=dict)
    sampling: float = 1.0
    removed: Removed = field(default_factory=Removed)

    def progress(self) -> Progress:
        """Return what is committed."""
        facts = {
            "tolerance": self.tolerance,
            "cut": self.cut.to_json(),
            "standing": self.standing.to_json(),
            "segments": {name: each.to_json() for name, each in self.segments.items()},
            "alerts": self.alerts,
            "left_out": self.left_out,
            "baseline": self.baseline,
            "volumes": {name: astuple(volume) for name, volume in self.volumes.items()},
            "sampling": self.sampling,
            "removed": self.removed.to_json(),
        }
        return Progress(self.position, facts, pack(self.windows) if self.windows else b"", self.version)

    @classmethod
    def of(cls, progress: Progress, policy: DriftPolicy, baseline: str) -> WatchState:
        """Return the state that was committed; that of a new watch where none was.

        Args:
            policy: As it is now. Under another run length the same sums are held against another bound; under another
                tolerance p-values say something else, and only alarms that stand are kept of the evidence.
            baseline: Digest of the baseline now. Where it was renewed, the watch goes on in the same place.
        """
        facts, run_length = progress.facts, policy.run_length
        if not facts:
            standing = Standing.start(run_length)
            return cls({}, CutState(), {}, standing, {}, None, baseline=baseline, tolerance=policy.tolerance)
        standing = Standing.from_json(facts["standing"], run_length)
        state = cls(
            position=progress.position,
            cut=CutState.from_json(facts["cut"]),
            windows=unpack(progress.window),
            # Under a shorter run length the sum may be an alarm as it is; one more step would start it from nothing.
            standing=replace(standing, stands=standing.detector.is_alarm),
            segments={name: Standing.from_json(each, run_length) for name, each in facts["segments"].items()},
            alerts=facts["alerts"],
            left_out=facts["left_out"],
            version=progress.version,
            baseline=facts["baseline"],
            # A state of before has none of these.
            tolerance=facts.get("tolerance", policy.tolerance),
            volumes={name: Volume(*volume) for name, volume in facts.get("volumes", {}).items()},
            sampling=facts.get("sampling", 1.0),
            removed=Removed.from_json(facts.get("removed")),
        )
        if state.tolerance != policy.tolerance:
            state = state._with_tolerance(policy)
        return state if state.baseline == baseline else state._renewed(run_length, baseline)

    def _with_tolerance(self, policy: DriftPolicy) -> WatchState:
        standing = self.standing if self.standing.stands else Standing.start(policy.run_length)
        segments = {name: each for name, each in self.segments.items() if each.stands}
        return replace(self, standing=standing, segments=segments, tolerance=policy.tolerance)

    def _renewed(self, run_length: int, baseline: str) -> WatchState:
        """Return the state in the same place without what was counted and concluded against the baseline before."""
        cut = self.cut
        # The rest of a span would look like one with few rows.
        number = max((cut.number, *(number + 1 for number in cut.open)))
        return replace(
            self,
            # The new one may be of a model of another dimension: rows from here on are held against it alone.
            position={**self.position, "dimension": None} if "dimension" in self.position else self.position,
            cut=replace(cut, number=number, filled=0, open=()),
            windows={},
            volumes={},
            standing=Standing.start(run_length),
            segments={},
            baseline=baseline,
            given_up=sum(window.rows for window in self.windows.values()),
        )


def kept_state(kept: DriftState, stream: str, policy: DriftPolicy, baseline: str) -> WatchState:
    """Return the state that was committed for a stream; see `WatchState.of`.

    Raises:
        UsageError: what is kept of it is damaged, or of another form.
    """
    from safetensors import SafetensorError

    try:
        state = WatchState.of(kept.progress(stream), policy, baseline)
        if not isinstance(state.alerts, Mapping | None):
            raise TypeError(f"alerts: expected an object, found {type(state.alerts).__name__}")
    except (KeyError, TypeError, ValueError, AttributeError, SafetensorError, SourceError) as exc:
        raise UsageError(
            f"{kept.path}: what is kept of this watch can't be read ({type(exc).__name__}: {exc}); it is damaged or of "
            "another benchkit. Run the benchkit that wrote it, or put a copy of the file back; to move it away starts "
            "every watch anew, without its history"
        ) from exc
    return state


def stream_key(request: WatchRequest, baseline: Baseline, source: Source) -> str:
    """Return what names a watch: the same name of a baseline, source and windows go on where they stopped.

    The policy is not in it: who changes it wants other verdicts from now on, and not the old alerts again.
    """
    return digest_json(
        {
            "baseline": baseline.info.name,
            # A relative path is another place in another folder.
            "source": source.name if "://" in source.name else str(Path(source.name).absolute()),
            "query": request.query,
            "size": request.size,
            "every_s": request.every.total_seconds() if request.every else None,
        }
    )
