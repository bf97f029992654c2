"""`benchkit suites validate` says of every task whether it is sound, those that MTEB is to know too."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from benchkit.cli.suites import command
from benchkit.errors import EXIT_OK, EXIT_USAGE, SuiteError

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
    assert "x.yaml:3: tasks[0].name: no MTEB task named 'STSBenchmrk' (did you mean 'STSBenchmark'?)" in output
    assert "x.yaml:4: tasks[1].benchmark: no MTEB benchmark named 'MTEB(eng, v3)'" in output
    assert "x.yaml:5: tasks[2].subsets[0]: the MTEB task 'STS12' has no subset 'xx'; it has default" in output
    assert "own:\n  warning: 3 pairs;" in output
    assert "are not checked here" not in output


@pytest.mark.usefixtures("own_cache")
def test_validate_tells_of_names_and_of_keys_at_once(tmp_path: Path) -> None:
    with pytest.raises(SuiteError) as caught:
        validate(tmp_path, "name: STSBenchmrk, limts: {items: 3}")
    assert [line.partition(" ")[2] for line in str(caught.value).splitlines()] == [
        "tasks[0].limts: unknown key (did you mean 'limits'?)",
        (
            "tasks[0].name: no MTEB task named 'STSBenchmrk' (did you mean 'STSBenchmark'?); for data of your own give "
            "type and data"
        ),
    ]


@pytest.mark.usefixtures("own_cache")
def test_prefetch_tells_of_all_unknown_names_before_it_fetches(tmp_path: Path) -> None:
    suite = tmp_path / "x.yaml"
    suite.write_text("name: x\ntasks:\n  - {name: STSBenchmrk}\n  - {benchmark: nothing}\n")
    with pytest.raises(SuiteError) as caught:
        CliRunner().invoke(
            command, ["prefetch", str(suite), "--to", str(tmp_path)], standalone_mode=False, catch_exceptions=False
        )
    first, second = str(caught.value).splitlines()
    assert first.startswith(f"{suite}:3: tasks[0].name: no MTEB task named 'STSBenchmrk'")
    assert second == f"{suite}:4: tasks[1].benchmark: no MTEB benchmark named 'nothing'"


@pytest.mark.usefixtures("own_cache")
def test_validate_says_that_data_of_mteb_are_not_checked(tmp_path: Path) -> None:
    code, output = validate(tmp_path, "name: STSBenchmark", 'benchmark: "MTEB(eng, v2)", exclude: [STSBenchmark]')
    assert code == EXIT_OK
    assert "STSBenchmark: an MTEB task; its data are not checked here\n" in output
    assert "MTEB(eng, v2): an MTEB benchmark; its data are not checked here\n" in output
