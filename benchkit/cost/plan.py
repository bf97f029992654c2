"""How much is measured at each level: counts, and a limit of time for each phase.

    "quick"  about 10 to 15 s for three models of MiniLM's size, beside the start of their processes
    "full"   about 60 to 90 s

Counts and times are of a whole session; each of its halves makes half of them (phases.py). A limit of time is per
process and is there for models that are slower than that; what it cuts is said in the report.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from benchkit.types.cost import CostLevel


@dataclass(frozen=True, slots=True)
class CostPlan:
    """What one session measures.

    Attributes:
        warm_up_calls: First calls of each process, which are dropped.
        rounds: Rounds of single queries; each holds one call of every process.
        most_rounds: Rounds are added up to this, as long as a ratio of two processes isn't known well enough.
        batch_sizes: Steps of the batch sweep.
        sweep_passes: Times that the sweep is gone through.
        sweep_texts: Documents of a step, at least: a smaller batch takes several calls for them, so that the small
            steps are all on the same documents and don't show the length of a single one.
        throughput_passes: Passes over the documents of each length class.
        class_texts, class_characters: Most texts and characters of a length class.
        remote_rounds, remote_passes: The same for an endpoint, where each call may cost money; it has no sweep.
        query_s, sweep_s, throughput_s, remote_s: Limit of each phase, in seconds for each process in it at a time.
    """

    level: CostLevel
    warm_up_calls: int
    rounds: int
    most_rounds: int
    batch_sizes: tuple[int, ...]
    sweep_passes: int
    sweep_texts: int
    throughput_passes: int
    class_texts: int
    class_characters: int
    remote_rounds: int
    remote_passes: int
    query_s: float
    sweep_s: float
    throughput_s: float
    remote_s: float

    @property
    def documents(self) -> int:
        """Different documents that are drawn: enough for three length classes and the largest batch."""
        return max(3 * self.class_texts, *self.batch_sizes)


PLANS: Mapping[CostLevel, CostPlan] = {
    "quick": CostPlan(
        level="quick",
        warm_up_calls=5,  # peers drop 1 (pyperf) to 10 (optimum-benchmark)
        rounds=64,  # 48 pairs of CPU time found +12 % in 70 of 70 sessions; some more for the percentiles
        most_rounds=192,
        batch_sizes=(1, 8, 32),
        sweep_passes=2,
        sweep_texts=16,
        throughput_passes=6,  # fewer say nothing of their spread
        class_texts=24,
        class_characters=8_000,
        remote_rounds=16,
        remote_passes=0,
        query_s=4.0,
        sweep_s=6.0,
        throughput_s=6.0,
        remote_s=15.0,
    ),
    "full": CostPlan(
        level="full",
        warm_up_calls=5,
        rounds=256,
        most_rounds=768,  # 384 pairs of wall time: an interval of ±1.4 % between equal models
        batch_sizes=(1, 2, 4, 8, 16, 32, 64, 128, 256),
        sweep_passes=2,
        sweep_texts=16,
        throughput_passes=6,
        class_texts=128,
        class_characters=16_000,
        remote_rounds=64,
        remote_passes=1,
        query_s=15.0,
        sweep_s=30.0,
        throughput_s=25.0,
        remote_s=60.0,
    ),
}
