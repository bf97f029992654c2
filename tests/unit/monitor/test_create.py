"""Making a baseline: which rows it is of, what it takes for chance, and what it refuses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from fakes import HashingEncoder
from monitored import DAY, DIMENSION, START, ListSource, cut, draw, live_model, times

from benchkit.errors import ModelError, SourceError, UsageError
from benchkit.monitor import canaries, create, row_sample
from benchkit.monitor.baseline import Baseline
from benchkit.monitor.canary_texts import CanaryTexts
from benchkit.monitor.check import Circumstances, ask_canaries, collect, judge_window
from benchkit.monitor.create import FEWEST_IN_SEGMENT, CreateRequest, create_baseline, past_windows
from benchkit.types.drift import ColumnNames, DriftPolicy, Rows

PLAIN = CreateRequest(name="prod")
ABOUT = Circumstances("logs")


def _made(rows: Rows | Sequence[Rows], request: CreateRequest = PLAIN, **options: object) -> Baseline:
    batches = [rows] if isinstance(rows, Rows) else rows
    return create_baseline(ListSource(batches), request, **options)  # type: ignore[arg-type]


def _texts(n: int) -> tuple[str, ...]:
    return tuple(f"text number {number}" for number in range(n))


# ------------------------------------------------------------ the sample


def _sampled(n: int, most: int, *, batch: int, seed: int) -> list[int]:
    sample = row_sample.RowSample(most, seed)
    vectors = np.arange(1.0, n + 1)[:, None].astype(np.float32)
    for part in cut(Rows(vectors, ids=tuple(map(str, range(n)))), batch):
        sample.add(part, "source")
    found = sample.rows()
    assert found.ids is not None
    assert np.array_equal(found.vectors[:, 0], [int(name) + 1 for name in found.ids])
    return [int(name) for name in found.ids]


def test_a_small_source_is_taken_whole() -> None:
    assert _sampled(90, 100, batch=7, seed=0) == list(range(90))


@pytest.mark.parametrize("batch", [1000, 64, 3])
def test_a_large_source_gives_as_many_rows_as_asked_whatever_the_batches(batch: int) -> None:
    found = _sampled(1000, 100, batch=batch, seed=4)
    assert found == _sampled(1000, 100, batch=1000, seed=4)
    assert len(set(found)) == 100
    assert found == sorted(found)
    assert found != _sampled(1000, 100, batch=batch, seed=5)


def test_every_part_of_a_source_is_as_likely_in_the_sample() -> None:
    tenths = np.zeros(10)
    for seed in range(60):
        tenths += np.bincount(np.array(_sampled(1000, 100, batch=80, seed=seed)) // 100, minlength=10)
    # 600 expected in each, standard deviation 22 (hypergeometric): six of them.
    assert np.abs(tenths - 600).max() < 132


def test_all_rows_are_counted_though_some_are_sampled() -> None:
    rows = Rows(draw(1, 1500), scores=np.linspace(0, 1, 1500), times=times(1500, 0.5))
    found = _made(cut(rows, 400), CreateRequest(name="prod", max_rows=300))
    assert (found.reference.rows, found.health.rows, found.info.rows) == (300, 1500, 1500)
    assert found.scores is not None
    assert found.scores.n == 1500
    assert found.rows_per_s == pytest.approx(1500 / (0.5 * 86_400), rel=1e-2)
    assert found.span_s == pytest.approx(0.5 * 86_400, rel=1e-2)
    assert np.array_equal(
        found.reference.baseline.linear,
        _made(cut(rows, 33), CreateRequest(name="prod", max_rows=300)).reference.baseline.linear,
    )


def test_broken_rows_are_counted_and_not_learnt_from() -> None:
    vectors = draw(1, 300)
    vectors[::50] = np.nan
    found = _made(Rows(vectors))
    assert (found.info.rows, found.reference.rows, found.health.nonfinite) == (300, 294, 6)


@pytest.mark.parametrize("most", [100, 20])
def test_a_column_that_some_files_lack_is_kept_for_the_rows_that_have_it(most: int) -> None:
    columns = {"ids": tuple("abcdefghij"), "texts": tuple("ABCDEFGHIJ"), "segments": ("s",) * 10, "roles": ("r",) * 10}
    full = Rows(draw(1, 10), times=times(10, 1.0), scores=np.arange(10.0), **columns)
    sample = row_sample.RowSample(most, 0)
    for part in (Rows(draw(2, 10)), full, Rows(draw(3, 10))):
        sample.add(part, "source")
    found = sample.rows()
    is_full = np.isin(found.vectors, full.vectors).all(axis=1)
    n = int(is_full.sum())
    assert (len(found), n) == (30, 10) if most == 100 else (len(found) == 20 and n > 2)
    assert found.times is not None
    assert found.scores is not None
    assert np.array_equal(~np.isnat(found.times), is_full)
    assert np.array_equal(~np.isnan(found.scores), is_full)
    assert (found.times[is_full] == full.times[np.isin(full.vectors, found.vectors).all(axis=1)]).all()
    for name, absent in (("ids", ""), ("texts", None), ("segments", None), ("roles", None)):
        column = getattr(found, name)
        assert [value is not absent and value != absent for value in column] == is_full.tolist()
    assert sample.untimed == 20


def test_a_column_that_no_file_has_stays_absent() -> None:
    sample = row_sample.RowSample(100, 0)
    for part in (Rows(draw(1, 10)), Rows(draw(2, 10))):
        sample.add(part, "source")
    found = sample.rows()
    assert (found.times, found.ids, found.texts, found.segments, found.roles, found.scores) == (None,) * 6
    assert sample.untimed == 0


# ------------------------------------------------------------ what it is of


def test_a_baseline_says_what_it_is_of() -> None:
    rows = Rows(draw(1, 200), model="minilm", fingerprint="f" * 64)
    info = _made(rows, CreateRequest(name="prod", columns=ColumnNames(vector="v"))).info
    assert (info.name, info.source, info.rows, info.dimension) == ("prod", "made-up", 200, DIMENSION)
    assert (info.model, info.fingerprint, info.n_canaries, info.n_windows) == ("minilm", "f" * 64, 0, 0)
    assert info.created.endswith("+00:00")


def test_a_model_that_is_named_is_the_baselines() -> None:
    encoder = HashingEncoder(dimension=DIMENSION)
    found = _made(Rows(draw(1, 200)), model=live_model(encoder, spec="my-model"))
    assert (found.info.model, found.model_spec) == ("my-model", "my-model")
    assert found.info.fingerprint == encoder.meta.fingerprint


def test_texts_alone_are_encoded() -> None:
    texts = _texts(150)
    found = _made(Rows(np.empty((150, 0), np.float32), texts=texts), model=live_model())
    assert (found.info.dimension, found.info.rows) == (DIMENSION, 150)
    with pytest.raises(SourceError, match="made-up: there are texts but no vectors"):
        _made(Rows(np.empty((150, 0), np.float32), texts=texts))


@pytest.mark.parametrize("wrong", [["1970-01-01"], ["2199-01-01"], ["1970-01-01", "2199-01-01"]])
def test_the_usual_volume_is_that_of_rows_whose_clock_is_right(wrong: list[str]) -> None:
    when = times(1500, 15.0)
    when[7 : 7 + len(wrong)] = np.array(wrong, "datetime64[us]")
    rows = Rows(draw(1, 1500), times=when)
    assert _made(cut(rows, 400)).rows_per_s == pytest.approx(100 / 86_400, rel=0.01)


def test_a_slow_start_is_part_of_the_usual_volume() -> None:
    when = np.concatenate([times(20, 10.0), times(980, 10.0, start=START + 10 * DAY)])
    assert _made(Rows(draw(1, 1000), times=when)).rows_per_s == pytest.approx(50 / 86_400, rel=0.01)


def test_zeros_and_nan_are_counted_and_in_no_sample() -> None:
    good = draw(1, 600)
    bad = np.zeros((300, DIMENSION), np.float32)
    bad[::3] = np.nan
    mixed = np.concatenate([good, bad])[np.random.default_rng(2).permutation(900)]
    found = _made(Rows(mixed, times=times(900, 20.0)))
    assert (found.health.rows, found.health.zero, found.health.nonfinite) == (900, 200, 100)
    assert (found.info.rows, found.reference.rows) == (900, 600)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([], "made-up: 0 rows, 0 of them without NaN, infinity or zero vectors; a baseline needs 100"),
        ([Rows(draw(1, 99))], "made-up: 99 rows, 99 of them"),
        ([Rows(np.zeros((500, 4), np.float32))], "made-up: 500 rows, 0 of them"),
        ([Rows(np.full((500, 4), np.nan, np.float32))], "made-up: 500 rows, 0 of them"),
        ([Rows(np.ones((500, 4), np.float32))], "made-up: all rows of the baseline are the same vector"),
        ([Rows(1e200 * draw(1, 500).astype(np.float64))], r"made-up: .* 1e\+15 is the largest that can be summed"),
        (
            [Rows(np.ones((500, 4), np.float32)), Rows(np.ones((5, 6), np.float32))],
            "made-up: its rows have 4 dimensions and 6; a baseline is of one model",
        ),
        (
            [Rows(draw(1, 90), model="a", fingerprint="1"), Rows(draw(1, 90), model="b", fingerprint="2")],
            r"made-up: its files are of two models \(a, b\); a baseline is of one",
        ),
        (
            [Rows(draw(1, 90), model="a"), Rows(draw(1, 90)), Rows(draw(1, 90), model="b", fingerprint="2")],
            r"made-up: its files are of two models \(a, b\); a baseline is of one",
        ),
    ],
    ids=["nothing", "few", "zeros", "NaN", "constant", "huge", "dimensions", "models", "names"],
)
def test_rows_that_make_no_baseline_are_refused(rows: list[Rows], message: str) -> None:
    with pytest.raises(SourceError, match=message):
        _made(rows)


def test_a_hundred_rows_are_enough() -> None:
    assert _made(Rows(draw(1, 100))).info.rows == 100


def test_few_scores_are_not_kept() -> None:
    scores = np.full(300, np.nan)
    scores[:99] = 0.5
    assert _made(Rows(draw(1, 300), scores=scores)).scores is None


def test_without_times_nobody_knows_the_volume() -> None:
    assert _made(Rows(draw(1, 200))).rows_per_s is _made(Rows(draw(1, 200))).span_s is None
    assert _made(Rows(draw(1, 200), times=np.repeat(START, 200))).rows_per_s is None


# ------------------------------------------------------------ history


@pytest.mark.parametrize(
    ("days", "n", "history", "seconds"),
    [
        (70, 400, "auto", 604_800),  # 5 rows a day
        (70, 2_800, "auto", 86_400),
        (20, 800, "auto", 86_400),
        (20, 20_000, "auto", 86_400),
        (20, 800, "1h", None),
        (20, 800, "1d", 86_400),
        (0.5, 600, "auto", 3_600),
        (0.5, 600, "1h", 3_600),
        (0.2, 600, "auto", None),
        (20, 200, "auto", None),
        (20, 800, "none", None),
    ],
)
def test_the_past_is_made_of_days_or_of_weeks_where_these_are_thin_or_of_hours_where_it_is_short(
    days: float, n: int, history: str, seconds: int | None
) -> None:
    when = times(n, days)
    if history == "1h" and seconds is None:
        with pytest.raises(UsageError, match=r"--history 1h: fewer than 8 windows of that length with 30 rows"):
            past_windows(when, history)
        return
    found = past_windows(when, history)
    if seconds is None:
        assert found is None
        return
    number = when.astype("datetime64[s]").astype(np.int64) // seconds
    assert found is not None
    assert np.array_equal(found.numbers, number)
    assert found.unit_s == seconds


def test_a_past_that_is_not_there_is_refused_where_it_was_asked_for() -> None:
    gaps = times(800, 20)
    gaps[7] = np.datetime64("NaT")
    for none in (None, gaps):
        assert past_windows(none, "auto") is None
        assert past_windows(none, "none") is None
        with pytest.raises(UsageError, match=r"--history 1d: rows of the source have no time; name its column"):
            past_windows(none, "1d")
    with pytest.raises(
        UsageError, match=r"--history 1w: fewer than 8 windows .*; take a shorter one or --history none"
    ):
        past_windows(times(800, 20), "1w")


def _weeks(seed: int, n_days: int = 28, *, weekend: float = 0.9) -> Rows:
    """Return days of 60 rows, the texts of Saturdays and Sundays being others."""
    days = np.arange(n_days)
    vectors = [draw(seed + day, 60, shift=weekend if day % 7 in (5, 6) else 0.0) for day in days.tolist()]
    when = np.concatenate([times(60, 1.0, start=START + day * DAY) for day in days])
    return Rows(np.concatenate(vectors), times=when)


def test_a_sunday_is_no_drift_where_the_past_has_sundays() -> None:
    knows = _made(_weeks(100), CreateRequest(name="prod", history="1d"))
    blind = _made(_weeks(100), CreateRequest(name="prod", history="none"))
    assert (knows.info.n_windows, blind.info.n_windows) == (28, 0)
    sundays = [Rows(draw(900 + n, 300, shift=0.9)) for n in range(4)]
    policy = DriftPolicy()
    about = Circumstances("logs")
    of_knowing = [judge_window(knows, collect(knows, [rows]), policy, about) for rows in sundays]
    of_blind = [judge_window(blind, collect(blind, [rows]), policy, about) for rows in sundays]
    assert not any(report.breaks_policy for report in of_knowing)
    assert all(report.breaks_policy for report in of_blind)
    # A change larger than any weekend is still one.
    other = judge_window(knows, collect(knows, [Rows(draw(5, 300, shift=6.0))]), policy, about)
    assert other.breaks_policy


def test_few_rows_without_a_time_are_left_out_and_many_make_rows_independent() -> None:
    rows = _weeks(100)
    assert rows.times is not None
    for gaps, n_windows, kept in ((100, 28, 1580), (400, 0, 1680)):
        when = rows.times.copy()
        when[np.random.default_rng(0).permutation(len(rows))[:gaps]] = np.datetime64("NaT")
        made = _made(replace(rows, times=when), CreateRequest(name="prod"))
        assert (made.info.n_windows, made.unit_s) == (n_windows, 86_400 if n_windows else 0)
        assert (made.info.rows, made.reference.rows) == (1680, kept)


@pytest.mark.parametrize(
    ("gaps", "history", "said"),
    [
        (0, "auto", []),
        (100, "none", []),
        (100, "auto", ["without a time: 100 of 1,680 rows (6.0%): they are left out of the distribution"]),
        (400, "auto", ["without a time: 400 of 1,680 rows (23.8%): more than one in ten, so all rows are taken as"]),
    ],
)
@pytest.mark.parametrize("lacks", ["a time", "the column"])
def test_rows_without_a_time_are_told_and_what_follows(gaps: int, history: str, said: list[str], lacks: str) -> None:
    rows = _weeks(100)
    assert rows.times is not None
    order = np.random.default_rng(0).permutation(len(rows))
    without, rest = rows.take(order[:gaps]), rows.take(np.sort(order[gaps:]))
    absent = None if lacks == "the column" else np.full(gaps, np.datetime64("NaT", "us"))
    told: list[str] = []
    made = _made(
        [replace(without, times=absent), rest], CreateRequest(name="prod", history=history), on_message=told.append
    )
    assert [sentence[: len(start)] for sentence, start in zip(told, said, strict=True)] == said
    assert made.info.n_windows == (28 if history == "auto" and gaps < 200 else 0)


def test_a_saturday_is_held_against_saturdays_and_a_mondays_texts_on_it_are_drift() -> None:
    made = _made(_weeks(100, 42, weekend=2.0), CreateRequest(name="prod"))
    on_saturday = times(60, 1.0, start=START + (7 * 60 + 5) * DAY)
    reports = {
        shift: [
            judge_window(
                made, collect(made, [Rows(draw(seed, 60, shift=shift), times=on_saturday)]), DriftPolicy(), ABOUT
            )
            for seed in range(12)
        ]
        for shift in (2.0, 0.0)
    }
    assert sum(report.breaks_policy for report in reports[2.0]) <= 2
    assert sum(report.breaks_policy for report in reports[0.0]) >= 11
    # Nor are the regions that Saturdays have told as grown.
    assert sum(bool(report.clusters) for report in reports[2.0]) <= 2
    note = "the baseline's weekdays differ: each is held against its own"
    assert all(note in report.notes for report in reports[2.0] + reports[0.0])


def test_an_hour_of_the_night_is_held_against_that_hour_and_is_drift_at_noon() -> None:
    hour = np.timedelta64(1, "h")
    night = {number: number % 24 < 6 for number in range(24 * 5)}
    rows = Rows(
        np.concatenate([draw(500 + number, 60, shift=2.0 if dark else 0.0) for number, dark in night.items()]),
        times=np.concatenate([times(60, 1 / 24, start=START + number * hour) for number in night]),
    )
    made = _made(rows, CreateRequest(name="prod"))
    assert (made.unit_s, made.info.n_windows) == (3_600, 120)

    def alarms(at: int, shift: float) -> float:
        when = times(60, 1 / 24, start=START + (24 * 30 + at) * hour)
        windows = [collect(made, [Rows(draw(seed, 60, shift=shift), times=when)]) for seed in range(20)]
        reports = [judge_window(made, window, DriftPolicy(), ABOUT) for window in windows]
        assert all("the hours of the baseline's days differ: each is held against its own" in r.notes for r in reports)
        return float(np.mean([report.breaks_policy for report in reports]))

    assert max(alarms(3, 2.0), alarms(12, 0.0)) <= 0.1
    assert min(alarms(12, 2.0), alarms(3, 0.0)) >= 0.9


def test_a_long_past_knows_sundays_too() -> None:
    # Ten weeks differ by nothing; their days do.
    made = _made(_weeks(300, 70), CreateRequest(name="prod"))
    assert made.info.n_windows == 70
    for n in range(4):
        sunday = collect(made, [Rows(draw(900 + n, 300, shift=0.9))])
        assert not judge_window(made, sunday, DriftPolicy(), Circumstances("logs")).breaks_policy


# ------------------------------------------------------------ canaries

CANARIES = CanaryTexts(("who", "what", "where"), (0,), {0: {2: 1}})


def test_canaries_of_a_file_are_embedded_in_their_roles() -> None:
    encoder = HashingEncoder(dimension=DIMENSION, prompts={"query": "q: ", "document": "d: "})
    found = _made(Rows(draw(1, 200)), replace(PLAIN, canary=CANARIES), model=live_model(encoder))
    canaries = found.canaries
    assert canaries is not None
    assert (canaries.texts, found.info.n_canaries) == (CANARIES.texts, 3)
    expected = HashingEncoder(dimension=DIMENSION).encode(["q: who", "d: what", "d: where"])
    assert np.array_equal(canaries.vectors, expected)
    assert canaries.judgements.tolist() == [[0, 2, 1]]


def test_canaries_of_the_source_are_some_of_its_texts_each_once() -> None:
    texts = tuple(None if n % 3 == 0 else "" if n % 3 == 1 else f"text {n % 100}" for n in range(900))
    request = replace(PLAIN, canary_of_source=True)
    model = live_model()
    found = _made(Rows(model.encode([text or "none" for text in texts]), texts=texts), request, model=model)
    assert found.canaries is not None
    chosen = found.canaries.texts
    assert set(chosen) <= {text for text in texts if text}
    assert 20 < len(chosen) == len(set(chosen)) <= canaries.CANARIES_OF_SOURCE
    assert found.canaries.is_query is None


PROMPTED = {"query": "what was asked for is ", "document": "written: "}


def _in_roles(roles: Sequence[str | None], encoder: HashingEncoder) -> Rows:
    texts = tuple(f"{['boiler', 'invoice', 'panel', 'plug'][n % 4]} {n * n}" for n in range(len(roles)))
    vectors = [
        encoder.encode([PROMPTED.get(role or "", "") + text])[0] for text, role in zip(texts, roles, strict=True)
    ]
    return Rows(np.array(vectors), texts=texts, roles=tuple(roles))


@pytest.mark.parametrize(
    ("roles", "is_search"),
    [
        (["query", "document", "document"] * 100, True),
        (["query", "document", None] * 100, False),
        (["query"] * 300, False),
        (["query"] * 280 + ["document"] * 20, False),
    ],
    ids=["both", "some without", "queries alone", "few documents"],
)
def test_canaries_of_the_source_are_embedded_in_the_roles_of_their_rows(
    roles: list[str | None], is_search: bool
) -> None:
    plain, prompted = HashingEncoder(dimension=DIMENSION), HashingEncoder(dimension=DIMENSION, prompts=PROMPTED)
    rows = _in_roles(roles, plain)
    found = _made(rows, replace(PLAIN, canary_of_source=True), model=live_model(prompted)).canaries
    assert found is not None
    assert found.roles is not None
    assert rows.texts is not None
    of_text = dict(zip(rows.texts, roles, strict=True))
    assert found.roles == tuple(of_text[text] for text in found.texts)
    stored = dict(zip(rows.texts, rows.vectors, strict=True))
    np.testing.assert_allclose(found.vectors, [stored[text] for text in found.texts], atol=1e-6)
    assert (found.is_query is not None) == is_search
    # A check embeds them the same way, so that an unchanged model is the same.
    baseline = _made(rows, replace(PLAIN, canary_of_source=True), model=live_model(prompted))
    assert ask_canaries(baseline, live_model(prompted)).worst_identity == pytest.approx(1)
    without = ask_canaries(baseline, live_model(plain)).identity
    assert without is not None
    assert without < 0.99


def test_a_text_of_both_roles_is_a_canary_in_each_and_other_words_are_no_role() -> None:
    encoder = HashingEncoder(dimension=DIMENSION)
    rows = _in_roles(["query", "document", "passage"] * 50, encoder)
    same = Rows(rows.vectors, texts=tuple(f"text {n // 3}" for n in range(150)), roles=rows.roles)
    wanted = canaries._chosen(same, np.zeros(150, int), 0)
    assert len(wanted) == 150
    assert [canaries._role(same, place) for place in wanted[:3]] == ["query", "document", None]


def test_a_model_that_gives_the_sources_texts_other_vectors_is_refused() -> None:
    request, rows = replace(PLAIN, canary_of_source=True), Rows(draw(1, 300), texts=_texts(300))
    with pytest.raises(UsageError, match=r"--model \w+ isn't the model of these vectors: .*mean cosine -?0\.\d\d"):
        _made(rows, request, model=live_model())


@pytest.mark.parametrize(
    ("request_", "texts", "message"),
    [
        (replace(PLAIN, canary=CANARIES), None, "--canary needs the model that production uses"),
        (replace(PLAIN, canary_of_source=True), _texts(200), "--canary needs the model that production uses"),
        (replace(PLAIN, canary_of_source=True), None, "--canary source: the source has no texts; give a file"),
        (replace(PLAIN, canary_of_source=True), ("",) * 200, "--canary source: the source has no texts"),
    ],
)
def test_canaries_that_can_not_be_made_are_refused(
    request_: CreateRequest, texts: tuple[str, ...] | None, message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        _made(Rows(draw(1, 200), texts=texts), request_)


def test_a_model_of_another_dimension_is_not_that_of_the_vectors() -> None:
    other = live_model(HashingEncoder(dimension=24), spec="big")
    with pytest.raises(UsageError, match="--model big gives 24 dimensions and the source has 10: it is not the model"):
        _made(Rows(draw(1, 200)), replace(PLAIN, canary=CANARIES), model=other)


@pytest.mark.parametrize(
    ("canary", "message"),
    [
        (CanaryTexts(("a", "b"), (0, 1)), "--canary: 2 of 2 canary texts are queries: a search needs queries and doc"),
        (CanaryTexts(("a", "b", "c"), (0, 1), {0: {1: 1}}), "--canary: the judgement of text 1 for text 0 is not of"),
    ],
)
def test_canaries_that_can_not_search_are_refused(canary: CanaryTexts, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        _made(Rows(draw(1, 200)), replace(PLAIN, canary=canary), model=live_model())


def test_a_model_that_fails_is_told_of() -> None:
    def fail(vectors: np.ndarray) -> np.ndarray:
        raise ModelError("the endpoint is down")

    broken = live_model(HashingEncoder(dimension=DIMENSION, spoil=fail))
    with pytest.raises(ModelError, match="the endpoint is down"):
        _made(Rows(draw(1, 200)), replace(PLAIN, canary=CANARIES), model=broken)


# ------------------------------------------------------------ texts and segments


def test_examples_are_kept_only_when_asked() -> None:
    rows = Rows(draw(1, 400), texts=tuple(f"{n % 350} " + "x" * 300 for n in range(400)))
    assert _made(rows).examples == {}
    examples = _made(rows, replace(PLAIN, keep_texts=True)).examples
    assert examples
    assert all(0 < len(texts) <= create.EXAMPLES_KEPT for texts in examples.values())
    assert all(len(set(texts)) == len(texts) for texts in examples.values())
    assert {len(text) for texts in examples.values() for text in texts} == {200}


def test_large_segments_get_a_reference_of_their_own() -> None:
    n = FEWEST_IN_SEGMENT
    segments = ("big",) * (n + 100) + ("enough",) * n + ("small",) * (n - 1) + (None,) * 10
    rows = Rows(draw(1, len(segments)), segments=segments)
    found = _made(rows, replace(PLAIN, segment_by="segment"))
    assert (list(found.segments), found.segment_by) == (["big", "enough"], "segment")
    assert [reference.rows for reference in found.segments.values()] == [n + 100, n]


def test_the_largest_segments_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(create, "FEWEST_IN_SEGMENT", 100)
    monkeypatch.setattr(create, "SEGMENTS_KEPT", 2)
    rows = Rows(draw(1, 450), roles=("a",) * 110 + ("query",) * 140 + ("document",) * 200)
    found = _made(rows, replace(PLAIN, segment_by="role"))
    assert list(found.segments) == ["document", "query"]


def test_a_segment_column_that_is_not_there_is_refused() -> None:
    with pytest.raises(UsageError, match=r"--segment-by role: the source has no such column; .* --role-column"):
        _made(Rows(draw(1, 200)), replace(PLAIN, segment_by="role"))


def test_a_segment_of_one_vector_has_no_reference_and_hinders_nothing() -> None:
    n = FEWEST_IN_SEGMENT
    vectors = np.concatenate([draw(1, n), np.repeat(draw(2, 1), n, axis=0)])
    rows = Rows(vectors, segments=("a",) * n + ("health check",) * n)
    found = _made(rows, replace(PLAIN, segment_by="segment"))
    assert list(found.segments) == ["a"]


def test_segments_know_the_past_where_they_have_enough_of_it() -> None:
    # "a" has rows every day, "b" on two days only: the null of "b" takes rows as independent.
    when = np.concatenate([times(900, 9.0), times(600, 2.0)])
    rows = Rows(draw(1, 1500), times=when, segments=("a",) * 900 + ("b",) * 600)
    found = _made(rows, replace(PLAIN, segment_by="segment", history="1d"))
    assert {name: reference.n_windows for name, reference in found.segments.items()} == {"a": 9, "b": 0}
