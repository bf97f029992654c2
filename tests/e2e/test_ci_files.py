"""What is shipped for CI, run for real: the shell steps of action.yml, GitLab's script and the pre-commit hook.

A local server stands where GitHub's interface is; the steps themselves are the file's own text, in bash.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import threading
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest
import yaml
from local_server import LocalServer

from tests.e2e.cli import COMMAND, environment, make_project, run_benchkit

ROOT = Path(__file__).parents[2]
ACTION = yaml.safe_load((ROOT / "action.yml").read_text(encoding="utf-8"))
SUITE = """\
name: words
tasks:
  - {name: alike, type: STS, data: pairs.csv}
"""


@dataclass
class Hub:
    """The comments of one pull request, as GitHub's interface shows them."""

    comments: list[dict[str, Any]] = field(default_factory=list)
    asked: list[tuple[str, str]] = field(default_factory=list)
    url: str = ""


@contextmanager
def github() -> Iterator[Hub]:
    hub = Hub()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer(hub.comments)

        def do_POST(self) -> None:
            comment = {"id": len(hub.comments) + 1, **self._content()}
            hub.comments.append(comment)
            self._answer(comment)

        def do_PATCH(self) -> None:
            comment = next(c for c in hub.comments if c["id"] == int(self.path.rsplit("/", 1)[1]))
            comment.update(self._content())
            self._answer(comment)

        def _content(self) -> dict[str, Any]:
            content: dict[str, Any] = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            return content

        def _answer(self, content: Any) -> None:
            hub.asked.append((self.command, self.headers["Authorization"]))
            body = json.dumps(content).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *arguments: Any) -> None:
            pass

    server = LocalServer(Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    hub.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A scratch repository with a suite and the baseline of the lexical model."""
    folder = make_project(tmp_path_factory.mktemp("ci") / "repository")
    words = ["cat", "dog", "house", "tree", "river", "stone", "cloud", "bread", "light", "paper"]
    rows = [
        f'"{a} and {b}","{a} and {words[(i + j) % 10]}",{5 if (i + j) % 10 == j else (i * j) % 4}'
        for i, a in enumerate(words)
        for j, b in enumerate(words)
        if i < 5
    ]
    (folder / "pairs.csv").write_text("sentence1,sentence2,score\n" + "\n".join(rows), encoding="utf-8")
    (folder / "words.yaml").write_text(SUITE, encoding="utf-8")
    saved = run_benchkit(["baseline", "save", "base.json", "--model", "tfidf", "--suite", "words.yaml"], folder)
    assert saved.returncode == 0, saved.stderr
    return folder


@pytest.fixture
def project(repository: Path, tmp_path: Path) -> Path:
    """A copy of the repository for this test alone."""
    return Path(shutil.copytree(repository, tmp_path / "repository"))


def run_action(
    project: Path, given: dict[str, str], *, hub: Hub | None = None, event: str = "push"
) -> dict[str, subprocess.CompletedProcess[str]]:
    """Run the shell steps of action.yml with these inputs, as the runner does, and return each by its name."""
    files = {name: project / name.lower() for name in ("GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY")}
    temp = project / "temp"
    temp.mkdir(exist_ok=True)
    values = {
        "github.event_name": event,
        "github.event.pull_request.number": "7",
        "github.action_path": str(ROOT),
        "github.token": "secret-token",
    }
    defaults = {name: _filled(str(entry.get("default", "")), values) for name, entry in ACTION["inputs"].items()}
    values |= {f"inputs.{name}": value for name, value in (defaults | given).items()}
    done: dict[str, subprocess.CompletedProcess[str]] = {}
    for step in ACTION["runs"]["steps"]:
        if not _is_wanted(step.get("if", ""), values):
            continue
        values |= _outputs(files["GITHUB_OUTPUT"])
        extra = {name: _filled(str(text), values) for name, text in step.get("env", {}).items()}
        env = environment(project, extra) | {
            "PATH": f"{COMMAND.parent}{os.pathsep}{os.environ['PATH']}",
            "GITHUB_ACTIONS": "true",
            "GITHUB_API_URL": hub.url if hub else "http://127.0.0.1:9",
            "GITHUB_REPOSITORY": "team/search",
            "RUNNER_TEMP": str(temp),
            **{name: str(path) for name, path in files.items()},
        }
        # The runner's own way to call bash; and the text goes in as it is, so an expression in it would be an error.
        assert "${{" not in step["run"]
        done[step["name"]] = subprocess.run(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]],
            cwd=project,
            env=env,
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )
    return done


def _filled(text: str, values: dict[str, str]) -> str:
    return re.sub(r"\$\{\{\s*([\w.-]+)\s*\}\}", lambda found: values.get(found[1], ""), text)


def _is_wanted(condition: str, values: dict[str, str]) -> bool:
    """Evaluate the few forms of `if:` that the file uses."""
    parts = [part.strip() for part in condition.split("&&") if part.strip() not in ("", "always()")]
    for part in parts:
        name, sign, wanted = re.fullmatch(r"([\w.-]+) (==|!=) '(.*)'", part).groups()  # type: ignore[union-attr]
        if (values[name] == wanted) != (sign == "=="):
            return False
    return True


def _outputs(file: Path) -> dict[str, str]:
    lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
    return {f"steps.gate.outputs.{line.partition('=')[0]}": line.partition("=")[2] for line in lines}


def test_an_unchanged_model_passes_every_step_and_leaves_one_comment_however_often(project: Path) -> None:
    given = {"candidate": "tfidf", "baseline": "base.json", "suite": "words.yaml", "install": ""}
    with github() as hub:
        for _ in range(2):
            steps = run_action(project, given, hub=hub, event="pull_request")
            assert {name: step.returncode for name, step in steps.items()} == {"Gate": 0, "Comment": 0, "Verdict": 0}
    assert len(hub.comments) == 1
    assert hub.comments[0]["body"].startswith("<!-- benchkit-gate:words -->")
    assert [method for method, _ in hub.asked] == ["GET", "POST", "GET", "PATCH"]
    assert "PASS" in (project / "github_step_summary").read_text(encoding="utf-8")
    assert _outputs(project / "github_output")["steps.gate.outputs.verdict"] == "pass"
    assert {token for _, token in hub.asked} == {"Bearer secret-token"}
    assert "secret-token" not in "".join(step.stdout + step.stderr for step in steps.values())


def test_a_worse_model_fails_the_last_step_with_the_exit_code_of_the_gate(project: Path) -> None:
    (project / "policy.yaml").write_text("limits: {dimension: {equal_to_baseline: true}}\n", encoding="utf-8")
    given = {"candidate": "minilm", "baseline": "base.json", "suite": "words.yaml", "policy": "policy.yaml"}
    steps = run_action(project, given | {"install": ""})
    outputs = _outputs(project / "github_output")
    report = json.loads((project / "temp/benchkit-gate/gate.json").read_text(encoding="utf-8"))
    assert steps["Gate"].returncode == 0
    assert steps["Verdict"].returncode == report["exit_code"] == int(outputs["steps.gate.outputs.status"]) == 1
    assert "::error" in steps["Gate"].stdout
    assert "Comment" not in steps  # no pull request


def test_inputs_are_data_and_never_shell(project: Path) -> None:
    hostile = "$(touch injected); `touch injected` && touch injected"
    given = {"candidate": hostile, "baseline": hostile, "suite": hostile, "install": "", "arguments": hostile}
    steps = run_action(project, given)
    assert steps["Verdict"].returncode == 2
    assert not (project / "injected").exists()


def test_a_comment_that_cannot_be_written_does_not_change_the_verdict(project: Path) -> None:
    given = {"candidate": "tfidf", "baseline": "base.json", "suite": "words.yaml", "install": ""}
    steps = run_action(project, given, event="pull_request")  # nobody listens at that port
    assert steps["Comment"].returncode == 0
    assert "::warning::" in steps["Comment"].stdout
    assert steps["Verdict"].returncode == 0


def test_the_script_of_gitlab_writes_its_reports(project: Path) -> None:
    template = yaml.safe_load((ROOT / ".gitlab/benchkit-gate.yml").read_text(encoding="utf-8"))[".benchkit-gate"]
    variables = template["variables"] | {"BASELINE": "base.json", "CANDIDATE": "tfidf", "SUITE": "words.yaml"}
    env = environment(project) | {name: value for name, value in variables.items() if "$" not in value}
    env |= {"PATH": f"{COMMAND.parent}{os.pathsep}{os.environ['PATH']}", "GITLAB_CI": "true"}
    run = subprocess.run(
        ["bash", "-e", "-c", "\n".join(template["script"])],
        cwd=project, env=env, capture_output=True, text=True, timeout=240, check=False,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    reports = template["artifacts"]["reports"]
    assert ET.parse(project / reports["junit"]).getroot().tag in ("testsuites", "testsuite")
    assert json.loads((project / reports["codequality"]).read_text(encoding="utf-8")) == []
    assert all((project / name).is_file() for name in template["artifacts"]["paths"])


def test_the_hook_takes_the_suites_of_a_commit_and_refuses_a_broken_one(project: Path) -> None:
    (hook,) = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text(encoding="utf-8"))
    assert hook["entry"].split()[0] == "benchkit"
    (project / "broken.yaml").write_text("name: broken\ntaks: []\n", encoding="utf-8")
    good = run_benchkit([*hook["entry"].split()[1:], "words.yaml"], project)
    both = run_benchkit([*hook["entry"].split()[1:], "words.yaml", "broken.yaml"], project)
    assert (good.returncode, both.returncode) == (0, 2)
    assert "did you mean 'tasks'" in both.stdout + both.stderr
    assert re.match(hook["files"], "suites/support.yaml")
    assert not re.match(hook["files"], "suites/policies/default.yaml")


def test_the_comment_script_needs_the_standard_library_only() -> None:
    code = "import runpy, sys; runpy.run_path(sys.argv[1]); print(sorted(m for m in sys.modules if 'benchkit' in m))"
    script = ROOT / ".github/sticky_comment.py"
    run = subprocess.run([sys.executable, "-S", "-c", code, str(script)], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"
