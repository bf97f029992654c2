"""Everything that goes wrong outside of benchkit: one clear message, an exit code that says what, and no traceback.

Messages are tested through the command's `main` in this process; what needs a process of its own (streams that close,
what stands on stdout alone) goes through the installed command.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import hub_server
import own_data
import pytest

sys.path.insert(0, str(Path(__file__).parent))

from cli import COMMAND, Called, call_benchkit, encoded, environment, make_project, read_result, run_benchkit

pytestmark = pytest.mark.filterwarnings("ignore")

TYPES = {
    "Retrieval": "data/retrieval",
    "Reranking": "data/reranking",
    "STS": "data/sts.jsonl",
    "PairClassification": "data/pairs.jsonl",
    "Classification": "data/labelled",
    "MultilabelClassification": "data/multilabelled",
    "Clustering": "data/clustering/test.jsonl",
    "BitextMining": "data/bitext.jsonl",
}


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A BERT of random weights."""
    return hub_server.build_bert(tmp_path_factory.mktemp("model") / "tiny", seed=1)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project with the suite "alike.yaml": one STS task."""
    folder = make_project(tmp_path / "project")
    own_data.sts(folder / "sts.jsonl")
    write_suite(folder / "alike.yaml", "alike", {"sts": ("STS", "sts.jsonl")})
    return folder


def write_suite(path: Path, name: str, tasks: Mapping[str, tuple[str, str]]) -> Path:
    lines = [f"  - {{name: {task}, type: {kind}, data: {data}}}" for task, (kind, data) in tasks.items()]
    path.write_text("\n".join([f"name: {name}", "tasks:", *lines, ""]))
    return path


def compare(folder: Path, *models: str, suite: str = "alike.yaml", more: Sequence[str] = ("--no-track",)) -> Called:
    """Compare in this process, offline and without a record unless `more` says otherwise."""
    return call_benchkit(["compare", *models, "--suite", suite, "--offline", "--json", "out.json", *more], folder)


def result(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "out.json").read_text(encoding="utf-8"))
    return found


def cell(folder: Path, model: str, task: str = "sts") -> dict[str, Any]:
    (found,) = [cell for cell in result(folder)["cells"] if (cell["model"], cell["task"]) == (model, task)]
    return found


def assert_refused(called: Called, *parts: str) -> None:
    """The run ended with exit code 2, nothing on stdout, and one message that has all these parts."""
    assert called.code == 2, called
    assert called.out == ""
    assert called.err.count("error: ") == 1, called.err
    for part in parts:
        assert part in called.err
    assert "Traceback" not in called.err


# ---------------------------------------------------------------- the command line

REFUSED_ARGUMENTS = {
    "command": (["comprae", "tfidf"], ["no command 'comprae'", "Did you mean 'compare'?", "benchkit --help"]),
    "option": (["compare", "tfidf", "--siute", "alike.yaml"], ["'--siute'", "'--suite'", "benchkit compare --help"]),
    "no value": (["compare", "tfidf", "--suite"], ["'--suite' requires an argument", "benchkit --help"]),
    "no model": (["compare", "--suite", "alike.yaml"], ["name at least one model", "benchkit models list"]),
    "model": (["compare", "tfdf", "--suite", "alike.yaml"], ["no model named 'tfdf'", "Did you mean 'tfidf'?", "bm25"]),
    "two models": (
        ["compare", "minlm", "mpnt", "--suite", "alike.yaml"],
        ["no model named 'minlm'. Did you mean 'minilm'?", "no model named 'mpnt'. Did you mean 'mpnet'?"],
    ),
    "model twice": (["compare", "tfidf", "tfidf", "--suite", "alike.yaml"], ["named twice: tfidf", "once"]),
    "variant key": (["compare", "tfidf@dimm=3"], ["unknown key 'dimm'", "Did you mean 'dim'?", "precision"]),
    "variant value": (["compare", "minilm@dim=abc"], ["dim should be a whole number of at least 1, got 'abc'"]),
    "two variants": (
        ["compare", "minilm@dim=abc", "tfidf", "minilm@precision=int9"],
        ["got 'abc'", "got 'int9'"],
    ),
    "precision": (["compare", "minilm@precision=int9"], ["float32, float16, int8, binary", "got 'int9'"]),
    "directory": (["compare", "./nosuch", "--suite", "alike.yaml"], ["there is no directory './nosuch'"]),
    "not a model": (["compare", ".", "--suite", "alike.yaml"], ["neither modules.json nor config.json"]),
    "offline model": (
        ["compare", "mpnet", "--suite", "alike.yaml", "--offline"],
        ["all-mpnet-base-v2", "offline", "benchkit models prefetch mpnet --to DIR"],
    ),
    "suite file": (["compare", "tfidf", "--suite", "alik.yaml"], ["alik.yaml: no such suite file", "'alike.yaml'"]),
    "suite name": (["compare", "tfidf", "--suite", "quikstart"], ["'quikstart'", "did you mean 'quickstart'?"]),
    "suite is empty": (["compare", "tfidf", "--suite", ""], ["no suite named ''", "quickstart"]),
    "suite is data": (["compare", "tfidf", "--suite", "sts.jsonl"], ["sts.jsonl:", "not readable as YAML"]),
    "baseline": (
        ["compare", "tfidf", "--suite", "alike.yaml", "--baseline", "tfdf"],
        ["--baseline: 'tfdf'", "Did you mean 'tfidf'?"],
    ),
    "baseline is empty": (["compare", "tfidf", "--suite", "alike.yaml", "--baseline", ""], ["--baseline: ''"]),
    "device": (["compare", "tfidf", "--suite", "alike.yaml", "--device", "gpu"], ["'gpu'", "auto, cpu, cuda, cuda:N"]),
    "seed": (["compare", "tfidf", "--seed", "abc"], ["--seed", "'abc' is not a valid whole number"]),
    "json is a folder": (["compare", "tfidf", "--json", "."], ["--json: a file is needed, got the folder '.'"]),
    "json is empty": (["compare", "tfidf", "--json", ""], ["--json: a file is needed"]),
    "no folder": (["compare", "tfidf", "--html", "no/x.html"], ["--html no/x.html: there is no folder", "make it"]),
    "tracking": (
        ["compare", "tfidf", "--suite", "alike.yaml", "--tracking-uri", "foo://bar"],
        ["'foo://bar'", "sqlite:///<path>, postgresql://... or http(s)://...", "--no-track"],
    ),
    "no tracking": (["compare", "tfidf", "--suite", "alike.yaml", "--tracking-uri", ""], ["tracking URI ''"]),
    "size": (["cache", "prune", "--max-size", "huge"], ["'huge' is no size; write 500M"]),
    "no result": (["track", "nothing.json"], ["nothing.json: No such file"]),
    "not a result": (["track", "sts.jsonl"], ["sts.jsonl: not JSON"]),
    "prefetch": (["models", "prefetch", "minlm", "--to", "there"], ["'minlm'", "Did you mean 'minilm'?"]),
}


@pytest.mark.parametrize(("args", "parts"), REFUSED_ARGUMENTS.values(), ids=REFUSED_ARGUMENTS)
def test_wrong_argument_is_refused_with_what_was_found_and_what_is_possible(
    args: list[str], parts: list[str], project: Path
) -> None:
    assert_refused(call_benchkit(args, project), *parts)
    assert not (project / "mlruns").exists()


def test_wrong_settings_are_refused_with_the_file_that_holds_them(project: Path) -> None:
    settings = project / "benchkit.toml"
    settings.write_text('siute = "x"\noffline = "yes"\n')
    wrong = (f"{settings}: siute: unknown key (did you mean 'suite'?)", "offline: expected true or false, got 'yes'")
    assert_refused(call_benchkit(["compare", "tfidf"], project), *wrong)
    settings.write_text('suite = "nope"\n')
    assert_refused(call_benchkit(["compare", "tfidf"], project), f"{settings}: suite: no suite named 'nope'")


def test_folder_that_is_gone_is_one_message(tmp_path: Path) -> None:
    ended = shell('mkdir gone && cd gone && rmdir "$PWD" && benchkit cache info', tmp_path)
    assert (ended.returncode, ended.stderr) == (2, b"error: the current folder is gone; go to one that is there\n")


@pytest.mark.parametrize("group", [[], ["models"], ["suites"], ["cache"]])
def test_group_without_a_command_shows_its_help_as_it_is(group: list[str], project: Path) -> None:
    called = call_benchkit(group, project)
    assert (called.code, called.out) == (2, "")
    assert called.err.startswith(f"Usage: {' '.join(['benchkit', *group])} [OPTIONS] COMMAND")
    assert "error" not in called.err


# ---------------------------------------------------------------- suite files

REFUSED_SUITES = {
    "keys": (
        "nmae: x\ntasks:\n  - {name: a, tpye: STS}\n  - {nme: b}\n",
        ["bad.yaml:1: nmae: unknown key (did you mean 'name'?)", "bad.yaml:3: tasks[0].tpye", "bad.yaml:4: tasks[1]"],
    ),
    "type": (
        "name: x\ntasks:\n  - {name: a, type: Retreival, data: sts.jsonl}\n",
        ["bad.yaml:3: tasks[0].type: unknown value 'Retreival' (did you mean 'Retrieval'?)"],
    ),
    "data": (
        "name: x\ntasks:\n  - {name: a, type: STS, data: stss.jsonl}\n",
        ["bad.yaml:3: tasks[0].data: no such file or folder", "did you mean 'sts.jsonl'?"],
    ),
    "column": (
        "name: x\ntasks:\n  - {name: a, type: STS, data: sts.jsonl, columns: {sentnce1: a}}\n",
        ["tasks[0].columns.sentnce1: unknown column (did you mean 'sentence1'?)"],
    ),
    "task": (
        "name: x\ntasks:\n  - {name: STSBenchmrk}\n",
        ["bad.yaml:3: tasks[0].name: no MTEB task named 'STSBenchmrk'", "'STSBenchmark'", "give type and data"],
    ),
    "benchmark": (
        'name: x\ntasks:\n  - {benchmark: "MTEB(eng, v9)"}\n',
        ["bad.yaml:3: tasks[0].benchmark: no MTEB benchmark named 'MTEB(eng, v9)'", "MTEB(eng, v2)"],
    ),
    "names and keys": (
        "name: x\nseeed: 1\ntasks:\n  - {name: STSBenchmrk}\n  - {name: STS22, subsets: [enn], splits: [tset]}\n",
        [
            "bad.yaml:2: seeed: unknown key (did you mean 'seed'?)",
            "bad.yaml:4: tasks[0].name: no MTEB task named 'STSBenchmrk'",
            "bad.yaml:5: tasks[1].subsets[0]: the MTEB task 'STS22' has no subset 'enn' (did you mean 'en'?)",
            "bad.yaml:5: tasks[1].splits[0]: the MTEB task 'STS22' has no split 'tset' (did you mean 'test'?)",
        ],
    ),
    "empty": ("", ["bad.yaml:1: the file is empty", "template.yaml"]),
    "tab": ("name: x\ntasks:\n\t- {name: a}\n", ["bad.yaml:3: a tab where YAML wants spaces"]),
}


@pytest.mark.parametrize(("text", "parts"), REFUSED_SUITES.values(), ids=REFUSED_SUITES)
def test_wrong_suite_is_refused_with_file_line_and_key(text: str, parts: list[str], project: Path) -> None:
    (project / "bad.yaml").write_text(text)
    assert_refused(compare(project, "tfidf", suite="bad.yaml"), *parts)


# ---------------------------------------------------------------- data

PAIR = {"sentence1": "a cold radiator", "sentence2": "a warm radiator"}


def pairs(*rows: Mapping[str, Any]) -> Callable[[Path], None]:
    return lambda path: path.write_text("".join(json.dumps({**PAIR, **row}) + "\n" for row in rows)) and None


def raw(content: bytes) -> Callable[[Path], None]:
    return lambda path: path.write_bytes(content) and None


# type, name of the file, what is in it, what is said
REFUSED_FILES: dict[str, tuple[str, str, Callable[[Path], None], list[str]]] = {
    "empty file": ("STS", "x.jsonl", raw(b""), ["x.yaml:3: tasks[0].data: an empty file"]),
    "header alone": ("STS", "x.csv", raw(b"sentence1,sentence2,score\n"), ["x.csv: 0 rows; at least 2 are needed"]),
    "score is a text": (
        "STS",
        "x.jsonl",
        pairs({"score": 1}, {"score": "high"}),
        ["x.jsonl:2: score should be a finite number, got 'high'"],
    ),
    "score is NaN": (
        "STS",
        "x.jsonl",
        pairs({"score": 1}, {"score": float("nan")}),
        ["x.jsonl:2: score should be a finite number, got nan"],
    ),
    "score is missing": ("STS", "x.jsonl", pairs({"score": 1}, {"score": None}), ["x.jsonl:2: score", "got None"]),
    "score is huge": (
        "STS",
        "x.jsonl",
        pairs({"score": 1}, {"score": 10**400}),
        ["x.jsonl:2: score should be a finite"],
    ),
    "number of 5,000 digits": (
        "STS",
        "x.jsonl",
        raw(b'{"score": 1' + b"0" * 5000 + b"}\n"),
        ["x.jsonl:1: not readable as JSON"],
    ),
    "nested too deep": ("STS", "x.jsonl", raw(b"[" * 100_000), ["x.jsonl:1: not readable as JSON"]),
    "one score": ("STS", "x.jsonl", pairs({"score": 1}, {"score": 1}), ["x.jsonl: every score is 1"]),
    "no text": (
        "STS",
        "x.jsonl",
        pairs({"score": 1}, {"score": 2, "sentence1": None}),
        ["x.jsonl:2: sentence1 is missing"],
    ),
    "column": ("STS", "x.csv", raw(b"a,b,gold\nx,y,1\n"), ["no column 'sentence1'; found: a, b, gold", "columns: {"]),
    "column twice": (
        "STS",
        "x.csv",
        raw(b"sentence1,sentence1,sentence2,score\na,b,c,1\n"),
        ["x.csv:1: the column 'sentence1' stands twice in the header"],
    ),
    "ragged": ("STS", "x.csv", raw(b"sentence1,sentence2,score\na,b,1,9\n"), ["x.csv:2: expected 3 columns"]),
    "open quote": ("STS", "x.csv", raw(b'sentence1,sentence2,score\n"a,b,1\n'), ["x.csv", "not readable as csv"]),
    "not JSON": (
        "STS",
        "x.jsonl",
        raw(b"hello\n[1]\n"),
        ["x.jsonl:1: not a JSON object", "x.jsonl:2: expected a JSON"],
    ),
    "not UTF-8": ("STS", "x.csv", raw("sentence1,ä\n".encode("latin-1")), ["x.csv: not UTF-8 text (byte 10); save it"]),
    "not Parquet": ("STS", "x.parquet", raw(b"PAR1abc"), ["x.parquet: not a readable Parquet file"]),
    "a workbook": ("STS", "x.xlsx", raw(b"PK"), ["x.xlsx", "allowed: .jsonl, .csv, .tsv, .parquet"]),
    "one label": ("PairClassification", "x.jsonl", pairs({"label": 1}, {"label": 1}), ["every label is 1"]),
    "third label": (
        "PairClassification",
        "x.jsonl",
        pairs({"label": 1}, {"label": 0}, {"label": 2}),
        ["x.jsonl:3: label should be 0 or 1, got 2"],
    ),
    "a single class": (
        "Clustering",
        "x.csv",
        raw(b"text,label\na,x\nb,x\n"),
        ["x.csv: a single class ('x'); at least two are needed"],
    ),
    "each its own class": (
        "Classification",
        "x.csv",
        raw(b"text,label\na,x\nb,y\n"),
        ["x.csv: every label stands on one row only"],
    ),
    "surrogate in a label": (
        "Clustering",
        "x.jsonl",
        raw(b'{"text": "a", "label": "\\ud83d"}\n{"text": "b", "label": "x"}\n'),
        ["x.jsonl:1: label holds a lone surrogate or a NUL"],
    ),
}


@pytest.mark.parametrize(("kind", "name", "write", "parts"), REFUSED_FILES.values(), ids=REFUSED_FILES)
def test_wrong_file_is_refused_with_its_line(
    kind: str, name: str, write: Callable[[Path], None], parts: list[str], project: Path
) -> None:
    write(project / name)
    write_suite(project / "x.yaml", "x", {"x": (kind, name)})
    assert_refused(compare(project, "tfidf", suite="x.yaml"), *parts)


def append(name: str, text: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        with (folder / name).open("a", encoding="utf-8") as file:
            file.write(text)

    return change


def replace_in(name: str, old: str, new: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        path = folder / name
        path.write_text(path.read_text(encoding="utf-8").replace(old, new), encoding="utf-8")

    return change


QRELS = "qrels/test.tsv"
REFUSED_FOLDERS: dict[str, tuple[Callable[[Path], object], list[str]]] = {
    "empty corpus": (lambda folder: (folder / "corpus.jsonl").write_text(""), ["corpus.jsonl: the corpus is empty"]),
    "no query": (lambda folder: (folder / "queries.jsonl").write_text(""), ["queries.jsonl: there are no queries"]),
    "no judgement": (lambda folder: (folder / QRELS).write_text(""), ["no query has a relevant document"]),
    "all judged 0": (replace_in(QRELS, "\t2\n", "\t0\n"), ["no query has a relevant document (a judgement above 0)"]),
    "no corpus": (lambda folder: (folder / "corpus.jsonl").unlink(), ["no file corpus{.jsonl"]),
    "no qrels": (lambda folder: shutil.rmtree(folder / "qrels"), ["no judgements; expected qrels/test.tsv"]),
    "unknown document": (append(QRELS, "q0\tnope\t1\n"), ["test.tsv:8: the document 'nope' is not in the corpus"]),
    "unknown query": (append(QRELS, "nope\td0\t1\n"), ["test.tsv:8: the query 'nope' is not among the queries"]),
    "document twice": (
        append("corpus.jsonl", '{"_id": "d0", "text": "again"}\n'),
        ["corpus.jsonl:13: the id 'd0' stands already at", "corpus.jsonl:1"],
    ),
    "query twice": (append("queries.jsonl", '{"_id": "q0", "text": "again"}\n'), ["the id 'q0' stands already at"]),
    "judged twice": (append(QRELS, "q0\td0\t1\n"), ["'q0' and 'd0' were judged 2 before, now 1"]),
    "grade is a text": (append(QRELS, "q0\td5\thigh\n"), ["test.tsv:8: score should be a finite number, got 'high'"]),
    "grade too large": (
        append(QRELS, "q0\td5\t1e30\n"),
        ["score should be a whole number up to 2147483647, got 1e+30"],
    ),
    "NUL in an id": (
        append("corpus.jsonl", '{"_id": "d\\u0000", "text": "x"}\n'),
        ["_id holds a lone surrogate or a NUL", "'d\\x00'"],
    ),
}


@pytest.mark.parametrize(("change", "parts"), REFUSED_FOLDERS.values(), ids=REFUSED_FOLDERS)
def test_wrong_retrieval_data_are_refused(change: Callable[[Path], object], parts: list[str], project: Path) -> None:
    folder = own_data.retrieval(project / "search", 12)
    own_data.tsv(folder / QRELS, ("query-id", "corpus-id", "score"), [(f"q{i}", f"d{i}", 2) for i in range(6)])
    change(folder)
    write_suite(project / "x.yaml", "x", {"x": ("Retrieval", "search")})
    called = compare(project, "tfidf", suite="x.yaml")
    assert_refused(called, *parts)
    assert "columns:" not in called.err, "the BEIR layout has fixed columns"


@pytest.mark.parametrize(
    ("rows", "parts"),
    [
        (
            [{"query-id": "q0", "corpus-ids": ["d1", "zz"]}],
            ["not in the corpus: zz", "no candidates for the query 'q1'"],
        ),
        ([{"query-id": "q0", "corpus-ids": "d1"}], ["corpus-ids should be a list of document ids, got 'd1'"]),
        ([{"query-id": "q0", "corpus-ids": []}], ["no candidates for the query 'q0'"]),
        ([{"query-id": "q0", "corpus-ids": ["d1"]}] * 2, ["the candidates of 'q0' stand already on an earlier row"]),
    ],
    ids=["unknown document", "no list", "empty list", "query twice"],
)
def test_wrong_candidates_are_refused(rows: list[dict[str, Any]], parts: list[str], project: Path) -> None:
    folder = own_data.retrieval(project / "search", 12)
    own_data.jsonl(folder / "top_ranked.jsonl", rows)
    write_suite(project / "x.yaml", "x", {"x": ("Reranking", "search")})
    assert_refused(compare(project, "tfidf", suite="x.yaml"), *parts)


def test_what_is_odd_in_data_but_has_a_score_is_said_with_the_score(project: Path) -> None:
    folder = own_data.retrieval(project / "search", 12, candidates=True)
    replace_in(QRELS, "q1\td1\t2\n", "")(folder)
    replace_in(QRELS, "q1\td5\t1\n", "")(folder)
    append("corpus.jsonl", '{"_id": "e", "title": null, "text": ""}\n{"_id": "s", "text": "lone \\ud83d here"}\n')(
        folder
    )
    rows = [json.loads(line) for line in (folder / "top_ranked.jsonl").read_text().splitlines()]
    rows[0]["corpus-ids"] = ["d8", "d9"]
    own_data.jsonl(folder / "top_ranked.jsonl", rows)
    write_suite(project / "x.yaml", "x", {"search": ("Retrieval", "search"), "again": ("Reranking", "search")})

    called = compare(project, "tfidf", suite="x.yaml")
    assert called.code == 0, called.err
    assert cell(project, "tfidf", "search")["warnings"] == [
        "1 text held lone surrogates, which were replaced by U+FFFD",
        "1 text is empty",
        "1 of 6 queries have no relevant document and are left out (q1)",
    ]
    assert cell(project, "tfidf", "search")["n_items"] == 5
    assert cell(project, "tfidf", "again")["warnings"][-1] == (
        "1 of 5 queries have no relevant document among their candidates (q0)"
    )


def test_lone_surrogate_becomes_the_replacement_character(tmp_path: Path) -> None:
    from benchkit.tasks.own.pairs import read_pairs

    pairs({"sentence1": "\ud83d", "score": 1}, {"sentence1": "\ud83d\ude00", "score": 2})(tmp_path / "x.jsonl")
    assert read_pairs(tmp_path / "x.jsonl", {}, kind="STS").first == ["\ufffd", "\U0001f600"]


HOSTILE_TEXTS = (
    "word " * 20_000,  # 100 kB
    "😀👩‍👩‍👧‍👦🏳️‍🌈",
    "שלום עולם مرحبا",
    "\u202eright to left\u202c",
    "lone \ud83d surrogate",
    "\udc00",
    "nul\0inside",
    "\0",
    "",
    "  \n\t\r",
    "\u2028line\x85ends",
    "\ufeffmark",
    "a\u0300\u0301\u0302" * 100,
    "\x1b[31mred\x1b[0m",
    "中文嵌入",
    "\uffff\ufffe",
    "e" * 10_000,
    "<script>|`*_[x](y)",
)


def write_hostile(root: Path) -> None:
    """Write data of every task type in which every hostile text is met; JSON's escapes keep the surrogates."""
    texts = [*HOSTILE_TEXTS, *(text for _, text in own_data.sentences(22))]
    n = len(texts)

    def write(name: str, rows: Sequence[Mapping[str, Any]]) -> None:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text("".join(json.dumps(row) + "\n" for row in rows))

    others = [texts[(i * 7 + 3) % n] for i in range(n)]
    both = list(zip(texts, others, strict=True))
    write("sts.jsonl", [{"sentence1": a, "sentence2": b, "score": i % 6} for i, (a, b) in enumerate(both)])
    write("pairs.jsonl", [{"sentence1": a, "sentence2": b, "label": i % 2} for i, (a, b) in enumerate(both)])
    write("bitext.jsonl", [{"sentence1": text, "sentence2": f"{text}é"} for text in texts])
    for part in ("train", "test"):
        write(f"labelled/{part}.jsonl", [{"text": t, "label": ("a", "😀")[i % 2]} for i, t in enumerate(texts)])
        labels = (["a"], ["😀", "a"], ["\u202eb"])
        write(f"multilabelled/{part}.jsonl", [{"text": t, "label": labels[i % 3]} for i, t in enumerate(texts)])
    shutil.copytree(root / "labelled", root / "clustering")
    for name in ("retrieval", "reranking"):
        write(f"{name}/corpus.jsonl", [{"_id": f"😀{i}", "title": b, "text": a} for i, (a, b) in enumerate(both)])
        write(f"{name}/queries.jsonl", [{"_id": f"q{i}", "text": text} for i, text in enumerate(texts)])
        rows = [(f"q{i}", f"😀{i}", 1) for i in range(n)]
        own_data.tsv(root / name / QRELS, ("query-id", "corpus-id", "score"), rows)
    candidates = [{"query-id": f"q{i}", "corpus-ids": [f"😀{(i + step) % n}" for step in (0, 3, 5)]} for i in range(n)]
    write("reranking/top_ranked.jsonl", candidates)


@pytest.mark.slow
def test_every_task_type_scores_hostile_texts_and_every_report_can_be_written(project: Path, tiny: Path) -> None:
    write_hostile(project / "data")
    write_suite(project / "x.yaml", "x", {kind.lower(): (kind, data) for kind, data in TYPES.items()})
    models = ["tfidf", str(tiny), f"{tiny}@precision=int8"]
    called = compare(
        project, *models, suite="x.yaml", more=["--html", "x.html", "--markdown", "x.md", "--tracking-uri", "mlruns"]
    )
    assert called.code == 0, called.err
    assert "warning" not in called.err
    assert [cell["status"] for cell in result(project)["cells"]] == ["ok"] * 24
    assert all(-1 <= cell["main_score"] <= 1 for cell in result(project)["cells"])
    assert any("longer than the 64 tokens" in warning for warning in cell(project, str(tiny), "sts")["warnings"])
    for name in ("out.json", "x.html", "x.md"):
        (project / name).read_text(encoding="utf-8")


# ---------------------------------------------------------------- models


def copy_of(tiny: Path, project: Path, change: Callable[[Path], object]) -> str:
    """Copy the model into the project as ./model, change the copy, and return its name."""
    shutil.copytree(tiny, project / "model")
    change(project / "model")
    return "./model"


def weigh(change: Callable[[dict[str, Any]], object]) -> Callable[[Path], None]:
    """Change the weights of a model directory."""

    def rewrite(model: Path) -> None:
        from safetensors.torch import load_file, save_file

        weights = load_file(model / "model.safetensors")
        change(weights)
        save_file(weights, model / "model.safetensors", metadata={"format": "pt"})

    return rewrite


def cut(name: str, size: int) -> Callable[[Path], None]:
    def truncate(model: Path) -> None:
        path = model / name
        path.write_bytes(path.read_bytes()[:size])

    return truncate


def pickled(model: Path) -> None:
    import torch
    from safetensors.torch import load_file

    torch.save(load_file(model / "model.safetensors"), model / "pytorch_model.bin")
    (model / "model.safetensors").unlink()


def pointer(model: Path) -> None:
    (model / "model.safetensors").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 3\n")


REFUSED_MODELS: dict[str, tuple[Callable[[Path], object], list[str]]] = {
    "no configuration": (lambda model: (model / "config.json").unlink(), ["model/config.json: missing"]),
    "no weights": (lambda model: (model / "model.safetensors").unlink(), ["model/model.safetensors: missing"]),
    "no tokenizer": (lambda model: (model / "tokenizer.json").unlink(), ["model: no tokenizer", "tokenizer.json"]),
    "no pooling": (lambda model: shutil.rmtree(model / "1_Pooling"), ["model/1_Pooling/config.json: missing"]),
    "broken configuration": (cut("config.json", 20), ["model/config.json: can't be read"]),
    "truncated weights": (cut("model.safetensors", -1000), ["model.safetensors: truncated", "download it again"]),
    "truncated header": (cut("model.safetensors", 100), ["model.safetensors: truncated", "download it again"]),
    "empty weights": (cut("model.safetensors", 0), ["model.safetensors: not a safetensors file", "download it again"]),
    "pointer": (pointer, ["model.safetensors: a Git LFS pointer", "git lfs pull"]),
    "tokenizer cut short": (cut("tokenizer.json", 500), ["tokenizer.json: can't be read: Unterminated string"]),
    "pickle": (pickled, ["model: only pickle weights (pytorch_model.bin)", "save_pretrained"]),
}


@pytest.mark.parametrize(("change", "parts"), REFUSED_MODELS.values(), ids=REFUSED_MODELS)
def test_model_directory_that_is_not_whole_is_refused_before_any_work(
    change: Callable[[Path], object], parts: list[str], project: Path, tiny: Path
) -> None:
    name = copy_of(tiny, project, change)
    assert_refused(compare(project, "tfidf", name), *parts)
    assert not (project / "cache").exists()


@pytest.mark.parametrize(
    ("change", "parts"),
    [
        (
            weigh(lambda weights: weights["embeddings.word_embeddings.weight"].fill_(float("nan"))),
            ["returned NaN or infinity for the texts [", "'"],
        ),
        (weigh(lambda weights: [tensor.zero_() for tensor in weights.values()]), ["cosine_spearman is not a finite"]),
        (weigh(lambda weights: weights.pop("encoder.layer.1.output.dense.weight")), ["weights missing in the file"]),
    ],
    ids=["NaN", "zero vectors", "tensor missing"],
)
def test_model_that_fails_fails_its_cell_and_the_others_are_reported(
    change: Callable[[Path], object], parts: list[str], project: Path, tiny: Path
) -> None:
    called = compare(project, copy_of(tiny, project, change), "tfidf")
    assert called.code == 3, called.err
    assert "Traceback" not in called.err
    failed = cell(project, "./model")
    assert failed["status"] == "failed"
    for part in parts:
        assert part in failed["reason"]
    assert f"failed: ./model on sts: {failed['reason']}" in called.err
    assert not failed["reason"].startswith("ValueError"), "the name of an exception tells a user nothing"
    assert cell(project, "tfidf")["status"] == "ok"
    assert result(project)["recommendation"]["model"] == "tfidf"


def test_zero_vectors_rank_documents_by_nothing_and_have_a_score(project: Path, tiny: Path) -> None:
    own_data.retrieval(project / "search", 24)
    write_suite(project / "x.yaml", "x", {"search": ("Retrieval", "search")})
    name = copy_of(tiny, project, weigh(lambda weights: [tensor.zero_() for tensor in weights.values()]))
    called = compare(project, name, f"{name}@precision=int8", f"{name}@precision=binary", suite="x.yaml")
    assert called.code == 0, called.err
    assert len({cell["main_score"] for cell in result(project)["cells"]}) == 1


def test_changed_weights_at_the_same_path_are_another_model(project: Path, tiny: Path) -> None:
    name = copy_of(tiny, project, lambda model: None)
    assert compare(project, name).code == 0
    before = cell(project, name)["main_score"], result(project)["models"][0]["fingerprint"]

    weights = (project / "model" / "model.safetensors").read_bytes()
    weigh(lambda weights: weights["embeddings.word_embeddings.weight"].mul_(-1))(project / "model")
    assert (project / "model" / "model.safetensors").stat().st_size == len(weights)
    called = compare(project, name)
    after = cell(project, name)["main_score"], result(project)["models"][0]["fingerprint"]
    assert "known already" not in called.err
    assert encoded(project / "out.json") > 0
    assert before[0] != after[0]
    assert before[1] != after[1]

    (project / "model" / "model.safetensors").write_bytes(weights)
    assert "known already" in compare(project, name).err
    assert (cell(project, name)["main_score"], result(project)["models"][0]["fingerprint"]) == before


def test_changed_tokenizer_at_the_same_path_is_another_model(project: Path, tiny: Path) -> None:
    name = copy_of(tiny, project, lambda model: None)
    assert compare(project, name).code == 0
    before = result(project)["models"][0]["fingerprint"]
    replace_in("tokenizer.json", '"lowercase": true', '"lowercase": false')(project / "model")
    assert "known already" not in compare(project, name).err
    assert result(project)["models"][0]["fingerprint"] != before


def test_changed_rows_at_the_same_path_are_other_data(project: Path) -> None:
    assert compare(project, "tfidf").code == 0
    before = cell(project, "tfidf")
    replace_in("sts.jsonl", '"score": 4.8', '"score": 0.1')(project)
    assert "known already" not in compare(project, "tfidf").err
    after = cell(project, "tfidf")
    assert before["data_digest"] != after["data_digest"]
    assert before["main_score"] != after["main_score"]


# ---------------------------------------------------------------- places that can't be written


@contextlib.contextmanager
def small_disk(folder: Path, *, free_kib: int, read_only: bool = False) -> Iterator[Path]:
    """Mount a file system in memory of which this much is free."""
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", folder], capture_output=True, text=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"a small disk can't be mounted here: {mounted.stderr.strip()}")
    try:
        (folder / "filler").write_bytes(b"0" * 1024 * (512 - free_kib))
        if read_only:
            subprocess.run(["mount", "-o", "remount,ro", folder], check=True, capture_output=True)
        yield folder
    finally:
        # Lazily: MLflow keeps its connection to a database on it as long as this process lives.
        subprocess.run(["umount", "--lazy", folder], check=True, capture_output=True)


@contextlib.contextmanager
def under_a_file(folder: Path) -> Iterator[Path]:
    folder.write_text("a file, not a folder")
    yield folder


PLACES: dict[str, tuple[Callable[[Path], contextlib.AbstractContextManager[Path]], str]] = {
    "under a file": (under_a_file, "Not a directory"),
    "full disk": (lambda folder: small_disk(folder, free_kib=0), "No space left on device"),
    "nearly full disk": (lambda folder: small_disk(folder, free_kib=12), "No space left on device"),
    "read-only disk": (lambda folder: small_disk(folder, free_kib=64, read_only=True), "Read-only file system"),
}


@pytest.mark.parametrize(("place", "reason"), PLACES.values(), ids=PLACES)
def test_cache_that_cannot_be_written_costs_time_and_no_number(
    place: Callable[[Path], contextlib.AbstractContextManager[Path]],
    reason: str,
    project: Path,
    tiny: Path,
    tmp_path: Path,
) -> None:
    assert compare(project, "tfidf", str(tiny)).code == 0
    expected = read_result(project / "out.json")
    args = ["compare", "tfidf", str(tiny), "--suite", "alike.yaml", "--offline", "--json", "out.json", "--no-track"]
    with place(tmp_path / "disk") as disk:
        called = call_benchkit(args, project, {"BENCHKIT_CACHE_DIR": str(disk / "cache")})
        left = [path.name for path in disk.rglob("*.part")] if disk.is_dir() else []
    assert called.code == 0, called.err
    assert read_result(project / "out.json") == expected
    assert re.search(f"warning: going on without the embedding cache: {disk}/cache/.*{reason}", called.err)
    assert called.err.count("warning: going on without") == 1
    if place is not PLACES["nearly full disk"][0]:
        assert f"warning: {disk}/cache/cells: finished cells can't be kept" in called.err
        assert "BENCHKIT_CACHE_DIR" in called.err
    assert left == []


@pytest.mark.parametrize(("place", "reason"), PLACES.values(), ids=PLACES)
def test_mlruns_that_cannot_be_written_loses_neither_report_nor_json(
    place: Callable[[Path], contextlib.AbstractContextManager[Path]], reason: str, project: Path, tmp_path: Path
) -> None:
    (project / "benchkit.toml").write_text(f'mlruns_dir = "{tmp_path / "disk"}/mlruns"\n')
    with place(tmp_path / "disk") as disk:
        called = compare(project, "tfidf", more=())
        half_done = [path for path in disk.glob("mlruns/results/*") if not (path / "result.json").exists()]
    assert called.code == 0, called.err
    assert "tfidf: " in called.out
    assert cell(project, "tfidf")["status"] == "ok"
    assert "the result can't be written" in called.err
    assert reason.lower() in called.err.lower()
    assert "save it with --json PATH" in called.err
    assert "warning: not recorded in MLflow: " in called.err
    assert half_done == []


def test_result_that_cannot_be_written_still_reaches_the_tracking_server(project: Path, tmp_path: Path) -> None:
    (project / "benchkit.toml").write_text(f'mlruns_dir = "{project / "sts.jsonl"}/mlruns"\n')
    called = compare(project, "tfidf", more=["--tracking-uri", str(tmp_path / "elsewhere")])
    assert called.code == 0
    assert "the result can't be written" in called.err
    assert f"MLflow: sqlite:///{tmp_path}/elsewhere/mlflow.db" in called.err


def test_leftover_of_an_old_mlflow_does_no_harm(project: Path) -> None:
    (project / "mlruns" / "0").mkdir(parents=True)
    leftover = project / "mlruns" / "0" / "meta.yaml"
    leftover.write_text("artifact_location: mlruns/0\nexperiment_id: '0'\nlifecycle_stage: active\nname: Default\n")
    called = compare(project, "tfidf", more=())
    assert called.code == 0
    assert "warning" not in called.err
    assert f"MLflow: sqlite:///{project}/mlruns/mlflow.db" in called.err
    assert leftover.exists()


def test_server_that_is_down_costs_nothing_and_the_result_is_logged_later(project: Path) -> None:
    called = compare(project, "tfidf", more=["--tracking-uri", "http://127.0.0.1:9"])
    assert called.code == 0
    (path,) = (project / "mlruns" / "results").glob("*/result.json")
    assert "warning: not recorded in MLflow: http://127.0.0.1:9: no server answers there" in called.err
    assert f"log it later with: benchkit track {path}" in called.err
    assert call_benchkit(["track", str(path)], project).code == 0


def test_json_that_cannot_be_written_is_said_with_exit_code_2_and_the_report_is_there(
    project: Path, tmp_path: Path
) -> None:
    with small_disk(tmp_path / "disk", free_kib=0) as disk:
        args = [
            "compare",
            "tfidf",
            "--suite",
            "alike.yaml",
            "--offline",
            "--json",
            f"{disk}/x.json",
            "--html",
            "x.html",
        ]
        called = call_benchkit([*args, "--no-track"], project)
        assert [path.name for path in disk.iterdir()] == ["filler"]
    assert called.code == 2
    assert f"error: --json {disk}/x.json: No space left on device" in called.err
    assert "tfidf: " in called.out
    assert (project / "x.html").stat().st_size > 1000


# ---------------------------------------------------------------- streams


def test_json_stands_alone_on_stdout_and_quiet_leaves_stderr_empty(project: Path) -> None:
    args = ["compare", "tfidf", "--suite", "alike.yaml", "--offline", "--no-track", "--json", "-"]
    loud = run_benchkit(args, project)
    assert loud.returncode == 0, loud.stderr
    assert json.loads(loud.stdout)["schema_version"] == 1
    assert "[1/1] tfidf · sts: cosine_spearman" in loud.stderr
    assert "\x1b" not in loud.stderr, "plain lines where nobody draws"

    quiet = call_benchkit([*args, "--quiet"], project)
    assert (quiet.code, quiet.err) == (0, "")
    assert json.loads(quiet.out)["cells"] == json.loads(loud.stdout)["cells"]


def test_dry_run_shows_the_plan_and_writes_nothing_but_the_cache(project: Path) -> None:
    def files() -> list[Path]:
        return sorted(path for path in project.rglob("*") if "cache" not in path.relative_to(project).parts)

    before = files()
    called = compare(project, "tfidf", more=["--dry-run"])
    assert called.code == 0
    assert "sts: STS, cosine_spearman" in called.out
    assert "1 cell; MLflow: sqlite:///" in called.out
    assert files() == before


def shell(command: str, project: Path, **env: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        ["bash", "-o", "pipefail", "-c", command.replace("benchkit", str(COMMAND), 1)],
        cwd=make_project(project),
        env=environment(project, env),
        capture_output=True,
        timeout=240,
        check=False,
    )


@pytest.mark.slow
def test_reader_that_leaves_early_does_not_stop_the_record(project: Path) -> None:
    ended = shell("benchkit compare tfidf --suite alike.yaml --offline --quiet | head -1", project)
    assert (ended.returncode, ended.stderr) == (0, b"")
    assert ended.stdout.startswith(b"alike: 1 model on 1 task")
    assert len(list((project / "mlruns" / "results").glob("*/result.json"))) == 1
    assert (project / "mlruns" / "mlflow.db").is_file()


@pytest.mark.parametrize("command", ["models list", "--help", "suites list", "compare --help"])
def test_reader_that_never_reads_is_no_error(command: str, project: Path) -> None:
    ended = shell(f"benchkit {command} 2>err.txt | true", project)
    assert ended.returncode == 0
    assert b"Traceback" not in (project / "err.txt").read_bytes()
    assert b"BrokenPipe" not in (project / "err.txt").read_bytes()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full here")
def test_stdout_on_a_full_disk_is_one_message(project: Path) -> None:
    ended = shell("benchkit models list > /dev/full", project)
    assert ended.returncode == 2
    assert ended.stderr.splitlines()[0] == b"error: output: No space left on device"
    assert b"Traceback" not in ended.stderr


@pytest.mark.slow
@pytest.mark.parametrize("redirect", [">&- 2>&-", "2>/dev/full"])
def test_missing_stream_does_not_stop_a_comparison(redirect: str, project: Path) -> None:
    ended = shell(f"benchkit compare tfidf --suite alike.yaml --offline --no-track --json x.json {redirect}", project)
    assert ended.returncode == 0
    assert b"Traceback" not in ended.stderr
    assert json.loads((project / "x.json").read_text())["cells"][0]["status"] == "ok"


@pytest.mark.slow
def test_console_that_knows_ascii_only_shows_what_it_can(project: Path) -> None:
    (project / "sts.jsonl").rename(project / "数据.jsonl")
    write_suite(project / "x.yaml", "x", {"相似": ("STS", "数据.jsonl")})
    ascii_only = {"PYTHONIOENCODING": "ascii"}
    ended = shell("benchkit compare tfidf --suite x.yaml --offline --no-track", project, **ascii_only)
    assert ended.returncode == 0, ended.stderr
    assert b"x: 1 model on 1 task" in ended.stdout
    as_json = call_json_in_ascii(project)
    assert as_json["cells"][0]["task"] == "相似"


def call_json_in_ascii(project: Path) -> dict[str, Any]:
    """Return what `--json -` prints to a stdout that can't show most of it."""
    import io

    from benchkit.cli.main import main

    stdout = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(stdout):
        patch.chdir(project)
        patch.setenv("BENCHKIT_CACHE_DIR", str(project / "cache"))
        args = ["compare", "tfidf", "--suite", "x.yaml", "--offline", "--no-track", "--quiet", "--json", "-"]
        assert main(args) == 0
    stdout.flush()
    found: dict[str, Any] = json.loads(stdout.buffer.getvalue())  # type: ignore[attr-defined]
    return found


COLOUR = re.compile(r"\x1b\[(?:\d+;)*(?:3[0-8]|4[0-8]|9[0-7]|10[0-7])(?:;\d+)*m")


@pytest.mark.parametrize(
    ("env", "draws", "colours"),
    [
        ({"TERM": "xterm-256color"}, True, True),
        ({"TERM": "xterm-256color", "NO_COLOR": "1"}, True, False),
        ({"TERM": "dumb"}, False, False),
    ],
    ids=["terminal", "NO_COLOR", "dumb terminal"],
)
def test_bars_are_drawn_on_a_terminal_in_colour_only_where_that_is_wanted(
    env: dict[str, str], draws: bool, colours: bool, project: Path
) -> None:
    shown = on_terminal(["compare", "tfidf", "--suite", "alike.yaml", "--offline", "--no-track"], project, env)
    assert "tfidf · sts: cosine_spearman" in shown
    assert ("\x1b[2K" in shown) == draws
    assert ("[1/1] tfidf" in shown) != draws
    assert bool(COLOUR.search(shown)) == colours


def on_terminal(args: list[str], project: Path, env: Mapping[str, str]) -> str:
    """Return what a run shows on a pseudo-terminal."""
    from benchkit.cli.main import main

    master, slave = os.openpty()
    shown: list[bytes] = []

    def read() -> None:
        with contextlib.suppress(OSError):  # the other end is closed
            while content := os.read(master, 4096):
                shown.append(content)

    reader = threading.Thread(target=read)
    reader.start()
    with os.fdopen(slave, "w", encoding="utf-8") as terminal, pytest.MonkeyPatch.context() as patch:
        patch.chdir(project)
        patch.delenv("NO_COLOR", raising=False)
        for name, value in {**env, "BENCHKIT_CACHE_DIR": str(project / "cache")}.items():
            patch.setenv(name, value)
        with contextlib.redirect_stdout(terminal), contextlib.redirect_stderr(terminal):
            assert main(args) == 0
    reader.join()
    os.close(master)
    return b"".join(shown).decode()
