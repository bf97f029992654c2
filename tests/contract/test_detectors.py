"""Every registered drift detector keeps the contract; a new one is tested without a new test."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from importlib.metadata import entry_points

import numpy as np
import pytest
from numpy.typing import NDArray

from benchkit.drift.detectors.clusters import ClusterPSI
from benchkit.drift.detectors.energy import EnergyDistance
from benchkit.plugins import list_plugins, open_detector
from benchkit.testing import ContractError, check_detector
from benchkit.types.drift import DetectorResult, DriftDetector

NAMES = sorted(point.name for point in entry_points(group="benchkit.detectors"))
Sample = NDArray[np.floating]


def test_all_methods_that_are_promised_are_registered_and_load() -> None:
    promised = {"mmd", "mmd-rff", "energy", "classifier", "ks", "frechet", "psi", "jsd", "sliced-wasserstein"}
    assert promised <= set(NAMES)
    assert [plugin.problem for plugin in list_plugins() if plugin.group == "benchkit.detectors"] == [""] * len(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_detector_keeps_the_contract(name: str) -> None:
    detector = open_detector(name)
    assert detector.name == name
    check_detector(detector)


def test_a_detector_whose_threshold_decides_keeps_it_too() -> None:
    check_detector(open_detector("psi", permutations=0))


@pytest.mark.parametrize("name", NAMES)
def test_rows_that_are_all_equal_are_no_alarm_and_give_no_warning(name: str) -> None:
    rows = np.full((30, 8), 0.1, dtype=np.float32)
    found = open_detector(name).compare(rows, rows[:20])
    assert (found.p_value, found.drifted) == (1.0, False)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("scale", [1e-20, 1e59])
def test_the_unit_of_the_vectors_decides_nothing(name: str, scale: float) -> None:
    rng = np.random.default_rng(7)
    reference, current = rng.normal(size=(2, 60, 3)).clip(-9, 9)
    # At 1 %: in another unit other relabellings and first centres are drawn, and each draw alarms at the stated rate.
    assert open_detector(name).compare(scale * reference, scale * (current + 3.0), alpha=0.01).drifted
    assert not open_detector(name).compare(scale * reference, scale * current, alpha=0.01).drifted


@pytest.mark.parametrize("name", NAMES)
def test_one_constant_against_another_is_an_alarm(name: str) -> None:
    assert open_detector(name).compare(np.zeros((40, 4)), np.ones((40, 4))).drifted


@pytest.mark.parametrize("name", NAMES)
def test_noise_of_a_thousandth_on_a_dead_dimension_is_no_alarm(name: str) -> None:
    rng = np.random.default_rng(6)
    reference, current = rng.normal(size=(2, 200, 16))
    reference[:, 3] = 0.0
    current[:, 3] = 0.001 * rng.normal(size=200)
    assert not open_detector(name).compare(reference, current).drifted


@pytest.mark.parametrize("name", NAMES)
def test_a_large_sample_is_cut_to_what_the_method_takes_and_says_so(name: str) -> None:
    rng = np.random.default_rng(6)
    found = open_detector(name, max_rows=60).compare(rng.normal(size=(200, 3)), rng.normal(size=(50, 3)) + 3)
    assert found.drifted
    assert (found.n_reference, found.n_current, found.used_reference, found.used_current) == (200, 50, 60, 50)


# ------------------------------------------------------------ what check_detector sees


@dataclass
class Spoilt:
    """An honest detector, broken in one way.

    Attributes:
        before: Applied to both samples and the seed before they are compared.
        after: Applied to the result, with the samples and alpha.
    """

    honest: DriftDetector
    before: Callable[[Sample, Sample, int], tuple[Sample, Sample, int]] = lambda a, b, seed: (a, b, seed)
    after: Callable[[DetectorResult, Sample, Sample, float], object] = lambda found, a, b, alpha: found
    name: str = "energy"
    paper: str = "none"
    has_p_value: bool = True

    def compare(self, reference: Sample, current: Sample, *, alpha: float = 0.05, seed: int = 0) -> DetectorResult:
        first, second, drawn = self.before(reference, current, seed)
        found = self.honest.compare(first, second, alpha=alpha, seed=drawn)
        return self.after(found, reference, current, alpha)  # type: ignore[return-value]


def spoilt(**how: object) -> Spoilt:
    return Spoilt(EnergyDistance(permutations=99), **how)  # type: ignore[arg-type]


def with_p(found: DetectorResult, p_value: float, alpha: float) -> DetectorResult:
    return replace(found, p_value=p_value, drifted=p_value <= alpha)


def shrunk(found: DetectorResult, a: Sample, b: Sample, alpha: float, *, by: float) -> DetectorResult:
    assert found.p_value is not None
    return with_p(found, min(1.0, found.p_value * by), alpha)


def written(a: Sample, b: Sample, seed: int) -> tuple[Sample, Sample, int]:
    b[0, 0] += 1.0
    return a, b, seed


def by_first_row(found: DetectorResult, a: Sample, b: Sample, alpha: float) -> DetectorResult:
    return replace(found, statistic=found.statistic + float(a[0, 0]))


def by_type(found: DetectorResult, a: Sample, b: Sample, alpha: float) -> DetectorResult:
    return replace(found, statistic=found.statistic * (1 + 0.01 * (a.dtype == np.float32)))


def without_broken(a: Sample, b: Sample, seed: int) -> tuple[Sample, Sample, int]:
    return np.nan_to_num(a, posinf=0.0), np.nan_to_num(b, posinf=0.0), seed


def cut_to_fit(a: Sample, b: Sample, seed: int) -> tuple[Sample, Sample, int]:
    width = min(a.shape[1], b.shape[1])
    return a[:, :width], b[:, :width], seed


def never_few(a: Sample, b: Sample, seed: int) -> tuple[Sample, Sample, int]:
    return (a, b, seed) if min(len(a), len(b)) > 1 else (np.zeros((9, 1)), np.zeros((9, 1)), seed)


def keyed(a: Sample, b: Sample, seed: int) -> tuple[Sample, Sample, int]:
    if a.shape[1] != b.shape[1]:
        raise KeyError("column 6")
    return a, b, seed


def curt(a: Sample, b: Sample, seed: int) -> tuple[Sample, Sample, int]:
    if a.shape[1] != b.shape[1]:
        raise ValueError("bad input")
    return a, b, seed


def fresh(a: Sample, b: Sample, seed: int) -> tuple[Sample, Sample, int]:
    return a, b, int(np.random.default_rng().integers(2**31))


BROKEN: dict[str, tuple[object, str]] = {
    "no detector": (object(), "object has no name, paper, has_p_value, compare"),
    "no paper": (spoilt(paper=""), "needs a name and the paper"),
    "no result": (spoilt(after=lambda found, a, b, alpha: found.p_value), "should return a DetectorResult, got float"),
    "other name": (spoilt(name="enrgy"), "the result's method is 'energy', the name 'enrgy'"),
    "rows": (
        spoilt(after=lambda found, a, b, alpha: replace(found, n_current=40)),
        "the result counts 40 and 40 rows, given were 40 and 45",
    ),
    "nan": (spoilt(after=lambda found, a, b, alpha: replace(found, statistic=float("nan"))), "the statistic is nan"),
    "no p": (spoilt(after=lambda found, a, b, alpha: replace(found, p_value=None)), "but the p-value is None"),
    "p of zero": (spoilt(after=lambda found, a, b, alpha: with_p(found, 0.0, alpha)), r"but the p-value is 0\.0"),
    "contradiction": (
        spoilt(after=lambda found, a, b, alpha: replace(found, drifted=not found.drifted)),
        r"drifted is \w+ with p = 0\.\d+ at alpha 0\.05",
    ),
    "p unpromised": (spoilt(has_p_value=False), "but has_p_value says that there is none"),
    "no threshold": (
        spoilt(has_p_value=False, after=lambda found, a, b, alpha: replace(found, p_value=None, threshold=None)),
        "needs the threshold that decides",
    ),
    "threshold": (
        spoilt(
            has_p_value=False,
            after=lambda found, a, b, alpha: replace(found, p_value=None, threshold=0.0, drifted=False),
        ),
        r"drifted is False with .* at threshold 0\.0",
    ),
    "writes": (spoilt(before=written), "compare writes to its input: current has changed"),
    "random": (spoilt(before=fresh), "the same rows and seed gave another result"),
    "order": (spoilt(after=by_first_row), "the order of rows changes the result"),
    "type": (spoilt(after=by_type), r"the type of numbers \(float32 or float64\) changes the result"),
    "dimensions": (spoilt(before=cut_to_fit), "other dimensions should be refused with a ValueError, but gave a"),
    "key error": (spoilt(before=keyed), "other dimensions should be a ValueError, got KeyError: 'column 6'"),
    "no clear word": (
        spoilt(before=curt),
        r"other dimensions: the refusal doesn't say so: 'bad input' \(wanted: 6, 12\)",
    ),
    "takes nan": (spoilt(before=without_broken), "nan in the reference rows should be refused"),
    "few rows": (spoilt(before=never_few), "0 reference rows should be refused"),
    "blind": (
        spoilt(after=lambda found, a, b, alpha: with_p(found, 0.5, alpha)),
        r"a shift of every row by 4 is no alarm: .* p-value 0\.5",
    ),
    "too loud": (
        spoilt(after=partial(shrunk, by=0.25)),
        r"\d+ of 200 pairs .* p <= 0\.05; a rate of 5% gives 0 to 2\d",
    ),
    "too quiet": (
        Spoilt(EnergyDistance(permutations=999), after=partial(shrunk, by=20.0)),
        r"[0-5] of 200 pairs .* p <= 0\.2; a rate of 20% gives \d to \d\d",
    ),
}


@pytest.mark.parametrize(("detector", "message"), BROKEN.values(), ids=BROKEN)
def test_a_broken_detector_is_told_what_it_breaks(detector: DriftDetector, message: str) -> None:
    with pytest.raises(ContractError, match=message):
        check_detector(detector)


def test_a_threshold_that_unchanged_samples_pass_is_told() -> None:
    with pytest.raises(ContractError, match="two halves of one sample are an alarm: statistic"):
        check_detector(ClusterPSI(permutations=0, threshold=1e-4))


def test_the_honest_detector_of_these_tests_passes() -> None:
    check_detector(spoilt())
