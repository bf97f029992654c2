"""`benchkit drift test` and `benchkit drift models` as people meet them: the answer, the exit code, the JSON.

Models are BERTs of random weights; everything runs in this process.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Sequence
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any

import hub_server
import numpy as np
import own_data
import pytest
from drift_data import vectors, write_jsonl, write_parquet

from benchkit import plugins
from benchkit.drift.versions import compare_versions
from benchkit.monitor.live_model import LiveModel
from tests.e2e.cli import Called, call_benchkit

pytestmark = pytest.mark.filterwarnings("ignore")

PAGE = Path(__file__).resolve().parents[2] / "docs" / "plugins.md"


def drift(cwd: Path, *args: str, code: int = 0) -> Called:
    called = call_benchkit(["drift", *args], cwd)
    assert called.code == code, (called.out, called.err)
    return called


# ------------------------------------------------------------ drift test


@pytest.fixture(scope="module")
def streams(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a project with a reference, a stream like it, and one with a fifth of a new domain."""
    folder = tmp_path_factory.mktemp("streams")
    write_parquet(folder / "then.parquet", vectors(900, seed=1), name="vec")
    write_jsonl(folder / "now.jsonl", vectors(700, seed=2))
    np.save(folder / "other.npy", vectors(700, seed=3, domain=0.2))
    np.save(folder / "wide.npy", vectors(100, dimension=24))
    (folder / "texts.txt").write_text("one\ntwo\n", encoding="utf-8")
    return folder


def test_two_halves_end_with_0_and_a_new_domain_with_1(streams: Path) -> None:
    methods = ("--method", "mmd", "--method", "ks", "--rows", "300")
    same = drift(streams, "test", "other.npy", "other.npy", *methods)
    assert same.out.startswith("no drift was found at alpha 0.05, after Holm's correction for 2 methods\n")
    assert "300 of 700 rows, a sample (seed 0)" in same.out
    moved = drift(streams, "test", "now.jsonl", "other.npy", *methods, code=1)
    assert moved.out.startswith("DRIFT by mmd, ks, after Holm's correction for 2 methods\n")
    lines = [line for line in moved.out.splitlines() if "statistic" in line]
    assert [line.split()[0] for line in lines] == ["mmd", "ks"]
    assert all("Holm p" in line and line.endswith("300 and 300 rows") for line in lines)


def test_one_method_says_the_same_on_the_terminal_in_json_and_by_its_code(streams: Path) -> None:
    args = (
        "test",
        "now.jsonl",
        "other.npy",
        "--method",
        "energy",
        "--rows",
        "200",
        "--false-alarms",
        "0.02",
        "--seed",
        "3",
    )
    shown = drift(streams, *args, "--json", "report.json", "--quiet", code=1)
    assert shown.err == ""
    assert "Holm" not in shown.out
    report = json.loads((streams / "report.json").read_text(encoding="utf-8"))
    assert json.loads(drift(streams, *args, "--json", "-", code=1).out) == report
    assert (report["schema_version"], report["drifted"], report["alpha"], report["seed"]) == (1, True, 0.02, 3)
    (method,) = report["methods"]
    assert method["drifted"]
    assert method["p_holm"] == method["result"]["p_value"] == 0.005
    assert f"{method['result']['statistic']:.4g}" in shown.out
    assert (report["current"]["rows"], report["current"]["drawn"], report["current"]["dimension"]) == (700, 200, 16)


@pytest.mark.parametrize(
    ("args", "code", "message"),
    [
        (("then.parquet", "now.jsonl"), 2, "--method"),
        (("then.parquet", "now.jsonl", "--method", "mdm"), 2, "Did you mean 'mmd'"),
        (("then.parquet", "now.jsonl", "--method", "ks", "--false-alarms", "0"), 2, "--false-alarms"),
        (("then.parquet", "now.jsonl", "--method", "ks", "--rows", "4"), 2, "--rows"),
        (("then.parquet", "gone.npy", "--method", "ks"), 2, "gone.npy"),
        (("then.parquet", "now.jsonl", "--method", "ks", "--vector-column", "vac"), 2, "did you mean 'vec'"),
        (("then.parquet", "texts.txt", "--method", "ks"), 2, "there are texts but no vectors"),
        (("then.parquet", "now.jsonl", "--method", "ks", "--json", "no/such/r.json"), 2, "there is no folder"),
        (("now.jsonl", "wide.npy", "--method", "ks"), 4, "dimensions differ"),
    ],
)
def test_wrong_usage_ends_with_2_and_other_dimensions_with_4(
    args: Sequence[str], code: int, message: str, streams: Path
) -> None:
    called = drift(streams, "test", *args, code=code)
    assert message in called.err
    assert "Traceback" not in called.err
    assert called.out == ""


def test_the_detector_of_the_page_keeps_the_contract_and_can_be_named(
    streams: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page: dict[str, Any] = {}
    exec("\n".join(re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)), page)
    page["check_mean_distance"]()

    class Registered(EntryPoint):
        def load(self) -> object:
            return page["MeanDistance"]

    ours = Registered("mean-distance", "my_package.detectors:MeanDistance", plugins.DETECTORS)
    monkeypatch.setattr(plugins, "entry_points", lambda *, group: [*entry_points(group=group), ours])
    found = drift(streams, "test", "now.jsonl", "other.npy", "--method", "mean-distance", "--json", "-", code=1)
    assert json.loads(found.out)["methods"][0]["result"]["method"] == "mean-distance"


# ------------------------------------------------------------ drift models


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a project with a model, a copy of it, another one, and texts and queries."""
    folder = tmp_path_factory.mktemp("models")
    hub_server.build_bert(folder / "tiny")
    hub_server.build_bert(folder / "other", seed=5)
    shutil.copytree(folder / "tiny", folder / "copy")
    texts = [text for _, text in own_data.sentences(160)]
    # One text is there twice, and one line is blank.
    (folder / "texts.txt").write_text("\n".join([*texts, texts[0], "", ""]), encoding="utf-8")
    own_data.jsonl(folder / "texts.jsonl", [{"say": text, "n": number} for number, text in enumerate(texts)])
    own_data.jsonl(folder / "queries.jsonl", [{"text": f"where is {text}?"} for text in texts[:30]])
    (folder / "few.txt").write_text("one\ntwo\n", encoding="utf-8")
    return folder


def compared(project: Path, *args: str) -> dict[str, Any]:
    report: dict[str, Any] = json.loads(drift(project, "models", *args, "--offline", "--json", "-").out)
    assert report["schema_version"] == 1
    return report


def test_a_copy_is_a_drop_in(models: Path) -> None:
    shown = drift(models, "models", "./tiny", "./copy", "--texts", "texts.txt", "--quiet")
    assert shown.out.startswith("Drop-in: mean cosine 1.00000")
    assert "same space                               yes" in shown.out
    assert "160 distinct of 161 rows with a text, " in shown.out
    assert shown.err == ""


def test_another_model_asks_for_a_re_embed_and_still_ends_with_0(models: Path) -> None:
    report = compared(models, "./tiny", "./other", "--texts", "texts.txt")
    assert report["figures"]["advice"] == "re-embed"
    assert not report["figures"]["same_space"]
    assert report["figures"]["cross_recall_at_10"] < 0.5
    assert report["old"]["fingerprint"] != report["new"]["fingerprint"]


def test_the_figures_are_those_of_the_library(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    report = compared(models, "./tiny", "./other", "--texts", "texts.jsonl", "--text-column", "say", "--seed", "4")
    from benchkit.monitor.versions import read_texts
    from benchkit.sources.open import open_source
    from benchkit.types.drift import ColumnNames

    monkeypatch.chdir(models)
    texts = read_texts(open_source("texts.jsonl", columns=ColumnNames(text="say")), seed=4).texts
    old, new = (LiveModel.open(name, device="cpu", offline=True).encode(texts) for name in ("./tiny", "./other"))
    figures = compare_versions(old, new, seed=4)
    assert report["figures"]["mean_cosine"] == pytest.approx(figures.mean_cosine, abs=1e-5)
    assert report["figures"]["linear_recall_at_10"] == pytest.approx(figures.linear_recall_at_10, abs=0.01)
    assert report["texts"]["texts"] == 160


def test_queries_search_among_the_texts_and_dimensions_may_differ(models: Path) -> None:
    args = ("./tiny", "./tiny@dim=16", "--texts", "texts.txt", "--queries", "queries.jsonl")
    report = compared(models, *args)
    assert (report["figures"]["n_queries"], report["queries"]["texts"]) == (30, 30)
    assert (report["new"]["dimension"], report["figures"]["cross_recall_at_10"]) == (16, None)
    shown = drift(models, "models", *args, "--quiet")
    assert "recall@10 of new queries on old vectors  not possible: the dimensions differ" in shown.out
    assert "queries                                  30 distinct of 30 rows" in shown.out


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("./tiny", "./copy"), "--texts"),
        (("./tiny", "./copy", "--texts", "few.txt"), "2 distinct texts; 60 are needed"),
        (("./tiny", "./copy", "--texts", "gone.txt"), "gone.txt"),
        (("./tiny", "./none", "--texts", "texts.txt"), "none"),
        (("./tiny", "bm25", "--texts", "texts.txt"), "has no vectors of its own"),
        (("./tiny", "./copy", "--texts", "texts.jsonl", "--text-column", "sai"), "did you mean 'say'"),
        (("./tiny", "./copy", "--texts", "texts.txt", "--queries", "texts.txt"), "every query is one of the texts"),
    ],
)
def test_wrong_usage_ends_with_2_and_says_why(args: Sequence[str], message: str, models: Path) -> None:
    called = drift(models, "models", *args, code=2)
    assert message in called.err
    assert "Traceback" not in called.err
