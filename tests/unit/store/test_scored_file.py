"""A baseline file comes back bit by bit, is small and made for diffs; anything else is refused with its place."""

from __future__ import annotations

import base64
import json
import math
import os
import subprocess
import sys
import zlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from comparisons import ENVIRONMENT, costed, model, small
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from jsonschema import Draft202012Validator
from numpy.typing import NDArray

from benchkit.embeddings.fingerprint import digest_json
from benchkit.errors import BenchkitError, NotComparable, UsageError
from benchkit.report.json_form import render_json
from benchkit.store import packed, scored_file
from benchkit.store.scored_file import read_scored, write_scored
from benchkit.store.scored_form import scored_json_schema
from benchkit.store.scored_text import render_scored
from benchkit.types.comparison import SuiteInfo
from benchkit.types.cost import CostSamples, ProcessFacts, Sample
from benchkit.types.gate import ProbeFacts, Scored
from benchkit.types.result import CellResult, ItemKind, ItemScores

ROOT = Path(__file__).parents[3]
N = 4
NAMES = np.array(["q1", "q2", "查询", "q4"])
HOSTILE = "x\x1b[2J\n::error::\u202e</script>\"'|\x00\x7f"
COLUMNS: dict[ItemKind, dict[str, NDArray[Any]]] = {
    "mean": {"value": np.array([0.1, 1.0, np.nan, -0.0])},
    "correlation": {"predicted": np.array([0.1, 0.2, 0.3, 0.4], np.float32), "gold": np.array([5.0, 1.0, 2.0, 3.0])},
    "pair": {"label": np.array([0, 1, 1, 0], np.int8), "predicted": np.arange(8.0).reshape(4, 2)},
    "classification": {"label": np.array([3, 1, 2, 1]), "predicted": np.arange(12).reshape(4, 3)},
    "multilabel": {"label": np.eye(4, dtype=bool), "predicted": np.ones((4, 8), np.uint8)},
    "clustering": {
        "label": np.array([[0, -1]] * 4, np.int32),
        "cluster": np.arange(16, dtype=np.int16).reshape(4, 4),
        "draws": np.ones((4, 4), np.int64),
    },
    "bitext": {"gold": np.arange(4), "predicted": np.array([0, 2, 1, 3])},
    "regression": {"gold": np.array([1.0, 2.0, 2.0, 4.0]), "predicted": np.arange(8.0).reshape(4, 2)},
}
QUERY = Sample("m", 1, "query", 3, 7, 1, 12, 12, 0.00831, 0.0081)
BATCH = Sample("m", 0, "batch", 0, 0, 256, None, None, 1.25, 2.5, length_class="long", energy_j=12.5)
FACTS = ProcessFacts("m", 0, 4.2, 0.3, first_call_s=0.06, peak_mib=617.25, threads=2, engine="packed")
SAMPLES = CostSamples(("m",), (QUERY, BATCH), (FACTS,), {"other": "it crashed:\nout of memory"})


def part(
    kind: ItemKind = "mean",
    *,
    columns: dict[str, NDArray[Any]] | None = None,
    names: NDArray[np.str_] = NAMES,
    strata: NDArray[np.int64] | None = None,
    subset: str = "default",
) -> ItemScores:
    return ItemScores("test", subset, kind, "metric", names, COLUMNS[kind] if columns is None else columns, strata)


def cell(task: str, *parts: ItemScores, **changes: Any) -> CellResult:
    known: dict[str, Any] = {
        "main_metric": "ndcg_at_10",
        "main_score": 0.1 + 0.2,
        "scores": {f"{one.split}/{one.subset}": 0.1 + 0.2 for one in parts},
        "n_items": sum(one.n_items for one in parts),
        "data_digest": "d" * 32,
        "dataset_revision": "abc",
        "engine": "packed",
    }
    return CellResult(**{"model": "m", "task": task, "type": "STS", "status": "ok", "items": parts, **known, **changes})


def scored(*cells: CellResult, **changes: Any) -> Scored:
    known: dict[str, Any] = {
        "model": replace(model("m"), languages=("eng", "zho"), notes=("made up",), engine="packed"),
        "asked_as": "m@dim=128",
        "suite": SuiteInfo("support", "5" * 64, "suites/support.yaml", "Help, 帮助."),
        "environment": ENVIRONMENT,
        "created": "2026-11-20T10:00:00+00:00",
        "source": "measured now",
        "benchkit_version": "0.4.0",
        "seed": 7,
        "n_resamples": 2000,
    }
    return Scored(cells=cells, **{**known, **changes})


def full() -> Scored:
    """Return scores with everything that a file can hold."""
    strata = np.array([0, 0, 1, 1])
    parts = [part(kind, strata=strata if kind == "clustering" else None) for kind in COLUMNS]
    failed = CellResult("m", "zz", "Retrieval", "failed", reason="no\nmemory", limited="100 of 300 queries")
    return scored(
        *(cell(f"task {one.kind}", one) for one in parts),
        cell("two", part(), part("bitext", subset="en")),
        cell("bare", scores={"test/default": 0.30000000000000004}, n_items=None),
        failed,
        cost=costed(small()).cost,
        samples=SAMPLES,
        probe=ProbeFacts(12, True, False, 1e-7, True),
        tags={
            ("two", "test/en"): {"lang": np.array(["zh", "", "en", "zh"]), "topic": np.array(["a", "b", "c", "d"])},
            ("task mean", "test/default"): {},
        },
        left_out={"two": ("zone has 51 values, and at most 50 are kept",), "bare": ("a one", "b two")},
    )


def assert_same_array(found: NDArray[Any] | None, expected: NDArray[Any] | None) -> None:
    if found is None or expected is None:
        assert found is expected
        return
    assert (found.dtype, found.shape, found.tobytes()) == (expected.dtype, expected.shape, expected.tobytes())


def assert_same(found: Scored, expected: Scored) -> None:
    """Compare everything but the source, and the arrays bit by bit."""
    bare = {"cells": (), "tags": {}, "source": ""}
    for name in Scored.__dataclass_fields__:
        if name not in bare:
            assert getattr(found, name) == getattr(expected, name), name
    assert [replace(one, items=()) for one in found.cells] == [replace(one, items=()) for one in expected.cells]
    for got, wanted in zip(found.cells, expected.cells, strict=True):
        for one, other in zip(got.items, wanted.items, strict=True):
            for name in ("split", "subset", "kind", "metric"):
                assert getattr(one, name) == getattr(other, name)
            assert list(one.columns) == list(other.columns)
            assert_same_array(one.items, other.items)
            assert_same_array(one.strata, other.strata)
            for name, values in other.columns.items():
                assert_same_array(one.columns[name], values)
    assert found.tags.keys() == expected.tags.keys()
    for place, tags in expected.tags.items():
        assert list(found.tags[place]) == list(tags)
        for key, values in tags.items():
            assert_same_array(found.tags[place][key], values)


def comes_back(path: Path, given_scores: Scored) -> Scored:
    write_scored(path, given_scores)
    found = read_scored(path)
    assert_same(found, given_scores)
    return found


# ------------------------------------------------------------ what is written comes back


def test_everything_comes_back_bit_by_bit_and_the_source_is_the_path(tmp_path: Path) -> None:
    assert comes_back(tmp_path / "b.json", full()).source == str(tmp_path / "b.json")


@pytest.mark.parametrize("kind", COLUMNS)
def test_every_kind_comes_back_bit_by_bit(tmp_path: Path, kind: ItemKind) -> None:
    comes_back(tmp_path / "b.json", scored(cell("t", part(kind, strata=np.array([0, 1, 1, 0])))))


@given(
    values=hnp.arrays(
        dtype=st.sampled_from(["<f8", ">f8", "<f4", "<f2", "<i8", ">i4", "<i2", "|i1", "<u8", "<u4", "|u1", "|b1"]).map(
            np.dtype
        ),
        shape=st.one_of(st.just((N,)), st.tuples(st.just(N), st.integers(0, 3))),
    ),
    name=st.text(st.characters(exclude_characters="\x00", codec="utf-8"), max_size=5),
)
def test_any_numbers_and_names_come_back_bit_by_bit(
    tmp_path_factory: pytest.TempPathFactory, values: NDArray[Any], name: str
) -> None:
    names = np.array([f"{name}{at}" for at in range(N)])
    one = part(columns={"value": np.zeros(N), "more": values}, names=names)
    comes_back(tmp_path_factory.getbasetemp() / "any.json", scored(cell(f"{name}.", one), asked_as=name))


SECONDS = st.floats(0.0, 1e6)
COUNTS = st.integers(0, 2**62)
MANY_SAMPLES = st.lists(
    st.builds(
        Sample,
        model=st.text(st.characters(exclude_characters="\x00", codec="utf-8")),
        copy=st.integers(0, 1),
        kind=st.sampled_from(["query", "batch", "throughput"]),
        round=COUNTS,
        item=COUNTS,
        texts=COUNTS,
        tokens=st.none() | COUNTS,
        padded_tokens=st.none() | COUNTS,
        wall_s=SECONDS,
        cpu_s=SECONDS,
        length_class=st.none() | st.sampled_from(["short", "medium", "long"]),
        energy_j=st.none() | SECONDS,
    ),
    max_size=5,
)


@given(MANY_SAMPLES)
def test_any_samples_come_back_bit_by_bit(tmp_path_factory: pytest.TempPathFactory, samples: list[Sample]) -> None:
    comes_back(
        tmp_path_factory.getbasetemp() / "costs.json",
        scored(samples=CostSamples(("m",), tuple(samples), (FACTS,), {})),
    )


def test_costs_come_back(tmp_path: Path) -> None:
    comparison = costed(small())
    for name in (meta.name for meta in comparison.models):
        assert comparison.cost is not None
        label = replace(model("m"), name=name)
        found = comes_back(tmp_path / "b.json", scored(model=label, cost=comparison.cost))
        assert found.cost == comparison.cost


def test_a_figure_without_a_number_is_left_out_as_in_a_result(tmp_path: Path) -> None:
    cost = costed(small()).cost
    assert cost is not None
    first = cost.models[0].figures[0]
    unlimited = replace(first, metric="other", ci_high=math.inf, value=1.0)
    damaged = replace(cost.models[0], figures=(replace(first, value=math.nan), unlimited))
    write_scored(tmp_path / "b.json", scored(cost=replace(cost, models=(damaged,))))
    found = read_scored(tmp_path / "b.json").cost
    assert found is not None
    assert found.models[0].figures == (replace(unlimited, ci_high=None),)


def test_hostile_text_is_data(tmp_path: Path) -> None:
    names = np.array([HOSTILE.replace("\x00", str(at)) for at in range(N)])
    hostile = scored(
        cell(HOSTILE, part(names=names), reason=HOSTILE, limited=HOSTILE),
        asked_as=HOSTILE,
        suite=SuiteInfo(HOSTILE, HOSTILE, HOSTILE, HOSTILE),
        tags={(HOSTILE, "test/default"): {HOSTILE: names}},
    )
    comes_back(tmp_path / "b.json", hostile)
    text = (tmp_path / "b.json").read_text(encoding="utf-8")
    assert all(line.isprintable() for line in text.splitlines()), "cat shows a file as it is"


def test_half_a_character_becomes_a_question_mark_as_in_a_result(tmp_path: Path) -> None:
    write_scored(tmp_path / "b.json", scored(asked_as="caf\udce9"))
    assert read_scored(tmp_path / "b.json").asked_as == "caf?"


def test_what_no_comparison_needs_is_left_out(tmp_path: Path) -> None:
    rich = cell("t", part(), warnings=("cut",), seconds=3.5, encode_seconds=1.0, texts=9, texts_encoded=8)
    write_scored(tmp_path / "b.json", scored(rich))
    assert_same(
        read_scored(tmp_path / "b.json"),
        scored(replace(rich, warnings=(), seconds=None, encode_seconds=None, texts=None, texts_encoded=None)),
    )


# ------------------------------------------------------------ a file for people


def test_a_score_stands_on_a_line_of_its_own_and_no_line_is_long(tmp_path: Path) -> None:
    write_scored(tmp_path / "b.json", full())
    before = (tmp_path / "b.json").read_text(encoding="utf-8").splitlines()
    assert max(map(len, before)) <= 121
    assert '   "main_score": 0.30000000000000004,' in before
    cells = (replace(full().cells[0], main_score=0.25), *full().cells[1:])
    write_scored(tmp_path / "b.json", replace(full(), cells=cells))
    after = (tmp_path / "b.json").read_text(encoding="utf-8").splitlines()
    assert [line.split(":")[0].strip() for line in after if line not in before] == ['"digest"', '"main_score"']


def test_equal_arrays_are_stored_once() -> None:
    wide = np.array([f"a name of some length {at}" for at in range(500)])
    value = np.arange(500.0)
    one = json.loads(render_scored(scored(cell("a", part(columns={"value": value}, names=wide)))))
    two = json.loads(
        render_scored(scored(*(cell(task, part(columns={"value": value}, names=wide)) for task in ("a", "b"))))
    )
    assert one["arrays"] == two["arrays"]
    assert len(two["arrays"]) == 2


def test_equal_bytes_of_another_type_or_shape_are_another_array(tmp_path: Path) -> None:
    alike = {"value": np.zeros(4), "whole": np.zeros(4, np.int64), "column": np.zeros((4, 1))}
    comes_back(tmp_path / "b.json", scored(cell("t", part(columns=alike))))


def test_a_suite_of_thousands_of_items_is_a_file_of_tens_of_kilobytes() -> None:
    rng = np.random.default_rng(1)
    names = np.array([str(at) for at in range(2000)])
    text = render_scored(
        scored(*(cell(str(at), part(columns={"value": rng.random(2000)}, names=names)) for at in "ab"))
    )
    assert len(text) < 50_000  # 32 kB are random digits


def test_a_file_says_of_what_was_left_out_of_the_tags_only_where_something_was() -> None:
    said = {task["task"]: task.get("tags_left_out", "nothing") for task in json.loads(render_scored(full()))["tasks"]}
    assert said.pop("two") == ["zone has 51 values, and at most 50 are kept"]
    assert said.pop("bare") == ["a one", "b two"]
    assert set(said.values()) == {"nothing"}, "files of before stay as they were"


def test_white_space_and_line_ends_are_free(tmp_path: Path) -> None:
    path = tmp_path / "b.json"
    write_scored(path, full())
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    assert_same(read_scored(path), full())
    data = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps(data, indent=7))
    assert_same(read_scored(path), full())
    path.write_text(json.dumps(data, sort_keys=True))
    assert read_scored(path).tags.keys() == full().tags.keys()


def test_the_schema_in_the_documentation_is_current() -> None:
    expected = json.dumps(scored_json_schema(), indent=2, ensure_ascii=False) + "\n"
    path = ROOT / "docs" / "baseline.schema.json"
    if os.environ.get("BENCHKIT_UPDATE_GOLDEN") == "1":
        path.write_text(expected, encoding="utf-8")
    assert path.read_text(encoding="utf-8") == expected, "renew it with BENCHKIT_UPDATE_GOLDEN=1"


def test_a_file_fits_the_schema() -> None:
    Draft202012Validator.check_schema(scored_json_schema())
    Draft202012Validator(scored_json_schema()).validate(json.loads(render_scored(full())))


# ------------------------------------------------------------ writing


def test_a_file_that_is_there_is_replaced_and_nothing_is_left_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "new" / "b.json"
    write_scored(path, scored())
    write_scored(path, full())
    assert_same(read_scored(path), full())
    assert list(path.parent.iterdir()) == [path]


def test_others_may_read_the_file_as_any_other(tmp_path: Path) -> None:
    write_scored(tmp_path / "b.json", scored())
    (tmp_path / "other").touch()
    assert (tmp_path / "b.json").stat().st_mode == (tmp_path / "other").stat().st_mode


@pytest.mark.parametrize(
    ("unfit", "message"),
    [
        (cell("t", main_score=math.nan), r"tasks\[0\].main_score: found null, should be a number, status being \"ok\""),
        (cell("t", main_metric=None), r"tasks\[0\].main_metric: found null, should be the name of a metric"),
        (
            cell("t", scores={"test/default": math.nan}),
            r"tasks\[0\].scores.test/default: found null, should be a number, status",
        ),
        (cell("t", part(columns={"value": np.array([None] * 4)})), r"dtype: found '\|O', should match pattern"),
        (cell("t", part(columns={"value": np.zeros(4, complex)})), r"dtype: found '<c16', should match pattern"),
        (cell("t", part(columns={"value": NAMES})), r"columns.value: found an array of <U2, should be numbers"),
        (cell("t", part(columns={"value": np.zeros(3)})), r"found an array of shape \[3\], should be one for 4 items"),
        (cell("t", part(columns={})), r"items\[0\].columns.value: found no such key, should be a column with 1 axes"),
        (cell("t", part(names=np.array(["a"] * 4))), "found 1 names for 4 items, should be one name for each"),
    ],
)
def test_scores_that_could_not_be_read_back_are_not_written(tmp_path: Path, unfit: CellResult, message: str) -> None:
    path = tmp_path / "b.json"
    write_scored(path, scored())
    with pytest.raises(UsageError, match=message) as caught:
        write_scored(path, scored(unfit))
    assert str(caught.value).endswith("; it was not written: score 'm@dim=128' again")
    assert_same(read_scored(path), scored())
    assert list(tmp_path.iterdir()) == [path]


def test_a_task_twice_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="tasks: found t twice, should be there once"):
        write_scored(tmp_path / "b.json", scored(cell("t"), cell("t")))
    with pytest.raises(UsageError, match=r"tasks\[0\].items: found test/default twice, should be there once"):
        write_scored(tmp_path / "b.json", scored(cell("t", part(), part())))


def test_cells_of_another_model_and_tags_of_no_items_are_a_mistake_of_the_caller(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="a cell of 'other' in the scores of 'm'"):
        write_scored(tmp_path / "b.json", scored(cell("t", model="other")))
    with pytest.raises(ValueError, match=r"tags of \('t', 'test/en'\), which has no items"):
        write_scored(tmp_path / "b.json", scored(cell("t", part()), tags={("t", "test/en"): {}}))


def test_a_folder_that_cannot_be_written_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "b.json"
    write_scored(path, scored())

    def full_disk(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full_disk)
    with pytest.raises(OSError, match="No space left"):
        write_scored(path, full())
    assert_same(read_scored(path), scored())
    assert list(tmp_path.iterdir()) == [path]


# ------------------------------------------------------------ what isn't a baseline file


def test_a_missing_file_is_a_baseline_to_make(tmp_path: Path) -> None:
    with pytest.raises(NotComparable) as caught:
        read_scored(tmp_path / "my base.json")
    assert str(caught.value) == (
        f"{tmp_path}/my base.json: there is no such baseline; make it with: benchkit baseline save "
        f"'{tmp_path}/my base.json' --model MODEL --suite SUITE"
    )
    (tmp_path / "file").touch()
    with pytest.raises(NotComparable, match="there is no such baseline"):
        read_scored(tmp_path / "file" / "b.json")


@pytest.mark.parametrize(("version", "age"), [(2, "a newer"), (0, "an older"), (10**30, "a newer")])
def test_another_schema_version_is_a_baseline_to_renew(tmp_path: Path, version: int, age: str) -> None:
    path = tmp_path / "b.json"
    path.write_text(json.dumps({"schema": "benchkit.scored", "schema_version": version, "benchkit_version": "9.9\x1b"}))
    with pytest.raises(NotComparable) as caught:
        read_scored(path)
    assert f"should be 1; {age} benchkit (9.9\\x1b) wrote it: use that one, or renew it with: benchkit" in str(
        caught.value
    )


NOT_JSON = "the file: found something that is not JSON ("


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", NOT_JSON),
        (b"\xff\xfe", NOT_JSON),
        (b"{", NOT_JSON),
        (b"PAR1", NOT_JSON),
        (b"[" * 100_000, NOT_JSON),
        (b"1" * 10_000, NOT_JSON),
        (b'{"schema": "\\ud800"}', NOT_JSON),
        (b"<<<<<<< HEAD\n{}\n=======\n{}\n>>>>>>> main\n", NOT_JSON),
        (b'{"a": NaN}', "a number: found NaN, should be finite, or null"),
        (b'{"a": [-Infinity]}', "a number: found -Infinity, should be finite, or null"),
        (b'{"a": 1, "b\\u001b": 1, "b\\u001b": 2}', r"b\x1b: found the key twice, should be there once"),
        (b"[]", "schema: found a list of 0, should be 'benchkit.scored'; this is no file of `benchkit baseline save`"),
        (b"null", "schema: found null, should be"),
        (b"{}", "schema: found no such key, should be"),
        (b'{"schema": "other\\u001b"}', r"schema: found 'other\x1b', should be"),
        (b'{"schema": "benchkit.scored"}', "schema_version: found no such key, should be 1"),
        (b'{"schema": "benchkit.scored", "schema_version": "1"}', "schema_version: found '1', should be 1"),
        (b'{"schema": "benchkit.scored", "schema_version": true}', "schema_version: found true, should be 1"),
        (b'{"schema": "benchkit.scored", "schema_version": 1}', "digest: found no such key, should be there (and 13"),
    ],
)
def test_what_is_something_else_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "b.json"
    path.write_bytes(content)
    with pytest.raises(UsageError) as caught:
        read_scored(path)
    said = str(caught.value)
    assert said.startswith(f"{path}: {message}")
    assert said.isprintable()
    assert "benchkit baseline save" in said


def test_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="found a folder, should be a file of `benchkit baseline save`; name a file"):
        read_scored(tmp_path)


def test_a_name_that_no_file_can_have_is_refused() -> None:
    with pytest.raises(UsageError, match="it can't be read: embedded null byte"):
        read_scored(Path("b\x00.json"))
    with pytest.raises(UsageError, match="it can't be read: File name too long"):
        read_scored(Path("b" * 5000))


def test_a_result_of_compare_is_refused_with_what_to_name_instead(tmp_path: Path) -> None:
    path = tmp_path / "result.json"
    path.write_text(render_json(small()), encoding="utf-8")
    with pytest.raises(UsageError) as caught:
        read_scored(path)
    assert "found a result of `benchkit compare`, which holds no scores of items" in str(caught.value)
    assert "name the result in its folder, with items.parquet beside it, or write a baseline with:" in str(caught.value)


def test_a_file_that_is_too_large_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scored_file, "MAX_FILE_BYTES", 2**20)
    path = tmp_path / "b.json"
    with path.open("wb") as file:
        file.truncate(2**40)  # a hole: takes no room
    with pytest.raises(UsageError, match="found more than 1 MiB, should be a small file"):
        read_scored(path)


# ------------------------------------------------------------ a file that somebody made


def forged(change: Callable[[dict[str, Any]], object]) -> bytes:
    """Return a file that was changed by somebody who knows of the digest."""
    data = json.loads(render_scored(full()))
    change(data)
    del data["digest"]
    return json.dumps({**data, "digest": digest_json(data)}).encode()


def value_of(data: dict[str, Any]) -> dict[str, Any]:
    """Return the packed column of the first task."""
    found: dict[str, Any] = data["arrays"][data["tasks"][0]["items"][0]["columns"]["value"]]
    return found


def pack(raw: bytes) -> list[str]:
    return [base64.b64encode(zlib.compress(raw)).decode()]


def put(place: Sequence[str | int], value: object) -> Callable[[dict[str, Any]], object]:
    def change(data: dict[str, Any]) -> None:
        *way, last = place
        at: Any = data
        for step in way:
            at = at[step]
        at[last] = value

    return change


def in_value(**changes: object) -> Callable[[dict[str, Any]], object]:
    return lambda data: value_of(data).update(changes)


FIRST: tuple[str | int, ...] = ("tasks", 0)
PART: tuple[str | int, ...] = (*FIRST, "items", 0)
FORGERIES: dict[str, tuple[Callable[[dict[str, Any]], object], str]] = {
    "no reason": (
        put((*FIRST, "tags_left_out"), []),
        "tasks[0].tags_left_out: found a list of 0, should have at least",
    ),
    "huge n": (put((*FIRST, "n_items"), 10**15), "tasks[0].n_items: found 1000000000000000, should be less than or"),
    "n beyond words": (put((*FIRST, "n_items"), 10**400), "tasks[0].n_items: found a number of 1329 bits, should be"),
    "negative n": (put((*FIRST, "n_items"), -1), "tasks[0].n_items: found -1, should be greater than or equal to 0"),
    "n of floats": (put((*FIRST, "n_items"), 4.0), "tasks[0].n_items: found 4.0, should be a valid integer"),
    "huge n of a part": (put((*PART, "n_items"), 10**15), "tasks[0].items[0].n_items: found 1000000000000000, should"),
    "another n": (
        put((*PART, "n_items"), 5),
        "tasks[0].items[0].items: found an array of shape [4], should be one for 5",
    ),
    "an unknown key": (put(("speed",), 1), "speed: found an unknown key, should not be there"),
    "a key less": (lambda data: data["model"].pop("license"), "model.license: found no such key, should be there"),
    "text for a number": (
        put((*FIRST, "main_score"), "0.5"),
        "tasks[0].main_score: found '0.5', should be a valid num",
    ),
    "infinity": (put((*FIRST, "main_score"), 1e999), "a number: found Infinity, should be finite, or null"),
    "no score": (
        put((*FIRST, "main_score"), None),
        'tasks[0].main_score: found null, should be a number, status being "ok',
    ),
    "a score though failed": (
        put((*FIRST, "status"), "failed"),
        "tasks[0].main_score: found 0.30000000000000004, should be nu",
    ),
    "an unknown status": (
        put((*FIRST, "status"), "fine"),
        "tasks[0].status: found 'fine', should be 'ok', 'failed' or",
    ),
    "a list for an object": (put(("suite",), []), "suite: found a list of 0, should be"),
    "a task twice": (
        lambda data: data["tasks"].append(data["tasks"][0]),
        "tasks: found task mean twice, should be there on",
    ),
    "no such split": (put((*FIRST, "scores"), {}), "tasks[0].items: found test/default, should be a split/subset that"),
    "an array that isn't there": (
        put((*PART, "items"), "0" * 16),
        "tasks[0].items[0].items: found 0000000000000000, should be the name of",
    ),
    "a name that is no hash": (put((*PART, "items"), "x"), "tasks[0].items[0].items: found 'x', should match pattern"),
    "names for numbers": (
        lambda data: data["tasks"][0]["items"][0]["columns"].update(value=data["tasks"][0]["items"][0]["items"]),
        "tasks[0].items[0].columns.value: found an array of <U2, should be numbers",
    ),
    "numbers for names": (
        lambda data: data["tasks"][0]["items"][0].update(items=data["tasks"][0]["items"][0]["columns"]["value"]),
        "tasks[0].items[0].items: found an array of <f8, should be text",
    ),
    "another kind": (
        put((*PART, "kind"), "pair"),
        "tasks[0].items[0].columns.label: found no such key, should be a column",
    ),
    "objects": (in_value(dtype="|O"), "dtype: found '|O', should match pattern"),
    "an odd type": (in_value(dtype="<M8[s]"), "dtype: found '<M8[s]', should match pattern"),
    "a record type": (in_value(dtype="<f8,<f8"), "dtype: found '<f8,<f8', should match pattern"),
    "a shape of no axes": (in_value(shape=[]), "shape: found a list of 0, should have at least 1 item"),
    "a huge axis": (
        in_value(shape=[2**40]),
        "shape[0]: found 1099511627776, should be less than or equal to 134217728",
    ),
    "a negative axis": (in_value(shape=[-1]), "shape[0]: found -1, should be greater than or equal to 0"),
    "many axes": (
        in_value(shape=[2**27, 2**27, 0]),
        "shape: found [134217728, 134217728, 0], should be at most 134217728",
    ),
    "huge text": (
        in_value(dtype="<U999999", shape=[2**20]),
        "arrays: found 4194299806596 bytes when unpacked, should be at most 1073741824",
    ),
    "a bomb": (
        in_value(zlib=pack(bytes(2**24))),
        ".zlib: found more or less, should be 32 bytes, as dtype and shape say",
    ),
    "too little": (in_value(zlib=pack(bytes(31))), ".zlib: found 31 bytes, should be 32 bytes, as dtype and shape say"),
    "one byte more": (in_value(zlib=pack(bytes(33))), ".zlib: found "),
    "more behind": (
        in_value(zlib=[base64.b64encode(zlib.compress(bytes(32)) + b"more").decode()]),
        ".zlib: found more or less, should be 32 bytes",
    ),
    "a checksum less": (
        in_value(zlib=[base64.b64encode(zlib.compress(bytes(32))[:-2]).decode()]),
        ".zlib: found more or less, should be 32 bytes",
    ),
    "a stray character": (
        lambda data: value_of(data)["zlib"].insert(0, "!"),
        ".zlib: found damage (",
    ),
    "no base64": (in_value(zlib=["a"]), ".zlib: found damage ("),
    "other characters": (in_value(zlib=["é"]), ".zlib: found damage ("),
    "no zlib": (in_value(zlib=["AAAA"]), ".zlib: found damage ("),
    "no characters": (
        lambda data: data["arrays"][data["tasks"][0]["items"][0]["items"]].update(zlib=pack(b"\xff" * 32)),
        "found something that is no text, should be characters of Unicode",
    ),
    "no truth": (
        lambda data: data["arrays"][data["tasks"][4]["items"][0]["columns"]["label"]].update(zlib=pack(b"\x02" * 16)),
        "found 2, should be 0 or 1",
    ),
    "a column of samples less": (lambda data: data["samples"]["columns"].pop("kind"), "samples.columns: found "),
    "fewer samples": (
        put(("samples", "n_samples"), 1),
        "samples.columns.model: found an array of shape [2], should be",
    ),
    "no kind of sample": (
        lambda data: data["samples"]["columns"].update(kind=data["samples"]["columns"]["model"]),
        "samples.columns.kind: found 'm', should be one of query, batch, throughput",
    ),
    "no length": (
        lambda data: data["samples"]["columns"].update(length_class=data["samples"]["columns"]["model"]),
        "samples.columns.length_class: found 'm', should be one of short, medium, long",
    ),
}


@pytest.mark.parametrize("name", FORGERIES)
def test_a_file_that_does_not_fit_is_refused_with_its_place_and_the_next_step(tmp_path: Path, name: str) -> None:
    change, message = FORGERIES[name]
    path = tmp_path / "b.json"
    if name == "infinity":
        path.write_text(render_scored(full()).replace("0.30000000000000004", "Infinity", 1))
    else:
        path.write_bytes(forged(change))
    with pytest.raises(UsageError) as caught:
        read_scored(path)
    said = str(caught.value)
    assert message in said
    assert said.endswith(
        "; it was damaged or changed by hand: take it from version control again, or renew it with: "
        f"benchkit baseline save {path} --model MODEL --suite SUITE"
    )
    assert len(said) < 700


def test_a_number_beyond_every_float_is_refused(tmp_path: Path) -> None:
    (tmp_path / "b.json").write_text(render_scored(full()).replace("0.30000000000000004", "1e999", 1))
    with pytest.raises(UsageError, match=r"tasks\[0\].main_score: found inf, should be a finite number"):
        read_scored(tmp_path / "b.json")


def test_a_bomb_is_not_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    unpacked: list[int] = []
    real = zlib.decompressobj

    class Watched:
        def __init__(self) -> None:
            self.inner = real()

        def decompress(self, data: bytes, limit: int) -> bytes:
            found = self.inner.decompress(data, limit)
            unpacked.append(len(found))
            return found

        def __getattr__(self, name: str) -> Any:
            return getattr(self.inner, name)

    monkeypatch.setattr(packed.zlib, "decompressobj", Watched)
    (tmp_path / "b.json").write_bytes(forged(in_value(zlib=pack(bytes(2**26)))))
    with pytest.raises(UsageError, match="found more or less"):
        read_scored(tmp_path / "b.json")
    assert max(unpacked) <= 64


def test_a_score_that_was_changed_by_hand_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "b.json"
    text = render_scored(full())
    assert '"main_score": 0.30000000000000004' in text
    path.write_text(text.replace('"main_score": 0.30000000000000004', '"main_score": 0.1', 1), encoding="utf-8")
    with pytest.raises(UsageError, match=r"digest: found '[0-9a-f]{32}', should be that of what the file says"):
        read_scored(path)


def test_a_damaged_byte_or_a_cut_gives_the_very_same_scores_or_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "b.json"
    write_scored(path, full())
    content = path.read_bytes()
    rng = np.random.default_rng(4)
    refused = 0
    for place in rng.choice(len(content), 300, replace=False).tolist():
        flipped = content[:place] + bytes([content[place] ^ (1 << int(rng.integers(8)))]) + content[place + 1 :]
        for damaged in (flipped, content[:place]):
            path.write_bytes(damaged)
            try:
                assert_same(read_scored(path), full())
            except BenchkitError:
                refused += 1
    assert refused > 560


# ------------------------------------------------------------ light


def test_reading_needs_no_heavy_library(tmp_path: Path) -> None:
    write_scored(tmp_path / "b.json", full())
    code = (
        "import sys; from pathlib import Path; from benchkit.store.scored_file import read_scored; "
        f"read_scored(Path({str(tmp_path / 'b.json')!r})); "
        "print([name for name in ('torch', 'mlflow', 'pandas', 'pyarrow', 'mteb', 'scipy') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
