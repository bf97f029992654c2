"""A session comes back whole, on the same machine with the same models and texts only, or not at all."""

from __future__ import annotations

import json
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
from cost_fakes import meta_of, spec_of

from benchkit.cost import kept as kept_module
from benchkit.cost.design import Design, MeasuredModel
from benchkit.cost.kept import KeptSessions, cost_key
from benchkit.cost.phases import Notice
from benchkit.cost.plan import PLANS, CostPlan
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


def model(fingerprint: str, label: str = "m", **facts: Any) -> MeasuredModel:
    return MeasuredModel(spec_of(label), replace(meta_of(label, fingerprint=fingerprint), **facts))


DESIGN = Design((model("f", engine="torch"),), "m", PLANS["quick"], "cpu", seed=42, tolerance=0.05)
AROUND: dict[str, Any] = {
    "tasks": ["digest"],
    "hardware": {"cpu": "one", "cores": "2"},
    "environ": {"OMP_NUM_THREADS": "2", "HOME": "/somewhere"},
}


def key(design: Design = DESIGN, **around: object) -> str:
    return cost_key(design, **{**AROUND, **around})


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


OTHER_DESIGNS: list[dict[str, Any]] = [
    {"plan": PLANS["full"]},
    {"models": (model("g", engine="torch"),)},
    {"models": (model("f", engine="packed"),)},
    {"models": (model("f", engine="torch", similarity="dot"),)},
    {"models": (*DESIGN.models, model("f", "n", engine="torch"))},
    {"reference": None},
    {"device": "cuda"},
    {"seed": 43},
    {"tolerance": 0.1},
    {"reversed_start": True},
]


@pytest.mark.parametrize("changes", OTHER_DESIGNS, ids=lambda changes: ",".join(changes))
def test_what_is_measured_and_how_is_in_the_key(changes: dict[str, Any]) -> None:
    assert key(replace(DESIGN, **changes)) != key()


def test_every_part_of_a_design_is_in_the_key() -> None:
    assert {name for changes in OTHER_DESIGNS for name in changes} == {field.name for field in fields(Design)}


@pytest.mark.parametrize(
    "changes",
    [{"tasks": ["another"]}, {"hardware": {"cpu": "another", "cores": "2"}}, {"environ": {"OMP_NUM_THREADS": "1"}}],
    ids=lambda changes: ",".join(changes),
)
def test_texts_machine_and_threads_are_in_the_key(changes: dict[str, object]) -> None:
    assert key(**changes) != key()


def test_the_order_of_the_models_is_in_the_key() -> None:
    models = (model("f", "a"), model("g", "b"))
    assert key(replace(DESIGN, models=models, reference=None)) != key(
        replace(DESIGN, models=models[::-1], reference=None)
    )


def test_labels_are_not_in_the_key() -> None:
    assert key(replace(DESIGN, models=(model("f", "other", engine="torch"),), reference="other")) == key()


def test_what_was_kept_by_earlier_versions_is_found_again(monkeypatch: pytest.MonkeyPatch) -> None:
    # The keys as 0.1 made them. Other keys are a new FORMAT: everybody measures everything again.
    monkeypatch.setattr(kept_module, "_version", lambda name: "1")
    plan = CostPlan("quick", 1, 2, 3, (1, 2), 4, 5, 6, 7, 8, 9, 10, 1.0, 2.0, 3.0, 4.0)
    models = (model("f", "a", engine="torch"), model("g", "b", similarity="dot", engine=None))
    design = Design(models, "b", plan, "cpu", seed=42, tolerance=0.05)
    assert key(design, hardware={"cpu": "one"}) == "ab4cac2040a3f220a6c8899523b8d5ba"
    reversed_start = replace(design, reversed_start=True)
    assert key(reversed_start, hardware={"cpu": "one"}) == "65e147ce2523b524a3c0add260e051bf"


def test_the_library_versions_are_in_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    before = key()
    monkeypatch.setattr(kept_module, "_version", lambda name: "99" if name == "torch" else "1")
    one = key()
    monkeypatch.setattr(kept_module, "_version", lambda name: "98" if name == "torch" else "1")
    assert len({before, one, key()}) == 3


def test_other_variables_of_the_environment_are_not_in_the_key() -> None:
    assert key(environ={"OMP_NUM_THREADS": "2", "PATH": "/bin"}) == key()
