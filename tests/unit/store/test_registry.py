"""What the registry tells of champions, and which of them it refuses."""

from __future__ import annotations

import json
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from champions import SUITE, Promote, client_of, facts, labels, present

from benchkit.errors import NotComparable, UsageError
from benchkit.store import promotable, registry

pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy is deprecated:DeprecationWarning")


# Promote and look


def test_a_champion_is_a_version_that_says_who_when_why_and_after_which_gate(
    promote: Promote, tracking_uri: str, tmp_path: Path
) -> None:
    promote("minilm", gate=None, reason="the first")
    made = promote("bge")
    found, file = registry.fetch_champion(tracking_uri, SUITE, tmp_path / "new" / "folder")

    assert registry.champion(tracking_uri, SUITE) == made == found
    assert file == tmp_path / "new" / "folder" / "scored.json"
    assert json.loads(file.read_text()) == {"model": "bge"}
    assert (made.suite, made.version, made.previous, made.is_present) == ("support", 2, 1, True)
    assert (made.model, made.model_id, made.fingerprint) == ("bge", "example/bge", "fp-bge")
    assert (made.when, made.by, made.reason) == ("2026-11-20T12:00:00+00:00", "ana", "bge is better")
    assert (made.gate_id, made.gate_verdict, made.forced) == ("gate-bge", "pass", False)
    assert made.tags["benchkit.promotion"] == "complete"
    assert made.address == tracking_uri
    with client_of(tracking_uri) as client:
        run = client.get_run(made.run_id)
        version = client.get_model_version_by_alias("benchkit-support", "champion")
        experiment = client.get_experiment(run.info.experiment_id).name
    assert (run.info.status, run.data.tags["benchkit.kind"]) == ("FINISHED", "champion")
    assert (version.version, version.run_id, version.source) == (2, run.info.run_id, run.info.artifact_uri)
    assert experiment == "benchkit/support/champions"


def test_history_is_newest_first_and_tells_the_present_one(promote: Promote, tracking_uri: str) -> None:
    for name in ("minilm", "bge", "e5"):
        promote(name)
    found = registry.history(tracking_uri, SUITE)

    assert [(one.model, one.version, one.previous, one.is_present) for one in found] == [
        ("e5", 3, 2, True),
        ("bge", 2, 1, False),
        ("minilm", 1, None, False),
    ]
    assert registry.history(tracking_uri, SUITE, 2) == found[:2]
    assert registry.history(tracking_uri, SUITE, 0) == []


def test_history_is_whole_however_many_versions_a_page_holds(
    promote: Promote, tracking_uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("minilm", "bge", "e5"):
        promote(name)
    monkeypatch.setattr(registry, "_PAGE", 1)
    assert labels(tracking_uri) == ["e5", "bge", "minilm"]


def test_an_alias_that_was_moved_back_by_hand_is_followed_and_history_keeps_what_was(
    promote: Promote, tracking_uri: str
) -> None:
    for name in ("minilm", "bge"):
        promote(name)
    with client_of(tracking_uri) as client:
        client.set_registered_model_alias("benchkit-support", "champion", "1")

    assert [(one.model, one.is_present) for one in registry.history(tracking_uri, SUITE)] == [
        ("minilm", True),
        ("bge", False),
    ]
    assert promote("e5").previous == 1


def test_suites_have_champions_of_their_own_and_are_listed_by_name(promote: Promote, tracking_uri: str) -> None:
    for suite in ("support", "a/b", "a=b", "客服 'suite'"):
        promote("minilm", suite=suite)
    with client_of(tracking_uri) as client:
        client.create_registered_model("benchkit-of-another-tool")
        client.create_registered_model("other", tags={"benchkit.suite": "other"})

    suites = registry.suites_with_champions(tracking_uri)
    assert suites == ["a/b", "a=b", "support", "客服 'suite'"]
    assert [registry.champion(tracking_uri, suite).suite for suite in suites] == suites  # type: ignore[union-attr]
    assert len({registry.registered_name(suite) for suite in suites}) == 4


def test_looking_makes_no_database(tmp_path: Path) -> None:
    uri = str(tmp_path / "runs")
    assert registry.champion(uri, SUITE) is None
    assert registry.history(uri, SUITE) == registry.suites_with_champions(uri) == []
    assert promotable.last_gate(uri, SUITE, facts("minilm")) is None
    with pytest.raises(NotComparable):
        registry.fetch_champion(uri, SUITE, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_without_a_champion_the_next_step_is_named_and_quoted_for_a_shell(tracking_uri: str, tmp_path: Path) -> None:
    with pytest.raises(NotComparable) as caught:
        registry.fetch_champion(tracking_uri, "my suite\x1b", tmp_path)
    assert str(caught.value) == (
        "suite 'my suite' has no champion; make one with `benchkit baseline promote MODEL --suite 'my suite'`, "
        "or name a baseline file or a model"
    )
    assert caught.value.exit_code == 4


def test_a_champion_of_before_is_fetched_by_its_version(promote: Promote, tracking_uri: str, tmp_path: Path) -> None:
    made = [promote(name) for name in ("minilm", "bge", "e5")]
    for one in made:
        found, file = registry.fetch_champion(tracking_uri, SUITE, tmp_path / one.model, version=one.version)
        assert (found.version, found.model, found.is_present) == (one.version, one.model, one.model == "e5")
        assert registry.file_digest(file) == one.file_digest
    with pytest.raises(NotComparable) as caught:
        registry.fetch_champion(tracking_uri, SUITE, tmp_path, version=9)
    assert str(caught.value) == (
        "suite support has no champion of version 9 in its history, where the newest is 3; "
        "`benchkit baseline list --suite support` shows all"
    )
    with pytest.raises(NotComparable, match="suite other has no champion; make one with"):
        registry.fetch_champion(tracking_uri, "other", tmp_path, version=1)


def test_a_version_that_never_was_champion_is_not_fetched(promote: Promote, tracking_uri: str, tmp_path: Path) -> None:
    promote("minilm")
    with client_of(tracking_uri) as client:
        client.create_model_version("benchkit-support", "somewhere")
    with pytest.raises(NotComparable, match="has no champion of version 2 in its history, where the newest is 1"):
        registry.fetch_champion(tracking_uri, SUITE, tmp_path, version=2)


def test_reasons_and_labels_are_one_line_of_a_limited_length(promote: Promote) -> None:
    made = promote(
        "bge",
        reason="第一\n\x1b[31m" + "理" * 10_000,
        by=" \n",
        model=facts("bge", label="\u202e模\x00型\n"),
        suite="x" * 9000,
    )
    assert made.reason.startswith("第一 [31m" + "理" * 3000)
    assert len(made.reason) == 4000
    assert (made.by, made.model) == ("unknown", "模 型")
    assert len(made.suite) == 200


def test_the_registry_is_in_the_store_itself_whatever_the_environment_says(
    promote: Promote, tracking_uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_REGISTRY_URI", f"sqlite:///{tmp_path}/elsewhere.db")
    monkeypatch.chdir(tmp_path)
    promote("minilm")
    assert present(tracking_uri) == "minilm"
    assert not list(tmp_path.glob("elsewhere*")) + list(tmp_path.glob("ml*s"))


def test_it_is_silent(promote: Promote, tracking_uri: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    promote("minilm")
    registry.fetch_champion(tracking_uri, SUITE, tmp_path)
    assert capfd.readouterr() == ("", "")


# A champion that can't be used


def test_a_champion_whose_run_was_deleted_is_refused_with_what_brings_it_back(
    promote: Promote, tracking_uri: str, tmp_path: Path
) -> None:
    made = promote("minilm")
    with client_of(tracking_uri) as client:
        client.delete_run(made.run_id)
    with pytest.raises(
        NotComparable, match=f"its run was deleted; `mlflow runs restore --run-id {made.run_id}` brings"
    ):
        registry.fetch_champion(tracking_uri, SUITE, tmp_path)


def test_a_champion_whose_run_is_gone_for_good_is_refused(promote: Promote, tracking_uri: str, tmp_path: Path) -> None:
    made = promote("minilm")
    with closing(sqlite3.connect(tracking_uri.removeprefix("sqlite:///"))) as database:
        for table in ("tags", "runs"):
            database.execute(f"DELETE FROM {table} WHERE run_uuid = ?", (made.run_id,))
        database.commit()
    with pytest.raises(
        NotComparable, match=r"version 1, minilm\): its run was deleted for good; promote a model again"
    ):
        registry.fetch_champion(tracking_uri, SUITE, tmp_path)


def test_a_champion_whose_file_is_gone_is_refused(promote: Promote, tracking_uri: str, tmp_path: Path) -> None:
    promote("minilm")
    shutil.rmtree(tmp_path / "tracked" / "artifacts")
    with pytest.raises(NotComparable, match=r"has lost its scored.json: it was deleted, or the folder .* was moved"):
        registry.fetch_champion(tracking_uri, SUITE, tmp_path)


def test_a_champion_whose_file_was_changed_is_refused(promote: Promote, tracking_uri: str, tmp_path: Path) -> None:
    made = promote("minilm")
    kept = tmp_path / "tracked" / "artifacts" / made.run_id / "artifacts" / "scored.json"
    kept.write_text(kept.read_text()[:-1])
    with pytest.raises(NotComparable, match=r"its scored.json is not the file that was promoted"):
        registry.fetch_champion(tracking_uri, SUITE, tmp_path)


def test_a_folder_that_cannot_be_made_is_refused(promote: Promote, tracking_uri: str, tmp_path: Path) -> None:
    promote("minilm")
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="Not a directory; the champion's scores need a folder"):
        registry.fetch_champion(tracking_uri, SUITE, tmp_path / "file" / "into")


@pytest.mark.filterwarnings("ignore:.*transition_model_version_stage.*:FutureWarning")
def test_an_archived_champion_is_refused(promote: Promote, tracking_uri: str) -> None:
    promote("minilm")
    with client_of(tracking_uri) as client:
        client.transition_model_version_stage("benchkit-support", "1", "Archived")
    with pytest.raises(NotComparable, match=r"version 1 of benchkit-support, was archived in MLflow; promote a model"):
        registry.champion(tracking_uri, SUITE)


def test_an_alias_on_a_version_of_somebody_else_is_refused_and_can_be_replaced(
    promote: Promote, tracking_uri: str
) -> None:
    with client_of(tracking_uri) as client:
        client.create_registered_model("benchkit-support")
        client.create_model_version("benchkit-support", "file:///nowhere")
        client.set_registered_model_alias("benchkit-support", "champion", "1")
    with pytest.raises(NotComparable, match="version 1 of benchkit-support, which benchkit did not promote"):
        registry.champion(tracking_uri, SUITE)
    assert registry.history(tracking_uri, SUITE) == []

    promote("bge", forced=True)
    assert labels(tracking_uri) == ["bge"]
    assert registry.suites_with_champions(tracking_uri) == [SUITE]


def test_a_deleted_version_is_no_champion(promote: Promote, tracking_uri: str) -> None:
    promote("minilm")
    with client_of(tracking_uri) as client:
        client.delete_model_version("benchkit-support", "1")
    assert registry.champion(tracking_uri, SUITE) is None
    assert promote("bge", gate=None).previous is None
