"""What the dashboard lists: one short row for each comparison, gate, promotion and drift check that was kept.

    result folders, MLflow, drift state ── store.board ──> rows, newest last ── a page picks one by key ──> the whole

A row has what a list, a time line or a filter needs, so that hundreds of them are read without opening a report. Its
key is looked up among the rows that were listed and is never a path. Times are ISO 8601, UTC; "" where there is none.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from benchkit.types.drift import ChangeKind, DriftSeverity
from benchkit.types.gate import GateVerdict

MarkKind = Literal["champion", "model", "baseline"]


@dataclass(frozen=True, slots=True)
class ComparisonRow:
    """A comparison that was kept.

    Attributes:
        key: Names it in this board: the folder's name, or MLflow's run.
        models: Labels, in the order in which they were asked for.
        recommendation: Label of the recommended model; None where there was none.
        has_cost: Whether costs were measured.
        address: Where people find its run in MLflow; "" where it isn't recorded there.
        is_interrupted: Whether it ended before every model was run on every task.
    """

    key: str
    suite: str
    suite_digest: str
    started: str
    models: tuple[str, ...]
    recommendation: str | None
    has_cost: bool
    run_id: str = ""
    address: str = ""
    is_interrupted: bool = False


@dataclass(frozen=True, slots=True)
class GateRow:
    """A gate that was run.

    Attributes:
        change, low, high, margin: Of the rule on the mean: candidate minus baseline, its 95 % interval, and the loss
            that is allowed (above 0); None where no such rule was judged.
        failed: Ids of the rules that failed, without those that only warn.
    """

    key: str
    suite: str
    started: str
    verdict: GateVerdict
    blocks: bool
    candidate: str
    baseline: str
    change: float | None
    low: float | None
    high: float | None
    margin: float | None
    failed: tuple[str, ...] = ()
    run_id: str = ""
    address: str = ""


@dataclass(frozen=True, slots=True)
class ChampionRow:
    """A promotion: from then on, gates of the suite compared with this model."""

    suite: str
    version: int
    model: str
    promoted_at: str
    promoted_by: str
    reason: str
    forced: bool
    is_present: bool
    gate_verdict: str = ""
    address: str = ""


@dataclass(frozen=True, slots=True)
class CheckRow:
    """A window that was held against a baseline; numbers are None where they weren't measured.

    Attributes:
        stream: Of which watch; "" of a single check.
        start, end: Times of the window's rows.
        detector, run_length: The Shiryaev-Roberts sum after this window and the level of its alarm.
        fingerprint: Content identity of the model that made the window's vectors.
    """

    key: int
    baseline: str
    source: str
    stream: str
    number: int
    start: str
    end: str
    checked_at: str
    rows: int
    severity: DriftSeverity
    kind: ChangeKind
    breaks_policy: bool
    reason: str
    p_value: float | None = None
    false_alarms: float = 0.01
    detector: float | None = None
    run_length: int | None = None
    overlap_at_10: float | None = None
    identity: float | None = None
    ndcg_at_10: float | None = None
    low_score_share: float | None = None
    fingerprint: str = ""
    run_id: str = ""
    address: str = ""

    @property
    def at(self) -> str:
        """When it belongs on a time axis: the end of its rows, or the check where rows have no times."""
        return self.end or self.checked_at


@dataclass(frozen=True, slots=True)
class Mark:
    """Something that happened, on a time axis: another champion, another model in production, another baseline."""

    at: str
    label: str
    kind: MarkKind
