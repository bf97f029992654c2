"""Names that MTEB doesn't know are told with their line, together with all else that is wrong with a suite file."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from benchkit.errors import SuiteError
from benchkit.suite.load import load_suite
from benchkit.suite.mteb_names import locate_names

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")

MISNAMED = """\
name: x
tasks:
  - name: STS12
  - name: STSBenchmrk
  - name: STS22
    subsets:
      - en
      - enn
    splits: [tset]
  - benchmark: MTEB(eng, v2)
    exclude: [STS12, BIOSES]
  - benchmark: MTEB(eng, v9)
  - {name: STSBenchmark.v3, type: STS, data: own.csv}
"""
NAMES = [
    (
        "x.yaml:4: tasks[1].name: no MTEB task named 'STSBenchmrk' (did you mean 'STSBenchmark'?); for data of "
        "your own give type and data"
    ),
    "x.yaml:8: tasks[2].subsets[1]: the MTEB task 'STS22' has no subset 'enn' (did you mean 'en'?)",
    "x.yaml:9: tasks[2].splits[0]: the MTEB task 'STS22' has no split 'tset' (did you mean 'test'?)",
    "x.yaml:11: tasks[3].exclude[1]: the benchmark 'MTEB(eng, v2)' holds no task 'BIOSES' (did you mean 'BIOSSES'?)",
    "x.yaml:12: tasks[4].benchmark: no MTEB benchmark named 'MTEB(eng, v9)' (did you mean 'MTEB(eng, v2)'?)",
]


def write(folder: Path, text: str) -> Path:
    (folder / "own.csv").write_text("sentence1,sentence2,score\na,b,1\n")
    path = folder / "x.yaml"
    path.write_text(text)
    return path


def lines(error: SuiteError | None, folder: Path) -> list[str]:
    return str(error).replace(f"{folder}/", "").splitlines()


def refused(folder: Path, text: str) -> list[str]:
    with pytest.raises(SuiteError) as caught:
        load_suite(write(folder, text), asks_mteb=True)
    return lines(caught.value, folder)


def test_names_of_a_file_that_is_fine_without_them_are_found_with_their_lines(tmp_path: Path) -> None:
    path = write(tmp_path, MISNAMED)
    assert load_suite(path, asks_mteb=True).tasks, "MTEB is asked when the tasks are opened"
    assert lines(locate_names(path), tmp_path) == NAMES
    assert locate_names(write(tmp_path, "name: x\ntasks: [{name: STS12}]\n")) is None


def test_names_and_everything_else_are_told_at_once(tmp_path: Path) -> None:
    told = refused(tmp_path, MISNAMED.replace("own.csv", "gone.csv") + "seeed: 3\n")
    assert told[:5] == NAMES
    assert [line.partition(": ")[0] for line in told[5:]] == ["x.yaml:13", "x.yaml:14"]
    with pytest.raises(SuiteError) as caught:
        load_suite(write(tmp_path, MISNAMED + "seeed: 3\n"))
    assert len(str(caught.value).splitlines()) == 1, "without being told to, MTEB isn't asked"


@pytest.mark.parametrize(
    "task",
    ["{name: a, tpye: STS, data: own.csv}", "{name: a, data: own.csv, columns: {score: s}}", "{name: [a]}",
     "{name: STS22, subsets: [1]}", "{name: STS22, splits: test}", "{name: a, bnchmark: b}", "a"],
)  # fmt: skip
def test_what_has_another_mistake_already_is_not_called_unknown_too(tmp_path: Path, task: str) -> None:
    assert not [line for line in refused(tmp_path, f"name: x\ntasks: [{task}]\n") if "MTEB task named" in line
                or "has no" in line]  # fmt: skip


def test_own_data_ask_no_mteb_even_where_the_file_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path, "name: x\ntasks:\n  - {name: own, type: STS, data: own.csv}\nseeed: 3\n")
    code = f"""
import sys
from pathlib import Path
from benchkit.errors import SuiteError
from benchkit.suite.load import load_suite
try:
    load_suite(Path({str(path)!r}), asks_mteb=True)
except SuiteError as exc:
    print("seeed" in str(exc), sorted({{"mteb", "torch"}} & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "True []"
