"""The catalogue against MTEB's registry, which it is a snapshot of."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from benchkit.models import catalog

ROOT = Path(__file__).parents[3]
ON_THE_HUB = [entry for entry in catalog.ENTRIES if "/" in entry.id]


@pytest.mark.parametrize("entry", ON_THE_HUB, ids=lambda entry: entry.name)
def test_every_fact_of_an_entry_is_that_of_mteb_s_registry(entry: catalog.Entry) -> None:
    registry = catalog.find_in_registry(entry.id)
    assert registry is not None
    for fact in (
        "id",
        "loader",
        "revision",
        "dimension",
        "parameters",
        "license",
        "languages",
        "prompts",
        "training_tasks",
        "safetensors",
    ):
        assert getattr(entry, fact) == getattr(registry, fact), fact


@pytest.mark.parametrize("entry", ON_THE_HUB, ids=lambda entry: entry.name)
def test_every_pinned_revision_is_a_whole_commit(entry: catalog.Entry) -> None:
    assert re.fullmatch(r"[0-9a-f]{40}", entry.revision or "")


@pytest.mark.parametrize(
    ("name", "id_"),
    [
        ("minilm", "sentence-transformers/all-MiniLM-L6-v2"),
        ("mpnet", "sentence-transformers/all-mpnet-base-v2"),
        ("bge", "BAAI/bge-base-en-v1.5"),
        ("potion", "minishlab/potion-base-8M"),
        ("BAAI/bge-base-en-v1.5", "BAAI/bge-base-en-v1.5"),
        ("tfidf", "tfidf"),
    ],
)
def test_an_entry_is_found_by_short_name_alias_and_hub_name(name: str, id_: str) -> None:
    entry = catalog.find(name)
    assert entry is not None
    assert entry.id == id_


def test_an_unknown_name_has_no_entry() -> None:
    assert catalog.find("minlm") is None
    assert catalog.find_in_registry("nobody/nothing") is None


def test_no_two_entries_share_a_name() -> None:
    names = [name for entry in catalog.ENTRIES for name in {entry.name, entry.id}] + list(catalog.ALIASES)
    assert len(names) == len(set(names))
    assert {"minilm", "potion", "bm25"} <= set(catalog.short_names())


def test_every_loader_is_a_registered_plug_in() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert {entry.loader for entry in catalog.ENTRIES} <= project["entry-points"]["benchkit.models"].keys()


def test_a_registry_entry_with_options_of_its_own_is_left_to_mteb() -> None:
    # mteb loads it in bfloat16
    entry = catalog.find_in_registry("nlpai-lab/KURE-v3")
    assert entry is not None
    assert entry.loader == "mteb"


def test_importing_the_catalogue_imports_no_library() -> None:
    script = "import sys, benchkit.models.catalog; print([m for m in ('mteb', 'torch', 'numpy') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
