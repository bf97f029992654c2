"""A session is run when nothing is kept of it, kept for the next comparison, and shared by variants of one model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from cost_fakes import Behaviour, World, meta_of, spec_of
from own_data import retrieval

from benchkit.cost import measure as measure_module
from benchkit.cost.measure import CostRequest, MeasuredCosts, measure_costs, read_sources
from benchkit.cost.plan import PLANS
from benchkit.errors import CellFailed
from benchkit.plugins import open_model
from benchkit.tasks.opened import OpenedTask, open_task
from benchkit.types.cost import CostLevel
from benchkit.types.model import ModelMeta, ModelSpec, OpenContext, Variant
from benchkit.types.task import TaskSpec

Asked = tuple[ModelSpec, ModelMeta]


@pytest.fixture(scope="module")
def task(tmp_path_factory: pytest.TempPathFactory) -> OpenedTask:
    folder = tmp_path_factory.mktemp("own")
    spec = TaskSpec(name="own", type="Retrieval", data=retrieval(folder / "retrieval"))
    return open_task(spec, cache_dir=folder, offline=True)


@dataclass
class Unreadable:
    """A task whose data are not there."""

    source_digest: str = "digest"
    type: str = "Retrieval"
    name: str = "gone"
    reads: list[str] = field(default_factory=list)

    def fresh(self) -> Any:
        self.reads.append(self.name)
        raise CellFailed("gone: no network")


def model(label: str, **facts: Any) -> Asked:
    return spec_of(label), meta_of(label, **facts)


def variant(label: str, of: str, cut: Variant) -> Asked:
    return replace(spec_of(label), name=of, variant=cut), replace(meta_of(label, fingerprint=f"print-{of}"), name=label)


def measure(
    models: list[Asked],
    tasks: list[Any],
    cache: Path,
    world: World | None = None,
    *,
    baseline: str | None = None,
    seed: int = 1,
    level: CostLevel = "quick",
    refresh: bool = False,
    on_stage: Callable[[str], None] = lambda _: None,
    **how: Any,
) -> MeasuredCosts:
    return measure_costs(
        CostRequest(models, baseline, level, seed, **how),
        tasks,
        OpenContext("cpu", offline=True, cache_dir=cache),
        refresh=refresh,
        on_stage=on_stage,
        open_process=(world or World()).open_process,  # type: ignore[arg-type]
    )


def doubled(processes: list[tuple[str, int]]) -> list[tuple[str, int]]:
    """Return them once for each half of a session."""
    return [one for one in processes for _ in (0, 1)]


def test_costs_of_all_models_are_reported_with_the_samples_behind_them(task: OpenedTask, tmp_path: Path) -> None:
    costs = measure([model("a"), model("b")], [task], tmp_path, baseline="a")
    assert [(cost.model, cost.status) for cost in costs.report.models] == [("a", "ok"), ("b", "ok")]
    assert {s.kind for s in costs.samples.samples} == {"query", "batch", "throughput"}
    assert {s.length_class for s in costs.samples.samples if s.kind == "throughput"} == {"short", "medium", "long"}
    assert not costs.report.from_cache
    assert costs.report.hardware == measure_module.hardware_facts("cpu")
    assert (costs.report.level, costs.report.device, costs.report.seed) == ("quick", "cpu", 1)


def test_a_warm_comparison_measures_nothing_and_reads_no_text(task: OpenedTask, tmp_path: Path) -> None:
    cold = measure([model("a"), model("b")], [task], tmp_path)
    world, gone = World(), Unreadable(source_digest=task.source_digest)
    warm = measure([model("a"), model("b")], [gone], tmp_path, world)
    assert world.processes == []
    assert gone.reads == []
    assert warm.samples == cold.samples
    assert warm.report == replace(cold.report, from_cache=True)


def test_kept_costs_are_found_under_other_labels(task: OpenedTask, tmp_path: Path) -> None:
    measure([model("a"), model("b")], [task], tmp_path)
    world = World()
    renamed = [(spec_of("x"), meta_of("x", fingerprint="print-a")), (spec_of("y"), meta_of("y", fingerprint="print-b"))]
    costs = measure(renamed, [task], tmp_path, world)
    assert world.processes == []
    assert [cost.model for cost in costs.report.models] == ["x", "y"]


@pytest.mark.parametrize(
    "changed",
    [
        {"seed": 2},
        {"models": [model("a"), model("c")]},
        {"models": [model("b"), model("a")]},
        {"baseline": "b"},
        {"level": "full"},
        {"refresh": True},
        {"tolerance": 0.04},
        {"tasks": "other"},
    ],
    ids=lambda changed: next(iter(changed)),
)
def test_anything_else_is_measured(changed: dict[str, Any], task: OpenedTask, tmp_path: Path) -> None:
    asked: dict[str, Any] = {"models": [model("a"), model("b")], "tasks": [task]}
    measure(**asked, cache=tmp_path, baseline="a")
    if changed.get("tasks") == "other":
        changed = {"tasks": [task, Unreadable("another")]}
    world = World()
    costs = measure(**{**asked, "baseline": "a", **changed}, cache=tmp_path, world=world)
    assert world.processes
    assert not costs.report.from_cache


def test_other_hardware_is_measured(task: OpenedTask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    measure([model("a")], [task], tmp_path)
    monkeypatch.setattr(measure_module, "hardware_facts", lambda device: {"cpu": "another"})
    world = World()
    assert measure([model("a")], [task], tmp_path, world).report.hardware == {"cpu": "another"}
    assert world.processes


def test_a_damaged_file_is_measured_again(task: OpenedTask, tmp_path: Path) -> None:
    measure([model("a")], [task], tmp_path)
    (path,) = (tmp_path / "costs").iterdir()
    path.write_text(path.read_text()[:-30])
    world = World()
    assert not measure([model("a")], [task], tmp_path, world).report.from_cache
    assert measure([model("a")], [task], tmp_path).report.from_cache


def test_a_failure_is_reported_and_tried_again_next_time(task: OpenedTask, tmp_path: Path) -> None:
    world = World({"b": Behaviour(fails_at="start")})
    costs = measure([model("a"), model("b")], [task], tmp_path, world)
    assert [(cost.status, cost.reason) for cost in costs.report.models] == [("ok", ""), ("failed", "it broke")]
    again = World()
    costs = measure([model("a"), model("b")], [task], tmp_path, again)
    assert again.processes
    assert [cost.status for cost in costs.report.models] == ["ok", "ok"]


def test_a_session_whose_control_failed_is_tried_again_next_time(task: OpenedTask, tmp_path: Path) -> None:
    measure([model("a")], [task], tmp_path, World({"a": Behaviour(fails_at=0, fails_copy=1)}))
    assert not measure([model("a")], [task], tmp_path).report.from_cache


def test_texts_that_cannot_be_read_are_a_failure_of_every_model(tmp_path: Path) -> None:
    world = World()
    costs = measure([model("a"), model("b")], [Unreadable()], tmp_path, world)
    reason = "no task of the suite has texts to measure costs on; gone: no network"
    assert [(cost.status, cost.reason) for cost in costs.report.models] == [("failed", reason)] * 2
    assert world.processes == []


def test_a_folder_that_cannot_be_written_is_a_warning(task: OpenedTask, tmp_path: Path) -> None:
    (tmp_path / "costs").write_text("in the way")
    costs = measure([model("a")], [task], tmp_path)
    assert costs.report.models[0].status == "ok"
    assert any("costs can't be kept there" in warning for warning in costs.report.warnings)


def test_variants_of_one_model_share_one_process(task: OpenedTask, tmp_path: Path) -> None:
    world = World()
    models = [
        model("a"),
        model("b"),
        variant("b@int8", "b", Variant(precision="int8")),
        variant("b@dim=2", "b", Variant(truncate_dim=2)),
    ]
    costs = measure(models, [task], tmp_path, world, baseline="a")
    assert sorted((p.label, p.copy) for p in world.processes) == doubled([("a", 0), ("a", 1), ("b", 0)])

    def times(label: str) -> list[float]:
        return [s.wall_s for s in costs.samples.samples if s.model == label]

    assert times("b") == times("b@int8") == times("b@dim=2") != []
    told = [(p.model, p.copy) for p in costs.samples.processes]
    assert sorted(told) == sorted(doubled([("a", 0), ("a", 1), ("b", 0), ("b@int8", 0), ("b@dim=2", 0)]))
    notes = {cost.model: cost.notes for cost in costs.report.models}
    converted = "cutting and converting vectors after the encode is not in its latency and throughput"
    assert converted not in notes["b"]
    assert converted in notes["b@int8"]
    assert "measured together with b, b@int8: one model, whose variants encode alike" in notes["b@dim=2"]


def test_a_variant_as_baseline_gets_the_control(task: OpenedTask, tmp_path: Path) -> None:
    models = [model("a"), variant("a@int8", "a", Variant(precision="int8")), model("b")]
    costs = measure(models, [task], tmp_path, baseline="a@int8")
    assert {s.model for s in costs.samples.samples if s.copy == 1} == {"a@int8"}
    assert costs.report.control


def test_a_failed_process_fails_all_its_variants(task: OpenedTask, tmp_path: Path) -> None:
    world = World({"b": Behaviour(fails_at=0)})
    models = [model("a"), model("b"), variant("b@int8", "b", Variant(precision="int8"))]
    costs = measure(models, [task], tmp_path, world, baseline="a")
    assert [cost.status for cost in costs.report.models] == ["ok", "failed", "failed"]


def test_a_reversed_start_is_kept_beside_the_other_and_never_taken_for_it(task: OpenedTask, tmp_path: Path) -> None:
    models = [model("a"), model("b")]
    measure(models, [task], tmp_path, baseline="b")
    worlds = [World(), World(), World()]
    found = [
        measure(models, [task], tmp_path, world, baseline="b", reversed_start=is_reversed)
        for world, is_reversed in zip(worlds, (True, True, False), strict=True)
    ]
    assert [(p.label, p.copy) for p in worlds[0].processes][:3] == [("b", 1), ("a", 0), ("b", 0)]
    assert [world.processes for world in worlds[1:]] == [[], []]
    assert [costs.report.from_cache for costs in found] == [False, True, True]


def test_identical_models_are_measured_apart_when_asked_to(task: OpenedTask, tmp_path: Path) -> None:
    models = [model("a", fingerprint="same"), model("b", fingerprint="same")]
    shared = World()
    measure(models, [task], tmp_path, shared, baseline="b")
    assert sorted((p.label, p.copy) for p in shared.processes) == doubled([("a", 0), ("a", 1)])
    apart = World({"b": Behaviour(per_character_s=0.002)})
    costs = measure(models, [task], tmp_path, apart, baseline="b", split_identical=True)
    assert sorted((p.label, p.copy) for p in apart.processes) == doubled([("a", 0), ("b", 0), ("b", 1)])
    assert [ratio.ratio for ratio in costs.report.ratios] == pytest.approx([0.5, 0.5])
    assert not any(cost.notes and "measured together" in cost.notes[0] for cost in costs.report.models)
    assert [ratio.ratio for ratio in measure(models, [task], tmp_path, baseline="b").report.ratios] == [1.0, 1.0]


def test_splitting_models_that_differ_changes_nothing(task: OpenedTask, tmp_path: Path) -> None:
    models = [model("a"), model("b")]
    cold = measure(models, [task], tmp_path, baseline="b")
    warm = measure(models, [task], tmp_path, baseline="b", split_identical=True)
    assert warm.report == replace(cold.report, from_cache=True)


def test_the_same_weights_on_another_engine_are_another_measurement(task: OpenedTask, tmp_path: Path) -> None:
    world = World()
    models = [model("a"), (spec_of("a-bf16"), replace(meta_of("a-bf16", fingerprint="print-a"), engine="packed-bf16"))]
    measure(models, [task], tmp_path, world)
    assert {p.label for p in world.processes} == {"a", "a-bf16"}


def test_what_was_cut_is_a_warning_under_every_label(task: OpenedTask, tmp_path: Path) -> None:
    world = World({"b": Behaviour(per_character_s=1.0)})
    models = [model("a"), model("b"), variant("b@int8", "b", Variant(precision="int8"))]
    costs = measure(models, [task], tmp_path, world)
    assert any(warning.startswith("b, b@int8: the time for the batch sweep") for warning in costs.report.warnings)


def test_of_an_endpoint_only_what_it_shows_is_told(task: OpenedTask, tmp_path: Path) -> None:
    endpoint = (spec_of("e", loader="openai"), meta_of("e"))
    report = measure([model("a"), endpoint], [task], tmp_path).report
    cost = report.of("e")
    assert cost is not None
    assert cost.figure("latency/query/p50_ms") is not None
    assert cost.figure("latency/query_cpu/p50_ms") is None
    assert cost.figure("memory/peak_mib") is None
    assert "e: an endpoint, so few calls were made: 16 single queries" in report.warnings
    assert {ratio.metric for ratio in report.ratios} == {"latency/query"}


def test_real_processes_are_measured_and_found_again(task: OpenedTask, tmp_path: Path) -> None:
    context = OpenContext("cpu", True, tmp_path)
    specs = [ModelSpec(label=name, name=name) for name in ("tfidf", "bm25")]
    asked = [(spec, open_model(spec, context).meta) for spec in specs]
    request = CostRequest(asked, "bm25", "quick", seed=1)
    costs = measure_costs(request, [task], context)
    assert [(cost.model, cost.status) for cost in costs.report.models] == [("tfidf", "ok"), ("bm25", "ok")]
    assert {ratio.metric for ratio in costs.report.control} == {"latency/query_cpu", "latency/query"}
    expected = doubled([("tfidf", 0), ("bm25", 0), ("bm25", 1)])
    assert [(p.model, p.copy) for p in costs.samples.processes] == expected
    assert all(p.peak_mib and p.first_call_s for p in costs.samples.processes)
    assert [sum(s.half == half for s in costs.samples.samples if s.kind != "query") for half in (0, 1)] == [56, 56]
    warm = measure_costs(request, [task], context)
    assert warm.report.from_cache
    assert warm.samples == costs.samples


def test_an_interrupt_leaves_no_process_and_keeps_nothing(task: OpenedTask, tmp_path: Path) -> None:
    world = World({"b": Behaviour(fails_at=9, raises=KeyboardInterrupt())})
    with pytest.raises(KeyboardInterrupt):
        measure([model("a"), model("b")], [task], tmp_path, world)
    assert world.alive == []
    assert not (tmp_path / "costs").exists()


def test_phases_are_told_in_their_order(task: OpenedTask, tmp_path: Path) -> None:
    told: list[str] = []
    measure([model("a"), model("b")], [task], tmp_path, on_stage=told.append)
    phases = [
        "measuring costs: single queries",
        "measuring costs: batches of 1 to 32 texts",
        "measuring costs: documents by length",
    ]
    assert told == [
        "measuring costs: reading the suite's texts",
        "measuring costs: starting 3 processes",
        *phases,
        "measuring costs: starting 3 new processes in the opposite order",
        *phases,
    ]


def test_a_small_corpus_fills_the_largest_batch_by_coming_again(task: OpenedTask) -> None:
    sources = read_sources([task], PLANS["full"], 1)
    assert len(set(sources.documents.texts)) == 40
    assert len(sources.documents.texts) == 280
    assert len(sources.queries.texts) == 20
