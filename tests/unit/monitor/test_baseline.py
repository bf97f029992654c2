"""A baseline on disk: it comes back as it was, and a file that isn't one is told apart from a missing one."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
from monitored import DIMENSION, ListSource, draw, live_model, times

from benchkit.errors import NotComparable, UsageError
from benchkit.monitor import baseline as baselines
from benchkit.monitor.baseline import Baseline, load, save_as
from benchkit.monitor.canary_texts import CanaryTexts
from benchkit.monitor.create import CreateRequest, create_baseline
from benchkit.store.drift_baseline import (
    FORM_VERSION,
    delete_baseline,
    list_baselines,
    load_baseline,
    path_of,
    save_baseline,
)
from benchkit.types.drift import ColumnNames, Rows

N = 700
SECRET = "confidential"


@pytest.fixture(scope="module")
def made() -> Baseline:
    rows = Rows(
        draw(1, N),
        times=times(N, 9.0),
        texts=tuple(f"{SECRET} {n}" for n in range(N)),
        segments=tuple("ab"[n >= 600] for n in range(N)),
        scores=np.random.default_rng(1).uniform(size=N),
        model="hashing",
    )
    request = CreateRequest(
        name="prod",
        columns=ColumnNames(vector="v", segment="tenant"),
        segment_by="segment",
        canary=CanaryTexts(("who \ud800", "what", "where"), (0,), {0: {1: 2}}),
        keep_texts=True,
    )
    return create_baseline(ListSource([rows]), request, model=live_model())


@pytest.fixture(scope="module")
def plain() -> Baseline:
    rows = Rows(draw(1, 200), texts=tuple(f"{SECRET} {n}" for n in range(200)))
    return create_baseline(ListSource([rows]), CreateRequest(name="plain"))


def _assert_same(found: Baseline, expected: Baseline) -> None:
    assert found.info == expected.info
    for name in ("examples", "columns", "segment_by", "rows_per_s", "span_s", "model_spec", "plane"):
        assert getattr(found, name) == getattr(expected, name), name
    assert list(found.segments) == list(expected.segments)
    assert (found.canaries is None, found.scores is None) == (expected.canaries is None, expected.scores is None)
    pairs = [(found.reference, expected.reference), (found.health, expected.health)]
    pairs += [(found.segments[name], expected.segments[name]) for name in expected.segments]
    for one, other in [*pairs, (found.scores, expected.scores), (found.canaries, expected.canaries)]:
        if one is None or other is None:
            continue
        arrays = other.to_arrays()
        assert set(one.to_arrays()) == set(arrays)
        for name, array in one.to_arrays().items():
            assert np.asarray(array).dtype == np.asarray(arrays[name]).dtype, name
            assert np.array_equal(array, arrays[name], equal_nan=np.asarray(array).dtype.kind == "f"), name
    if found.canaries is not None and expected.canaries is not None:
        assert found.canaries.texts == expected.canaries.texts


def test_a_baseline_comes_back_as_it_was(made: Baseline, plain: Baseline, tmp_path: Path) -> None:
    for baseline in (made, plain):
        kept = save_as(baseline, tmp_path)
        assert kept.info.bytes == path_of(tmp_path, baseline.info.name).stat().st_size
        assert len(kept.info.digest) == 64
        assert replace(kept.info, digest="", bytes=0) == baseline.info
        _assert_same(load(tmp_path, baseline.info.name), kept)
    assert list_baselines(tmp_path) == ["plain", "prod"]


def test_no_text_is_kept_unless_asked(made: Baseline, plain: Baseline, tmp_path: Path) -> None:
    for baseline in (made, plain):
        save_as(baseline, tmp_path)
    assert SECRET.encode() in path_of(tmp_path, "prod").read_bytes()
    assert SECRET.encode() not in path_of(tmp_path, "plain").read_bytes()


def test_what_decides_how_a_window_is_counted_is_the_baselines(made: Baseline) -> None:
    judged = made.judged(keep_texts=True)
    assert (judged.reference, judged.scores, judged.segments) == (made.reference, made.scores, made.segments)
    assert (judged.segment_by, judged.keep_texts) == ("segment", True)
    assert not made.judged(keep_texts=False).keep_texts


def test_a_name_is_taken_once_and_renewed_when_told(plain: Baseline, tmp_path: Path) -> None:
    first = save_as(plain, tmp_path)
    with pytest.raises(
        UsageError, match=r"there is a baseline 'plain' already .*`benchkit drift baseline renew plain`"
    ):
        save_as(plain, tmp_path)
    renewed = save_as(replace(plain, model_spec="other"), tmp_path, replaces=True)
    assert renewed.info.digest != first.info.digest
    assert load(tmp_path, "plain").model_spec == "other"


@pytest.mark.parametrize("name", ["", "../up", "a b", ".hidden", "x" * 101, "a/b", "ü", "a\n"])
def test_a_name_that_is_none_is_refused(plain: Baseline, tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match="can't name a baseline: letters, digits"):
        save_as(replace(plain, info=replace(plain.info, name=name)), tmp_path)
    with pytest.raises(UsageError, match="can't name a baseline"):
        load(tmp_path, name)
    assert not list(tmp_path.rglob("*.safetensors"))


def test_a_missing_baseline_names_those_that_are_there(plain: Baseline, tmp_path: Path) -> None:
    with pytest.raises(NotComparable, match=r"no baseline 'prod' in .* \(there is none yet\); make it: .* create prod"):
        load(tmp_path / "nowhere", "prod")
    save_as(plain, tmp_path)
    with pytest.raises(NotComparable, match=r"no baseline 'prod' in .* \(there are plain\)"):
        load(tmp_path, "prod")
    delete_baseline(tmp_path, "plain")
    with pytest.raises(NotComparable, match="there is none yet"):
        delete_baseline(tmp_path, "plain")


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9, 0.999])
def test_half_a_file_is_damaged(plain: Baseline, tmp_path: Path, share: float) -> None:
    save_as(plain, tmp_path)
    path = path_of(tmp_path, "plain")
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    with pytest.raises(UsageError, match=r"the baseline is damaged \(.*\); .* renew plain --from SOURCE"):
        load(tmp_path, "plain")


def test_one_wrong_byte_is_damage(plain: Baseline, tmp_path: Path) -> None:
    save_as(plain, tmp_path)
    path = path_of(tmp_path, "plain")
    content = bytearray(path.read_bytes())
    content[-5] ^= 1
    path.write_bytes(bytes(content))
    with pytest.raises(UsageError, match="its digest is not that of its content"):
        load(tmp_path, "plain")


def test_a_file_of_something_else_is_damaged(tmp_path: Path) -> None:
    from safetensors.numpy import save

    for content in (b"PAR1 not at all", save({"weights": np.ones(3)}), save({}, {"benchkit": "[]"})):
        (tmp_path / "other.safetensors").write_bytes(content)
        with pytest.raises(UsageError, match="the baseline is damaged"):
            load(tmp_path, "other")


def test_a_newer_baseline_is_not_comparable(plain: Baseline, tmp_path: Path) -> None:
    save_as(plain, tmp_path)
    kept = load_baseline(tmp_path, "plain")
    save_baseline(tmp_path, "plain", replace(kept, facts={**kept.facts, "form": 7}), replaces=True)
    with pytest.raises(NotComparable, match=r"'plain' has form 7, and this benchkit reads 1; renew it: .* renew plain"):
        load(tmp_path, "plain")


def test_a_newer_file_is_not_comparable(plain: Baseline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from benchkit.store import drift_baseline

    monkeypatch.setattr(drift_baseline, "FORM_VERSION", 9)
    save_as(plain, tmp_path)
    monkeypatch.undo()
    with pytest.raises(NotComparable, match=rf"form 9, and this benchkit reads form {FORM_VERSION}; renew it: .*plain"):
        load(tmp_path, "plain")


@pytest.mark.parametrize(
    "changed",
    [
        {"segments": ["a"]},
        {"info": {}},
        {"info": []},
        {"columns": {"vectors": "v"}},
        {"examples": {"x": ["a"]}},
        {"examples": ["a"]},
        {"segments": None},
        {"plane": {"x_range": [0], "y_range": [0, 1], "explained": 0.5}},
    ],
)
def test_facts_that_do_not_fit_the_arrays_are_damage(
    plain: Baseline, tmp_path: Path, changed: dict[str, object]
) -> None:
    kept = load_baseline(tmp_path, save_as(plain, tmp_path).info.name)
    save_baseline(tmp_path, "plain", replace(kept, facts={**kept.facts, **changed}), replaces=True)
    with pytest.raises(UsageError, match=r"the baseline 'plain' in .* is damaged \(.*\); renew it"):
        load(tmp_path, "plain")


def test_a_missing_array_is_damage(made: Baseline, tmp_path: Path) -> None:
    kept = load_baseline(tmp_path, save_as(made, tmp_path).info.name)
    for name in ("health/buckets", "reference/variances", "canaries/vectors", "scores/edges", "segment/0/rows"):
        arrays = {key: array for key, array in kept.arrays.items() if key != name}
        save_baseline(tmp_path, "prod", replace(kept, arrays=arrays), replaces=True)
        with pytest.raises(UsageError, match="is damaged"):
            load(tmp_path, "prod")


def test_a_fact_of_a_later_benchkit_is_passed_over(plain: Baseline, tmp_path: Path) -> None:
    kept = load_baseline(tmp_path, save_as(plain, tmp_path).info.name)
    info = {**asdict(plain.info), "new": 1}
    del info["digest"], info["bytes"]
    save_baseline(tmp_path, "plain", replace(kept, facts={**kept.facts, "info": info}), replaces=True)
    assert load(tmp_path, "plain").info.rows == 200


def test_a_baseline_of_an_older_benchkit_has_no_plane_and_no_roles_and_is_read(made: Baseline, tmp_path: Path) -> None:
    kept = load_baseline(tmp_path, save_as(made, tmp_path).info.name)
    facts = {key: value for key, value in kept.facts.items() if key != "plane"}
    arrays = {key: array for key, array in kept.arrays.items() if key != "canaries/roles"}
    save_baseline(tmp_path, "older", replace(kept, facts=facts, arrays=arrays))
    found = load(tmp_path, "older")
    assert made.plane is not None
    assert found.plane is None
    assert found.canaries is not None
    assert made.canaries is not None
    assert found.canaries.roles == made.canaries.roles
    assert load(tmp_path, "prod").plane == made.plane


def test_a_folder_that_can_not_be_written_is_told_of(plain: Baseline, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(UsageError, match="the baseline can't be written"):
        save_as(plain, tmp_path / "file")


def test_the_facts_are_json_and_hold_no_place_of_the_file(made: Baseline) -> None:
    facts = baselines._facts(made)
    assert json.loads(json.dumps(facts)) == facts
    assert not {"digest", "bytes"} & set(facts["info"])
    assert made.info.dimension == DIMENSION
