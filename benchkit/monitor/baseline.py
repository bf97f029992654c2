"""The baseline of a drift monitor: what production looked like when it was right.

    Source ── sample of its rows ── fit ──> Reference ─┐
              health and scores of every row          ─┼─> Baseline ── save_as ──> one file ── load ──> the same
    texts + model ── canaries ─────────────────────────┘

Texts are kept only where they were asked for: canaries, and examples of clusters under `keep_texts`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchkit.drift.canary_set import Canaries
from benchkit.drift.health import Health
from benchkit.drift.part import part_from_arrays, part_to_arrays
from benchkit.drift.projection import Plane
from benchkit.drift.reference import Reference
from benchkit.drift.scores import ScoreBaseline
from benchkit.errors import NotComparable, UsageError
from benchkit.monitor.window import Judged, Window, part_of
from benchkit.store.drift_baseline import KeptBaseline, load_baseline, save_baseline
from benchkit.types.drift import BaselineInfo, ColumnNames

FORM = 1
_OWN_SHARE, _OWN_EXCESS = 0.5, 0.3  # from which rows are taken for the baseline's own; above what repeats by nature
_TIMES_AS_LONG = 10.0  # as the baseline's rows came in is a window whose volume they foretell
USUAL = ColumnNames()


@dataclass(frozen=True, slots=True, eq=False)
class Baseline:
    """What windows are held against.

    Attributes:
        reference: Frame, sums and null of the distribution.
        health: Of every row of the source, not of a sample only.
        canaries: Texts that are embedded again at each check; None without any.
        examples: A few texts of each cluster, where these were asked for.
        columns: How the columns of the source were named.
        segment_by: "segment", "role" or "".
        segments: References of the largest segments, in the frame of the whole.
        rows_per_s: Usual volume of what was embedded, kept or not; None where rows have no times.
        span_s: Over which time they came; None of one that an older benchkit made, likewise.
        model_spec: Name under which the model can be loaded again; "" where nobody said.
        plane: How it is drawn; None of one that an older benchkit made.
        unit_s: Seconds of a window of the past, an hour, a day or a week; 0 of independent rows.
    """

    info: BaselineInfo
    reference: Reference
    health: Health
    scores: ScoreBaseline | None = None
    canaries: Canaries | None = None
    examples: Mapping[int, tuple[str, ...]] = field(default_factory=dict)
    columns: ColumnNames = USUAL
    segment_by: str = ""
    segments: Mapping[str, Reference] = field(default_factory=dict)
    rows_per_s: float | None = None
    span_s: float | None = None
    model_spec: str = ""
    plane: Plane | None = None
    unit_s: int = 0

    def judged(self, *, keep_texts: bool) -> Judged:
        """Return what decides how a window is counted."""
        return Judged(self.reference, self.scores, self.segment_by, self.segments, keep_texts, self.unit_s)

    def usual_per_s(self, seconds: float) -> float | None:
        """Return the usual volume of a window so long; None where the baseline came in less than a tenth of that.

        Ten minutes of a batch tell nothing of a day.
        """
        return None if self.span_s is not None and seconds > _TIMES_AS_LONG * self.span_s else self.rows_per_s

    def own_share(self, window: Window) -> float | None:
        """Return the share of a window's rows that the baseline was made of; None of a window that can be tested.

        Rows that the frame was fitted on lie nearer to it than new ones, so that a window of them looks strange though
        nothing changed. Rows that repeat are in both by nature: what the baseline has of such rows is expected.
        """
        share = window.health.share_in(self.health)
        if share is None or share < _OWN_SHARE:
            return None
        return share if share > self.health.again + _OWN_EXCESS else None


def save_as(baseline: Baseline, folder: Path, *, replaces: bool = False) -> Baseline:
    """Write a baseline under its name, and return it with its digest and size.

    Raises:
        UsageError: there is one of that name already, the name isn't one, or the file can't be written.
    """
    kept = save_baseline(
        folder, baseline.info.name, KeptBaseline(_facts(baseline), _arrays(baseline)), replaces=replaces
    )
    return replace(baseline, info=replace(baseline.info, digest=kept.digest, bytes=kept.bytes))


def load(folder: Path, name: str) -> Baseline:
    """Read a baseline.

    Raises:
        NotComparable: there is none of that name, or it is of another version.
        UsageError: the file is damaged.
    """
    kept = load_baseline(folder, name)
    facts = kept.facts
    if facts.get("form") != FORM:
        raise NotComparable(
            f"the baseline {name!r} has form {facts.get('form')!r}, and this benchkit reads {FORM}; renew it: "
            f"benchkit drift baseline renew {name} --from SOURCE"
        )
    try:
        return _from_kept(kept)
    except (AttributeError, KeyError, TypeError, ValueError) as exc:
        raise UsageError(
            f"the baseline {name!r} in {folder} is damaged ({exc}); renew it: "
            f"benchkit drift baseline renew {name} --from SOURCE"
        ) from exc


def _facts(baseline: Baseline) -> dict[str, Any]:
    info = asdict(baseline.info)
    # Of the file itself, which doesn't hold them.
    del info["digest"], info["bytes"]
    return {
        "form": FORM,
        "info": info,
        "columns": asdict(baseline.columns),
        "segment_by": baseline.segment_by,
        "segments": list(baseline.segments),
        "rows_per_s": baseline.rows_per_s,
        "span_s": baseline.span_s,
        "unit_s": baseline.unit_s,
        "model_spec": baseline.model_spec,
        "plane": None if baseline.plane is None else baseline.plane.to_json(),
        "canary_texts": None if baseline.canaries is None else list(baseline.canaries.texts),
        "examples": {str(cluster): list(texts) for cluster, texts in baseline.examples.items()},
    }


def _arrays(baseline: Baseline) -> dict[str, NDArray[Any]]:
    parts: dict[str, Mapping[str, NDArray[Any]]] = {
        "reference": baseline.reference.to_arrays(),
        "health": baseline.health.to_arrays(),
        "scores": {} if baseline.scores is None else baseline.scores.to_arrays(),
        "canaries": {} if baseline.canaries is None else baseline.canaries.to_arrays(),
    }
    for place, reference in enumerate(baseline.segments.values()):
        parts[f"segment/{place}"] = part_to_arrays(reference, baseline.reference)
    return {f"{name}/{key}": np.asarray(array) for name, part in parts.items() for key, array in part.items()}


def _from_kept(kept: KeptBaseline) -> Baseline:
    facts, arrays = kept.facts, kept.arrays
    scores, canaries = part_of(arrays, "scores"), part_of(arrays, "canaries")
    known = {entry.name for entry in fields(BaselineInfo)}
    reference = Reference.from_arrays(part_of(arrays, "reference"))
    info = BaselineInfo(**{key: value for key, value in facts["info"].items() if key in known})
    return Baseline(
        info=replace(info, digest=kept.digest, bytes=kept.bytes),
        reference=reference,
        health=Health.from_arrays(part_of(arrays, "health")),
        scores=ScoreBaseline.from_arrays(scores) if scores else None,
        canaries=Canaries.from_arrays(canaries, facts["canary_texts"]) if canaries else None,
        examples={int(cluster): tuple(texts) for cluster, texts in facts["examples"].items()},
        columns=ColumnNames(**facts["columns"]),
        segment_by=facts["segment_by"],
        segments={
            name: part_from_arrays(reference, part_of(arrays, f"segment/{place}"))
            for place, name in enumerate(facts["segments"])
        },
        rows_per_s=facts["rows_per_s"],
        span_s=facts.get("span_s"),
        unit_s=facts["unit_s"],
        model_spec=facts["model_spec"],
        plane=Plane.from_json(facts["plane"]) if facts.get("plane") else None,
    )
