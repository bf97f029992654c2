"""A task that was opened before is opened without MTEB; changed data are noticed, before and during a run."""

from __future__ import annotations

import shutil
from pathlib import Path

import mteb
import own_data
import pytest
from fakes import SHARED_DATA, HashingEncoder

from benchkit.errors import CellFailed, SuiteError
from benchkit.tasks import opened as module
from benchkit.tasks.known import known_folder
from benchkit.tasks.opened import OpenedTask, expand_benchmark, open_task
from benchkit.tasks.scoring import score_task
from benchkit.types.model import Variant
from benchkit.types.task import TASK_TYPES, TaskSpec

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")
MIRROR = SHARED_DATA / "mteb__stsbenchmark-sts"


def open_(spec: TaskSpec, cache: Path) -> OpenedTask:
    return open_task(spec, cache_dir=cache, offline=True)


def facts_of(task: OpenedTask) -> dict[str, object]:
    names = ("type", "main_metric", "revision", "source_digest", "notes", "spec")
    return {name: getattr(task, name) for name in names}


@pytest.fixture
def without_mteb(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stand in the way of whoever looks a task up."""

    def refuse(*_: object) -> object:
        raise AssertionError("MTEB was asked")

    monkeypatch.setattr(module, "_find_class", refuse)
    monkeypatch.setattr(module, "_tasks_of_benchmark", refuse)


def specs(root: Path) -> list[TaskSpec]:
    own = [TaskSpec(name=f"own-{kind}", type=kind, data=path) for kind, path in own_data.write_all(root).items()]
    mirrored = [TaskSpec(name="STSBenchmark", data=MIRROR)] if MIRROR.is_dir() else []
    return [*own, *mirrored, TaskSpec(name="Banking77Classification"), TaskSpec(name="STS22", subsets=("en",))]


def test_a_task_that_was_opened_before_is_opened_without_mteb(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    asked = specs(tmp_path / "data")
    first = [facts_of(open_(spec, tmp_path)) for spec in asked]
    request.getfixturevalue("without_mteb")
    assert [facts_of(open_(spec, tmp_path)) for spec in asked] == first


@pytest.mark.parametrize("kind", TASK_TYPES)
def test_a_task_that_was_opened_from_facts_gives_the_same_score(kind: str, tmp_path: Path) -> None:
    data = own_data.write_all(tmp_path / "data")[kind]
    spec = TaskSpec(name=f"own-{kind}", type=kind, data=data)
    first, second = open_(spec, tmp_path), open_(spec, tmp_path)
    assert second._class is None, "the second was opened from facts"
    scores = [score_task(task, HashingEncoder(), Variant()).main_score for task in (first, second)]
    assert scores[0] == scores[1]
    assert first.data_digest == second.data_digest


def test_changed_own_data_are_read_and_checked_again(tmp_path: Path) -> None:
    data = own_data.sts(tmp_path / "sts.jsonl")
    spec = TaskSpec(name="s", type="STS", data=data)
    before = open_(spec, tmp_path)
    data.write_text(data.read_text(encoding="utf-8").replace('"score"', '"scoer"'), encoding="utf-8")
    with pytest.raises(SuiteError, match="score"):
        open_(spec, tmp_path)
    own_data.sts(data, n=50)
    after = open_(spec, tmp_path)
    assert after.revision != before.revision
    assert after.source_digest != before.source_digest


@pytest.mark.skipif(not MIRROR.is_dir(), reason="needs the mirror of STSBenchmark in shared/data")
def test_a_changed_mirror_is_another_revision(tmp_path: Path) -> None:
    mirror = shutil.copytree(MIRROR, tmp_path / "mirror")
    spec = TaskSpec(name="STSBenchmark", data=mirror)
    before = open_(spec, tmp_path)
    (mirror / "README.md").write_text("changed", encoding="utf-8")
    assert open_(spec, tmp_path).revision != before.revision


def test_data_that_change_between_opening_and_loading_are_refused(tmp_path: Path) -> None:
    """The cell would be kept under the content that is gone."""
    data = own_data.sts(tmp_path / "sts.jsonl")
    spec = TaskSpec(name="s", type="STS", data=data)
    open_(spec, tmp_path)
    task = open_(spec, tmp_path)
    own_data.sts(data, n=50)
    with pytest.raises(CellFailed, match=r"sts\.jsonl changed while the comparison ran; start it again"):
        task.load()
    with pytest.raises(CellFailed, match="changed"):
        task.load()


def test_data_that_are_gone_when_they_are_needed_fail_with_their_path(tmp_path: Path) -> None:
    data = own_data.sts(tmp_path / "sts.jsonl")
    spec = TaskSpec(name="s", type="STS", data=data)
    open_(spec, tmp_path)
    task = open_(spec, tmp_path)
    data.unlink()
    with pytest.raises(SuiteError, match=r"sts\.jsonl"):
        task.load()


def test_an_unknown_task_is_refused_each_time(tmp_path: Path) -> None:
    for _ in range(2):
        with pytest.raises(SuiteError, match="no MTEB task named 'STSBenchmrk'"):
            open_(TaskSpec(name="STSBenchmrk"), tmp_path)
    assert not known_folder(tmp_path).exists()


def test_an_unknown_subset_is_refused_after_the_task_was_known(tmp_path: Path) -> None:
    open_(TaskSpec(name="STS22"), tmp_path)
    with pytest.raises(SuiteError, match="'STS22' has no subset 'xx'"):
        open_(TaskSpec(name="STS22", subsets=("xx",)), tmp_path)


def test_another_pin_of_mteb_is_found_under_another_version_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The pins of a version don't move, which is what the facts rest on."""
    from benchkit.tasks import known

    spec = TaskSpec(name="Banking77Classification")
    assert open_(spec, tmp_path).revision == mteb.get_task("Banking77Classification").metadata.revision
    monkeypatch.setattr(known, "version", lambda name: "99")
    task = open_(spec, tmp_path)
    assert task._class is not None, "another version asks MTEB again"


def test_a_benchmark_that_was_expanded_before_is_expanded_without_mteb(
    tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    name = "MTEB(eng, v2)"
    plain = expand_benchmark(name, types=(), exclude=())
    assert expand_benchmark(name, types=(), exclude=(), cache_dir=tmp_path) == plain
    request.getfixturevalue("without_mteb")
    assert expand_benchmark(name, types=(), exclude=(), cache_dir=tmp_path) == plain
    some = expand_benchmark(name, types=("STS", "Retrieval"), exclude=("BIOSSES",), cache_dir=tmp_path)
    assert 0 < len(some) < len(plain)
    assert "BIOSSES" not in {spec.name for spec in some}
    with pytest.raises(SuiteError, match=r"'MTEB\(eng, v2\)' holds no task 'Nothing'"):
        expand_benchmark(name, types=(), exclude=("Nothing",), cache_dir=tmp_path)


def test_an_unknown_benchmark_is_refused_and_not_kept(tmp_path: Path) -> None:
    with pytest.raises(SuiteError, match=r"no MTEB benchmark named 'MTEB\(eng, v9\)'"):
        expand_benchmark("MTEB(eng, v9)", types=(), exclude=(), cache_dir=tmp_path)
    assert not known_folder(tmp_path).exists()


def linked(root: Path) -> tuple[Path, Path]:
    """Write a data set whose judgements are behind a link to a folder; return it and that folder."""
    data, shared = own_data.retrieval(root / "search", 12), root / "shared"
    (data / "qrels").rename(shared)
    (data / "qrels").symlink_to(shared)
    return data, shared


def test_files_behind_a_link_to_a_folder_are_part_of_the_content(tmp_path: Path) -> None:
    data, shared = linked(tmp_path)
    spec = TaskSpec(name="s", type="Retrieval", data=data)
    before = open_(spec, tmp_path / "cache")
    own_data.tsv(shared / "test.tsv", ("query-id", "corpus-id", "score"), [(f"q{i}", f"d{i + 1}", 1) for i in range(6)])
    after = open_(spec, tmp_path / "cache")
    assert before.revision != after.revision
    with pytest.raises(CellFailed, match="changed while the comparison ran"):
        before.load()


def test_a_link_counts_as_what_it_leads_to(tmp_path: Path) -> None:
    data, _ = linked(tmp_path)
    copy = tmp_path / "copy" / "search"
    shutil.copytree(data, copy)  # follows links
    revisions = {open_(TaskSpec(name="s", type="Retrieval", data=at), tmp_path / "c").revision for at in (data, copy)}
    assert len(revisions) == 1


def test_links_that_lead_round_and_round_are_followed_once(tmp_path: Path) -> None:
    data = own_data.retrieval(tmp_path / "search", 12)
    (data / "a").mkdir()
    (data / "c").mkdir()
    (data / "a" / "b").symlink_to(data / "c")
    (data / "c" / "d").symlink_to(data / "a")
    (data / "up").symlink_to(data)
    assert open_(TaskSpec(name="s", type="Retrieval", data=data), tmp_path / "cache").revision
