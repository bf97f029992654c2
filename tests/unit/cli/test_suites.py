"""`benchkit suites validate` says of every task whether it is sound, those that MTEB is to know too."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from benchkit.cli.suites import command
from benchkit.errors import EXIT_OK, EXIT_USAGE

PAIRS = "sentence1,sentence2,score\na cold room,no heat,5\na late bill,no heat,0\nlogin,password,3\n"


def validate(folder: Path, *tasks: str) -> tuple[int, str]:
    (folder / "pairs.csv").write_text(PAIRS)
    (folder / "x.yaml").write_text("name: x\ntasks:\n" + "".join(f"  - {{{task}}}\n" for task in tasks))
    done = CliRunner().invoke(
        command, ["validate", str(folder / "x.yaml")], standalone_mode=False, catch_exceptions=False
    )
    return done.return_value, done.output


@pytest.mark.usefixtures("own_cache")
def test_validate_refuses_names_that_mteb_does_not_know_and_still_checks_own_data(tmp_path: Path) -> None:
    code, output = validate(
        tmp_path,
        "name: STSBenchmrk",
        'benchmark: "MTEB(eng, v3)"',
        "name: STS12, subsets: [xx]",
        "name: own, type: STS, data: pairs.csv",
    )
    assert code == EXIT_USAGE
    assert "x.yaml: task 'STSBenchmrk': no MTEB task of this name" in output
    assert "Did you mean: 'STSBenchmark'?" in output
    assert "x.yaml: no MTEB benchmark named 'MTEB(eng, v3)'" in output
    assert "x.yaml: task 'STS12': no subset xx" in output
    assert "own:\n  warning: 3 pairs;" in output
    assert "are not checked here" not in output


@pytest.mark.usefixtures("own_cache")
def test_validate_says_that_data_of_mteb_are_not_checked(tmp_path: Path) -> None:
    code, output = validate(tmp_path, "name: STSBenchmark", 'benchmark: "MTEB(eng, v2)", exclude: [STSBenchmark]')
    assert code == EXIT_OK
    assert "STSBenchmark: an MTEB task; its data are not checked here\n" in output
    assert "MTEB(eng, v2): an MTEB benchmark; its data are not checked here\n" in output
