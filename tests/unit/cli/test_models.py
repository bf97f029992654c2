"""`benchkit models show` says what a name is, with the model's files and without them."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from benchkit.cli.models import command
from benchkit.errors import ModelError
from benchkit.models.catalog import find

NO_FILES = "not known without its files"


@pytest.fixture(autouse=True)
def empty_hub_cache(tmp_path: Path, own_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")  # so that it is put back: --offline sets it


def show(name: str) -> dict[str, str]:
    done = CliRunner().invoke(command, ["show", name, "--offline"], standalone_mode=False, catch_exceptions=False)
    if done.exception is not None:
        raise done.exception
    assert done.exit_code == 0
    return {label: value.strip() for label, _, value in (line.partition(":") for line in done.output.splitlines())}


def test_without_its_files_the_catalogue_is_shown_and_what_it_does_not_know_is_said() -> None:
    mpnet = find("mpnet")
    assert mpnet is not None
    shown = show("mpnet")
    assert (shown["name"], shown["id"], shown["revision"]) == ("mpnet", mpnet.id, mpnet.revision)
    assert (shown["dimension"], shown["bytes per vector"]) == ("768", "3072")
    assert (shown["parameters"], shown["licence"]) == (str(mpnet.parameters), mpnet.license)
    assert shown["fingerprint"] == shown["similarity"] == shown["longest input"] == NO_FILES
    assert shown["note"].startswith("from the catalogue alone: sentence-transformers/all-mpnet-base-v2: offline, and")
    assert "benchkit models prefetch mpnet --to DIR" in shown["note"]


def test_a_variant_has_its_own_size_without_its_files_too() -> None:
    shown = show("mpnet@dim=100,precision=binary,max_seq_length=64")
    assert (shown["dimension"], shown["precision"], shown["bytes per vector"]) == ("100", "binary", "13")
    assert shown["longest input"] == "64 tokens"


@pytest.mark.slow  # imports mteb
def test_a_model_whose_code_may_not_run_and_one_of_the_registry_are_shown_too() -> None:
    nomic = show("nomic")
    assert (nomic["id"], nomic["dimension"]) == ("nomic-ai/nomic-embed-text-v1.5", "768")
    assert "trust_remote_code: true" in nomic["note"]
    assert show("sentence-transformers/LaBSE")["dimension"] == "768"


def test_a_name_that_nobody_knows_is_still_refused() -> None:
    with pytest.raises(ModelError, match=r"no model named 'mpnt'\. Did you mean 'mpnet'\?"):
        show("mpnt")
    with pytest.raises(
        ModelError,
        match="nobody/nothing: no such folder, and as a name on the hub: offline, and it isn't in the hub's cache",
    ):
        show("nobody/nothing")
