"""Kept draws are the draws that would be made, byte for byte, for the very same question only, or are not kept."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchkit import measure
from benchkit.measure.bootstrap import draw_scores
from benchkit.measure.weighted import weighted_scores
from benchkit.report.compare import Settings, compare_cells
from benchkit.runner import draw_cache
from benchkit.runner.draw_cache import DrawCache, draws_key
from benchkit.types.comparison import Comparison, Environment, SuiteInfo
from benchkit.types.model import ModelMeta
from benchkit.types.result import CellResult, ItemScores

N = 30
RNG = np.random.default_rng(3)
NAMES = np.array([f"ß{i}中" for i in range(N)])
GOLD = RNG.random(N)
LABEL = np.arange(N) % 3

MEAN = ItemScores("test", "en", "mean", "accuracy", NAMES, {"value": np.tile([0.0, 0.25, 1.0], N // 3)})
EXAMPLES = {
    "mean": (MEAN,),
    "correlation": (
        replace(MEAN, kind="correlation", metric="spearman", columns={"predicted": GOLD + RNG.random(N), "gold": GOLD}),
    ),
    "pair, drawn again where undefined": (
        replace(
            MEAN, kind="pair", metric="ap", columns={"label": 1 * (LABEL + GOLD > 2.8), "predicted": GOLD[:, None]}
        ),
    ),
    "clustering": (
        replace(
            MEAN,
            kind="clustering",
            metric="v_measure",
            columns={"label": LABEL[:, None], "cluster": np.roll(LABEL, 4)[:, None], "draws": np.ones((N, 1), int)},
        ),
    ),
    "strata and two subsets": (replace(MEAN, strata=LABEL), replace(MEAN, subset="de")),
}


@pytest.fixture(autouse=True)
def fresh_facts() -> Iterator[None]:
    """What decides is found once in a process; here it changes."""
    draw_cache._deciding.cache_clear()
    yield
    draw_cache._deciding.cache_clear()


def question(items: tuple[ItemScores, ...] = (MEAN,), **changes: object) -> dict[str, object]:
    once = [weighted_scores(entry, np.ones((1, entry.n_items))) for entry in items]
    asked = {"items": items, "stream": "t", "estimate": float(np.mean(once)), "n_resamples": 200, "seed": 7}
    return asked | changes


def drawn(asked: dict[str, object]) -> bytes:
    return draw_scores(**asked).values.tobytes()  # type: ignore[arg-type]


def the_file(cache: DrawCache) -> Path:
    (path,) = cache.folder.iterdir()
    return path


@pytest.mark.parametrize("items", EXAMPLES.values(), ids=EXAMPLES.keys())
def test_draws_are_the_same_bytes_without_a_cache_with_an_empty_one_and_with_a_full_one(
    items: tuple[ItemScores, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = question(items)
    expected = draw_scores(**asked)  # type: ignore[arg-type]
    empty = DrawCache(tmp_path)(**asked)  # type: ignore[arg-type]
    monkeypatch.setattr(draw_cache, "draw_scores", lambda *_, **__: pytest.fail("drawn again"))
    full = DrawCache(tmp_path)(**asked)  # type: ignore[arg-type]
    for found in (empty, full):
        assert (found.estimate, found.origin) == (expected.estimate, expected.origin)
        assert found.values.tobytes() == expected.values.tobytes()
        assert (found.values.dtype, found.values.flags.writeable) == (np.float64, True)


VALUES = MEAN.columns["value"]
OTHER_QUESTIONS = {
    "value of an item": question((replace(MEAN, columns={"value": np.r_[VALUES[:-1], 0.5]}),)),
    "order of the items": question((replace(MEAN, columns={"value": VALUES[::-1]}),)),
    "name of an item": question((replace(MEAN, items=np.r_[NAMES[:-1], ["x"]]),)),
    "type of a column": question((replace(MEAN, columns={"value": VALUES.astype(np.float32)}),)),
    "one more column": question((replace(MEAN, columns={"value": VALUES, "counted": np.ones(N)}),)),
    "metric": question((replace(MEAN, metric="ndcg_at_10"),)),
    "split": question((replace(MEAN, split="dev"),)),
    "subset": question((replace(MEAN, subset="de"),)),
    "strata": question((replace(MEAN, strata=LABEL),)),
    "other strata": question((replace(MEAN, strata=LABEL // 2),)),
    "one more subset": question((MEAN, replace(MEAN, subset="de"))),
    "stream": question(stream="u"),
    "estimate": question(estimate=question()["estimate"] + 1e-9),  # type: ignore[operator]
    "number of resamples": question(n_resamples=201),
    "seed": question(seed=8),
}


@pytest.mark.parametrize("other", OTHER_QUESTIONS.values(), ids=OTHER_QUESTIONS.keys())
def test_another_question_is_drawn_for_itself(other: dict[str, object], tmp_path: Path) -> None:
    cache = DrawCache(tmp_path)
    cache(**question())  # type: ignore[arg-type]
    assert cache(**other).values.tobytes() == drawn(other)  # type: ignore[arg-type]
    assert len(list(cache.folder.iterdir())) == 2


def test_every_question_has_a_key_of_its_own_and_the_same_one_has_it_again() -> None:
    keys = [draws_key(**asked) for asked in (question(), *OTHER_QUESTIONS.values())]  # type: ignore[arg-type]
    assert len(set(keys)) == len(OTHER_QUESTIONS) + 1
    copied = replace(MEAN, items=NAMES.copy(), columns={"value": np.repeat(VALUES, 2)[::2]})  # not contiguous
    assert draws_key(**question((copied,))) == keys[0]  # type: ignore[arg-type]


def test_the_same_bytes_in_another_shape_type_or_column_are_another_question() -> None:
    flat = np.arange(60.0)
    pair = replace(MEAN, kind="pair", metric="ap", columns={"label": LABEL, "predicted": flat.reshape(30, 2)})
    others = [
        {"label": LABEL, "predicted": flat.reshape(15, 4)},
        {"label": LABEL, "predicted": flat.reshape(30, 2).view(np.int64)},
        {"predicted": LABEL, "label": flat.reshape(30, 2)},
    ]
    plain = {"stream": "t", "estimate": 0.5, "n_resamples": 9, "seed": 7}
    keys = {draws_key([replace(pair, columns=columns)], **plain) for columns in (pair.columns, *others)}  # type: ignore[arg-type]
    assert len(keys) == 4


def test_other_versions_of_benchkit_or_the_libraries_draw_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    keys = {draws_key(**question())}  # type: ignore[arg-type]
    for name, change in (
        ("version", lambda _: "next"),
        ("library_versions", lambda: {"numpy": "next"}),
        ("FORMAT", -1),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(draw_cache, name, change)
            draw_cache._deciding.cache_clear()
            keys.add(draws_key(**question()))  # type: ignore[arg-type]
    assert len(keys) == 4


def test_a_formula_that_was_mended_draws_anew_although_the_version_stands_still(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = draws_key(**question())  # type: ignore[arg-type]
    copy = tmp_path / "measure"
    shutil.copytree(measure.__path__[0], copy)
    monkeypatch.setattr(measure, "__path__", [str(copy)])
    draw_cache._deciding.cache_clear()
    assert draws_key(**question()) == before  # type: ignore[arg-type]
    source = copy / "weighted_rank.py"
    source.write_text(source.read_text(encoding="utf-8") + "#", encoding="utf-8")
    draw_cache._deciding.cache_clear()
    assert draws_key(**question()) != before  # type: ignore[arg-type]


# Files that are not what was written


def test_no_flipped_bit_is_ever_used(tmp_path: Path) -> None:
    asked = question(n_resamples=12)
    cache = DrawCache(tmp_path)
    cache(**asked)  # type: ignore[arg-type]
    path, expected = the_file(cache), drawn(asked)
    content = path.read_bytes()
    assert len(content) == 16 + 8 * (1 + 12)
    for place in range(len(content)):
        path.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
        assert cache._find(path.stem, 12) is None, place
    assert cache(**asked).values.tobytes() == expected  # type: ignore[arg-type]
    assert path.read_bytes() == content, "the damaged file was written anew"


@pytest.mark.parametrize("content", [b"", b"hello", b"cut", b"long", b"other"])
def test_a_file_that_is_cut_or_foreign_is_drawn_again(content: bytes, tmp_path: Path) -> None:
    asked, cache = question(), DrawCache(tmp_path)
    cache(**asked)  # type: ignore[arg-type]
    path = the_file(cache)
    whole = path.read_bytes()
    cache(**question(seed=8))  # type: ignore[arg-type]
    (other,) = set(cache.folder.iterdir()) - {path}
    path.write_bytes(
        {b"cut": whole[:-8], b"long": whole + bytes(8), b"other": other.read_bytes()}.get(content, content)
    )
    assert cache(**asked).values.tobytes() == drawn(asked)  # type: ignore[arg-type]
    assert path.read_bytes() == whole


def test_a_folder_that_cant_be_written_costs_time_only(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    asked = question()
    assert DrawCache(tmp_path / "file")(**asked).values.tobytes() == drawn(asked)  # type: ignore[arg-type]


def test_names_that_are_objects_are_never_kept(tmp_path: Path) -> None:
    asked = question((replace(MEAN, items=NAMES.astype(object)),))
    cache = DrawCache(tmp_path)
    assert cache(**asked).values.tobytes() == drawn(asked)  # type: ignore[arg-type]
    assert not cache.folder.exists()


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (question(n_resamples=0), "t: needs one or more resamples, got 0"),
        (question(estimate=float("nan")), "the task reported nan"),
        (question(estimate=0.9), r"the items give a score of 0\.416667, the task reported 0\.900000"),
    ],
    ids=["no resamples", "nan", "other estimate"],
)
def test_what_cant_be_drawn_is_refused_as_without_a_cache(
    asked: dict[str, object], message: str, tmp_path: Path
) -> None:
    cache = DrawCache(tmp_path)
    for _ in range(2):
        with pytest.raises(ValueError, match=message):
            cache(**asked)  # type: ignore[arg-type]
    assert not cache.folder.exists()


# Room

SIZE = 16 + 8 * (1 + 200)


def ask(cache: DrawCache, seed: int, *, used: int | None = None) -> None:
    """Ask for the draws of a seed; their file then looks as if it was used at this second."""
    cache(**question(seed=seed))  # type: ignore[arg-type]
    if used is not None:
        os.utime(file_of(cache, seed), (used, used))


def file_of(cache: DrawCache, seed: int) -> Path:
    return cache.folder / f"{draws_key(**question(seed=seed))}.draws"  # type: ignore[arg-type]


def kept(cache: DrawCache) -> list[int]:
    return [seed for seed in range(9) if file_of(cache, seed).exists()]


def test_the_draws_not_used_for_longest_make_room_and_reading_is_use(tmp_path: Path) -> None:
    cache = DrawCache(tmp_path, max_bytes=3 * SIZE)
    for seed in (1, 2, 3):
        ask(cache, seed, used=1000 + seed)
    ask(cache, 1)  # used just now
    ask(cache, 4, used=1004)
    assert kept(cache) == [1, 3, 4]
    ask(DrawCache(tmp_path, max_bytes=3 * SIZE), 5)  # another process
    assert kept(cache) == [1, 4, 5]


def test_what_a_killed_process_left_goes_with_the_rest(tmp_path: Path) -> None:
    cache = DrawCache(tmp_path, max_bytes=2 * SIZE)
    ask(cache, 1, used=2000)
    partial = cache.folder / "tmp.part"
    partial.write_bytes(bytes(SIZE))
    os.utime(partial, (1000, 1000))
    ask(DrawCache(tmp_path, max_bytes=2 * SIZE), 2)
    assert (kept(cache), partial.exists()) == ([1, 2], False)


def test_draws_larger_than_the_limit_push_nothing_out(tmp_path: Path) -> None:
    cache = DrawCache(tmp_path, max_bytes=SIZE)
    ask(cache, 1)
    cache(**question(n_resamples=300))  # type: ignore[arg-type]
    assert kept(cache) == [1]


def test_threads_that_draw_at_once_stay_within_the_limit(tmp_path: Path) -> None:
    cache = DrawCache(tmp_path, max_bytes=3 * SIZE)
    asked = [question(seed=seed) for seed in range(40)]
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda one: cache(**one).values.tobytes(), asked))  # type: ignore[arg-type]
    assert found == [drawn(one) for one in asked]
    assert len(list(cache.folder.iterdir())) == 3


def test_shrinking_by_hand_says_what_it_freed(tmp_path: Path) -> None:
    cache = DrawCache(tmp_path)
    assert cache.shrink(0) == 0
    for seed in (1, 2, 3):
        ask(cache, seed, used=1000 - seed)
    assert (cache.shrink(2 * SIZE), kept(cache)) == (SIZE, [1, 2])
    assert (cache.shrink(0), kept(cache)) == (2 * SIZE, [])


# Within a comparison


def compared(**options: object) -> Comparison:
    cells = [
        CellResult(name, "t", "Retrieval", "ok", "ndcg_at_10", float(values.mean()), items=(items,), n_items=N)
        for name, values in (("a", VALUES), ("b", np.roll(VALUES, 1) * 0.9))
        for items in (replace(MEAN, columns={"value": values}),)
    ]
    return compare_cells(
        cells,
        [ModelMeta(name, f"id:{name}", "1", f"fp-{name}", 8) for name in "ab"],
        suite=SuiteInfo("s", "d"),
        environment=Environment({}),
        settings=Settings(baseline=None, margin=0.01, n_resamples=500, seed=1),
        started="2026-11-21T00:00:00+00:00",
        seconds=1.0,
        **options,  # type: ignore[arg-type]
    )


def test_a_comparison_says_the_same_with_kept_draws_to_the_last_digit(tmp_path: Path) -> None:
    plain = compared()
    for _ in range(2):
        known = compared(draw=DrawCache(tmp_path))
        assert (known.pairs, known.summary, known.warnings) == (plain.pairs, plain.summary, plain.warnings)
        assert [cell.interval for cell in known.cells] == [cell.interval for cell in plain.cells]
    assert len(list((tmp_path / "draws").iterdir())) == 2
