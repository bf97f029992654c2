"""Streams with a few rows unlike all others: no baseline has enough of them to know the next one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from benchkit.drift.judge import judge
from benchkit.drift.reference import fit
from benchkit.drift.sketch import sketch
from benchkit.drift.statistics import STATISTICS


def test_rare_rows_of_another_model_are_no_alarm():
    """One row in 100 is 30 times as long as others, each in a direction of its own. Not drawn in: .23 of 60 seeds."""
    alarms = []
    for seed in range(40):
        rng = np.random.default_rng(seed)
        rows = rng.normal(size=(500 + 8 * 500, 64)) * np.where(rng.random(4500) < 0.01, 30.0, 1.0)[:, None]
        reference = fit(rows[:500], seed=seed)
        alarms += [
            judge(reference, sketch(reference, part)).statistics[1].p_value for part in rows[500:].reshape(8, 500, 64)
        ]
    assert np.mean(np.array(alarms) <= 0.05) < 0.14


def test_a_cluster_without_rows_of_the_baseline_may_have_one_by_chance():
    """150 isotropic rows have two clusters, and next to no other row is near one of them: five in 1,000 are no news."""
    for seed in range(200):
        rng = np.random.default_rng(seed)
        reference = fit(rng.normal(size=(150, 384)), seed=seed)
        counts = reference.baseline.clusters
        if counts.min() == 0:
            break
    assert counts.min() == 0
    size = STATISTICS.index("cluster-max")
    window = replace(reference.baseline, rows=1000, clusters=np.where(counts == 0, 5, 995))
    assert judge(reference, window).statistics[size].p_value > 0.05
    window = replace(window, clusters=np.where(counts == 0, 400, 600))
    assert judge(reference, window).statistics[size].p_value < 0.001
