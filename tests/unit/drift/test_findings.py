"""What counts as a finding about rows, and what must not."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import poisson

from benchkit.drift.findings import findings, is_silence_news
from benchkit.drift.health import Health, measure_health
from benchkit.drift.precision import rounded
from benchkit.types.drift import DriftPolicy, HealthFinding

POLICY = DriftPolicy()


def unit_rows(n: int, *, seed: int = 0, d: int = 16) -> np.ndarray:
    rows = np.random.default_rng(seed).standard_normal((n, d)).astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


BASELINE = measure_health(unit_rows(5000, seed=99))


def found(rows: np.ndarray, *, baseline: Health = BASELINE, **options) -> tuple[HealthFinding, ...]:
    return findings(measure_health(rows), baseline, policy=options.pop("policy", POLICY), **options)


def only(rows: np.ndarray, **options) -> HealthFinding:
    (finding,) = found(rows, **options)
    return finding


@pytest.mark.parametrize("n", [1, 3, 30, 500, 5000, 20_000])
def test_a_window_like_the_baseline_has_no_finding(n):
    assert found(unit_rows(n), dead=(2.3e-8, 2.27e-8), usual_rows=n) == ()


# broken rows


@pytest.mark.parametrize(("value", "name"), [(np.nan, "nonfinite"), (np.inf, "nonfinite"), (0.0, "zero")])
def test_one_broken_row_breaks_the_default_policy(value, name):
    rows = unit_rows(400)
    rows[7] = value

    finding = only(rows)

    assert (finding.name, finding.severity, finding.kind) == (name, "critical", "pipeline")
    assert (finding.found, finding.expected) == (1 / 400, 0.0)
    assert finding.sentence.startswith("1 of 400 rows ")
    assert found(rows, policy=DriftPolicy(max_bad_share=1 / 400)) == ()


# lengths


def test_rows_that_lost_their_unit_length_are_found():
    finding = only(unit_rows(500) * np.random.default_rng(0).normal(4.7, 1.06, (500, 1)).clip(1.5).astype(np.float32))
    assert (finding.name, finding.severity, finding.kind) == ("norm", "critical", "pipeline")
    assert finding.found == pytest.approx(4.7, abs=0.2)
    assert finding.expected == pytest.approx(1, abs=1e-6)
    assert "500 of 500 rows are not of unit length (mean 4." in finding.sentence
    assert "of the baseline 0 % were not" in finding.sentence


def test_a_few_rows_without_unit_length_are_found_when_they_can_t_be_chance():
    rows = unit_rows(2000)
    rows[:3] *= 2
    assert found(rows) == ()  # 3 of 2000 against 0 of 5000: 1 in 40
    rows[:15] *= 2
    assert (only(rows).name, only(rows).severity) == ("norm", "warn")


def test_rows_of_unit_length_are_found_where_the_baseline_s_were_not():
    finding = only(unit_rows(500), baseline=measure_health(unit_rows(5000) * 4))
    assert (finding.name, finding.kind, finding.expected) == ("norm", "pipeline", pytest.approx(4))
    assert finding.sentence == "The window's rows have unit length; the baseline's mean length was 4."


def test_another_scale_is_found_and_another_text_is_not():
    spread = np.repeat(np.array([3.5, 4.5], np.float32), 2500)[:, None]
    baseline = measure_health(unit_rows(5000) * spread)
    assert found(unit_rows(500) * 5.4, baseline=baseline) == ()
    finding = only(unit_rows(500) * 47, baseline=baseline)
    assert finding.sentence == "The window's rows have a mean length of 47; the baseline's was 4 ± 0.5."


@pytest.mark.parametrize("cut", [np.float16, "bfloat16"])
def test_half_precision_keeps_unit_length(cut):
    rows = unit_rows(1000, d=384)
    half = (rows.view(np.uint32) & np.uint32(0xFFFF0000)).view(np.float32) if cut == "bfloat16" else rows.astype(cut)
    names = [finding.name for finding in found(half, baseline=measure_health(unit_rows(5000, d=384)))]
    assert names == (["precision"] if cut == "bfloat16" else ["dtype"])


# how they are stored


def test_another_storage_type_is_told():
    finding = only(unit_rows(500).astype(np.float16))
    assert (finding.name, finding.severity, finding.kind, finding.found) == ("dtype", "info", "numeric", 1.0)
    assert finding.sentence == "500 of 500 rows are stored as float16; the baseline's were float32."


def test_eight_bits_are_a_warning_and_no_finding_about_length():
    finding = only((unit_rows(500) * 127).astype(np.int8))
    assert (finding.name, finding.severity) == ("dtype", "warn")


# repeated rows


def test_one_vector_everywhere_is_critical():
    finding = only(np.repeat(unit_rows(1), 30, axis=0))
    assert (finding.name, finding.severity) == ("constant", "critical")
    assert finding.sentence == "All 30 rows are one and the same vector; the baseline has 5,000 different ones."
    assert found(np.repeat(unit_rows(1), 2, axis=0)) == ()


@pytest.mark.parametrize("n", [500, 20_000])
@pytest.mark.parametrize(("share", "severity"), [(0.04, None), (0.08, "warn"), (0.6, "critical")])
def test_a_flood_of_one_vector_is_found(n, share, severity):
    rows = unit_rows(n)
    rows[: int(n * share)] = rows[0]
    if severity is None:
        assert found(rows) == ()
    else:
        finding = only(rows)
        assert (finding.name, finding.severity, finding.kind) == ("duplicates", severity, "pipeline")
        assert finding.found == pytest.approx(share, abs=0.02)
        # Beyond 255 different rows it is estimated.
        assert ("One vector fills about" in finding.sentence) == (n * (1 - share) > 256)


def test_a_vector_that_was_as_common_before_is_no_flood():
    rows = unit_rows(1000)
    rows[:120] = rows[0]
    before = unit_rows(1000, seed=1)
    before[:60] = before[0]
    assert found(rows, baseline=measure_health(before)) == ()


def test_rows_sent_twice_are_found_where_many_of_a_large_baseline_repeat():
    """The baseline has 10 of each row, but 300 of its 30,000 rows hardly repeat any."""
    baseline = measure_health(np.repeat(unit_rows(3000), 10, axis=0))
    finding = only(np.repeat(unit_rows(150, seed=4), 2, axis=0), baseline=baseline)
    assert finding.found == pytest.approx(0.5)
    # 3000 equally common rows: 1 - 3000 * (1 - (2999 / 3000)^300) / 300
    assert finding.expected == pytest.approx(0.048, abs=0.005)


def test_rows_that_are_sent_twice_are_found():
    finding = only(np.repeat(unit_rows(1000), 2, axis=0))
    assert (finding.name, finding.found, finding.expected) == ("duplicates", 0.5, pytest.approx(0, abs=1e-9))
    assert finding.sentence == "50 % of 2,000 rows repeat another one; of as many rows of the baseline 0 % do."


@pytest.mark.parametrize(("n_window", "n_baseline"), [(300, 30_000), (3000, 3000), (30_000, 1000)])
def test_repeated_queries_are_normal_at_any_size(n_window, n_baseline):
    """Two thirds of 30,000 such queries repeat another one, and few of 300."""
    rng, texts = np.random.default_rng(2), unit_rows(40_000, d=4)
    popularity = 1 / np.arange(100, 40_100)
    queries = [rng.choice(40_000, n, p=popularity / popularity.sum()) for n in (n_window, n_baseline)]
    assert found(texts[queries[0]], baseline=measure_health(texts[queries[1]])) == ()


# dead directions


@pytest.mark.parametrize(
    ("value", "kind"),
    [(2.3e-8, None), (1.9e-6, None), (1e-4, "numeric"), (8.9e-3, "numeric"), (0.05, "model"), (0.0, "numeric")],
)
def test_dead_directions_tell_arithmetic_from_another_space(value, kind):
    baseline = measure_health(unit_rows(2000, d=384))
    results = findings(measure_health(unit_rows(500, d=384)), baseline, policy=POLICY, dead=(value, 2.27e-8))
    if kind is None:
        assert results == ()
    else:
        (finding,) = results
        assert (finding.name, finding.kind, finding.severity) == ("dead_directions", kind, "warn")
        assert (finding.found, finding.expected) == (value, 2.27e-8)
        assert "2.3e-08" in finding.sentence


def test_rounding_of_half_precision_is_no_other_arithmetic():
    """Directions that are no axes collect the rounding of all coordinates."""
    names = [each.name for each in found(unit_rows(500).astype(np.float16), dead=(1e-4, 1e-8))]
    assert names == ["dtype"]


# volume


def test_a_window_far_below_the_usual_volume_is_told():
    finding = only(unit_rows(19), usual_rows=100)
    assert (finding.name, finding.severity, finding.found, finding.expected) == ("volume", "warn", 19, 100)
    assert finding.sentence == "The window has 19 rows; such a window usually has about 100."
    assert found(unit_rows(20), usual_rows=100) == ()


@pytest.mark.parametrize("usual", [None, 10.0])
def test_an_empty_window_is_told_and_nothing_else_is(usual):
    finding = only(np.zeros((0, 16), np.float32), usual_rows=usual, dead=(0.0, 1e-8))
    assert (finding.name, finding.severity) == ("volume", "warn")


@pytest.mark.parametrize(("usual", "rows"), [(0.07, 0), (5.0, 0), (9.0, 0), (12.0, 2)])
def test_few_rows_where_few_are_usual_are_chance(usual, rows):
    assert poisson.cdf(rows, usual) > 1e-4
    assert found(unit_rows(rows), usual_rows=usual) == ()


def test_silence_is_news_where_it_is_chance_once_in_ten_thousand_windows():
    assert [is_silence_news(usual) for usual in (-1.0, 0.0, 9.2, 9.3, 1e6)] == [False, False, False, True, True]
    assert poisson.pmf(0, 9.2) > 1e-4 > poisson.pmf(0, 9.3)


def test_an_empty_baseline_breaks_nothing():
    assert found(unit_rows(500), baseline=Health.empty(16)) == ()


def test_the_worst_comes_first():
    rows = np.repeat(unit_rows(500), 2, axis=0).astype(np.float16)
    rows[0] = np.nan
    assert [finding.severity for finding in found(rows)] == ["critical", "warn", "info"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"baseline": Health.empty(3)}, "dimensions differ: window 16, baseline 3; was the model replaced"),
        ({"dead": (math.nan, 1.0)}, "finite and not negative, got nan"),
        ({"dead": (0.1, -1.0)}, "finite and not negative, got -1"),
        ({"usual_rows": math.inf}, "finite and not negative, got inf"),
    ],
)
def test_what_can_t_be_compared_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        found(unit_rows(5), **options)


# precision


def cut(rows: np.ndarray, bits: int) -> np.ndarray:
    return rows.astype(np.float16).astype(np.float32) if bits == 11 else rounded(rows, 8)


@pytest.mark.parametrize(("bits", "words"), [(8, "bfloat16's 8 bits"), (11, "float16's 11 bits")])
@pytest.mark.parametrize("n", [120, 20_000])
def test_vectors_that_were_rounded_on_their_way_are_told(bits, words, n):
    finding = only(cut(unit_rows(n), bits))
    assert (finding.name, finding.severity, finding.kind) == ("precision", "info", "numeric")
    assert (finding.found, finding.expected) == (1.0, pytest.approx(0, abs=0.001))
    assert finding.sentence.startswith(f"The vectors hold {words} of precision (all of ")
    assert finding.sentence.endswith(", the baseline's 24.")


def test_a_part_of_a_fleet_that_rounds_is_told():
    rows = unit_rows(2000)
    rows[::4] = cut(rows[::4], 8)
    assert "in part hold bfloat16's 8 bits of precision (2" in only(rows).sentence
    assert found(rows[:400]) == ()  # too few values to tell a part from chance


def test_what_the_baseline_held_already_is_no_finding():
    for bits in (8, 11):
        baseline = measure_health(cut(unit_rows(5000, seed=3), bits))
        assert found(cut(unit_rows(800), bits), baseline=baseline) == ()
        assert found(unit_rows(800), baseline=baseline) == ()  # more bits than before are no loss
    half = measure_health(cut(unit_rows(5000, seed=3), 11))
    assert only(cut(unit_rows(800), 8), baseline=half).sentence.endswith("the baseline's 11.")
    stored = measure_health(unit_rows(5000, seed=3).astype(np.float16))
    assert found(unit_rows(800).astype(np.float16), baseline=stored) == ()


@pytest.mark.parametrize("make", ["one-hot", "binary", "counts"])
def test_whole_numbers_hold_few_bits_by_nature(make):
    def rows(n, seed):
        rng = np.random.default_rng(seed)
        if make == "one-hot":
            return np.eye(16, dtype=np.float32)[rng.integers(0, 16, n)]
        return rng.integers(0, 2 if make == "binary" else 120, (n, 16)).astype(np.float32)

    names = {finding.name for finding in found(rows(3000, 1), baseline=measure_health(rows(9000, 2)))}
    assert "precision" not in names


@pytest.mark.parametrize("bits", [8, 11])
def test_a_short_window_and_a_mixed_baseline_raise_nothing_by_chance(bits):
    mixed = unit_rows(5000, seed=3)
    mixed[::2] = cut(mixed[::2], bits)
    for rows in (10, 60, 500):
        assert found(cut(unit_rows(rows, seed=rows), bits)[:rows], baseline=measure_health(mixed)) == ()
    assert found(cut(unit_rows(20), bits)) == ()


def test_another_type_is_told_once():
    assert [finding.name for finding in found(unit_rows(2000).astype(np.float16))] == ["dtype"]
