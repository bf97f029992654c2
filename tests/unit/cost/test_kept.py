"""A session comes back whole, on the same machine with the same models and texts only, or not at all."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from benchkit.cost import kept as kept_module
from benchkit.cost.kept import KeptSessions, cost_key
from benchkit.cost.phases import Notice
from benchkit.cost.plan import PLANS
from benchkit.cost.session import SessionRecord
from benchkit.types.cost import CostSamples, ProcessFacts, Sample

SAMPLES = (
    Sample("a", 0, "query", 0, 3, 1, 7, 8, 0.1 + 0.2, 1e-7),
    Sample("a", 1, "query", 0, 3, 1, 7, None, 0.25, 0.125),
    Sample("b", 0, "throughput", 1, 0, 9, None, None, 2.5, 2.25, "long", 12.5),
)
RECORD = SessionRecord(
    CostSamples(
        ("a", "b"),
        SAMPLES,
        (
            ProcessFacts("a", 0, 1.5, 0.25, peak_mib=99.5, engine="torch", threads=2),
            ProcessFacts("a", 1, 1.5, 0.25),
            ProcessFacts("b", 0, 0.1, 0.2),
        ),
    ),
    (Notice("a word on all"), Notice("too slow", ("b",))),
    "2026-11-21T00:00:00+00:00",
    12.75,
)
PARTS = {
    "plan": PLANS["quick"],
    "models": [{"fingerprint": "f", "similarity": "cosine", "engine": "torch"}],
    "reference": 0,
    "sources": ["digest"],
    "device": "cpu",
    "hardware": {"cpu": "one", "cores": "2"},
    "seed": 42,
    "tolerance": 0.05,
    "environ": {"OMP_NUM_THREADS": "2", "HOME": "/somewhere"},
}


def key(**changes: object) -> str:
    return cost_key(**{**PARTS, **changes})  # type: ignore[arg-type]


def test_a_session_comes_back_exactly(tmp_path: Path) -> None:
    kept = KeptSessions(tmp_path)
    assert kept.put("k", RECORD)
    assert kept.get("k", ("a", "b")) == RECORD


def test_a_session_comes_back_under_the_labels_of_today(tmp_path: Path) -> None:
    kept = KeptSessions(tmp_path)
    kept.put("k", RECORD)
    # The new labels are the old ones swapped: naming one after the other would mix them up.
    found = kept.get("k", ("b", "a"))
    assert found is not None
    assert found.samples.order == ("b", "a")
    assert [sample.model for sample in found.samples.samples] == ["b", "b", "a"]
    assert [facts.model for facts in found.samples.processes] == ["b", "b", "a"]
    assert [notice.sentence for notice in found.notices] == ["a word on all", "a: too slow"]


def test_a_session_with_a_failure_is_not_kept(tmp_path: Path) -> None:
    kept = KeptSessions(tmp_path)
    assert not kept.put("k", replace(RECORD, is_complete=False))
    assert kept.get("k", ("a", "b")) is None


def test_nothing_else_is_left_in_the_folder(tmp_path: Path) -> None:
    KeptSessions(tmp_path).put("k", RECORD)
    assert [path.name for path in (tmp_path / "costs").iterdir()] == ["k.json"]


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "costs").write_text("a file stands where the folder should be")
    kept = KeptSessions(tmp_path)
    assert not kept.put("k", RECORD)
    assert kept.get("k", ("a", "b")) is None


def test_a_file_that_cannot_get_its_name_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "costs" / "k.json").mkdir(parents=True)
    assert not KeptSessions(tmp_path).put("k", RECORD)
    assert [path.name for path in (tmp_path / "costs").iterdir()] == ["k.json"]


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text[: len(text) // 2],
        lambda text: text.replace("0.25", "0.35", 1),
        lambda text: "[]",
        lambda text: "",
        lambda text: json.dumps({"digest": "x"}),
        lambda text: text.replace('"b"', '"c"'),
    ],
    ids=["cut short", "a number changed", "no object", "empty", "no content", "a label changed"],
)
def test_a_damaged_file_is_no_session(tmp_path: Path, damage) -> None:  # type: ignore[no-untyped-def]
    kept = KeptSessions(tmp_path)
    kept.put("k", RECORD)
    path = tmp_path / "costs" / "k.json"
    path.write_text(damage(path.read_text()))
    assert kept.get("k", ("a", "b")) is None


def test_bytes_that_are_no_text_are_no_session(tmp_path: Path) -> None:
    (tmp_path / "costs").mkdir()
    (tmp_path / "costs" / "k.json").write_bytes(b"\xff\xfe\x00")
    assert KeptSessions(tmp_path).get("k", ("a",)) is None


def test_a_whole_file_of_another_shape_is_no_session(tmp_path: Path) -> None:
    content = {"order": ["a"], "fields": ["model"], "samples": [["a"]], "processes": [], "notices": []}
    (tmp_path / "costs").mkdir()
    envelope = {"digest": kept_module.digest_json(content), "content": content}
    (tmp_path / "costs" / "k.json").write_text(json.dumps(envelope))
    assert KeptSessions(tmp_path).get("k", ("a",)) is None


def test_another_number_of_models_is_no_session(tmp_path: Path) -> None:
    kept = KeptSessions(tmp_path)
    kept.put("k", RECORD)
    assert kept.get("k", ("a",)) is None


@pytest.mark.parametrize(
    "changes",
    [
        {"plan": PLANS["full"]},
        {"models": [{"fingerprint": "g", "similarity": "cosine", "engine": "torch"}]},
        {"models": [{"fingerprint": "f", "similarity": "cosine", "engine": "packed"}]},
        {"models": PARTS["models"] * 2},  # type: ignore[operator]
        {"reference": None},
        {"sources": ["another"]},
        {"device": "cuda"},
        {"hardware": {"cpu": "another", "cores": "2"}},
        {"seed": 43},
        {"tolerance": 0.1},
        {"environ": {"OMP_NUM_THREADS": "1"}},
    ],
    ids=lambda changes: ",".join(changes),
)
def test_what_decides_a_figure_is_in_the_key(changes: dict[str, object]) -> None:
    assert key(**changes) != key()


def test_the_order_of_the_models_is_in_the_key() -> None:
    models = [{"fingerprint": "f"}, {"fingerprint": "g"}]
    assert key(models=models) != key(models=models[::-1])


def test_the_library_versions_are_in_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    before = key()
    monkeypatch.setattr(kept_module, "_version", lambda name: "99" if name == "torch" else "1")
    one = key()
    monkeypatch.setattr(kept_module, "_version", lambda name: "98" if name == "torch" else "1")
    assert len({before, one, key()}) == 3


def test_other_variables_of_the_environment_are_not_in_the_key() -> None:
    assert key(environ={"OMP_NUM_THREADS": "2", "PATH": "/bin"}) == key()
