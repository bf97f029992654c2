"""Options of one name mean one thing in every command, and files are refused before the work that would fill them."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from benchkit.cli import compare, cost, drift_check, drift_test, drift_watch, gate
from benchkit.cli.budget import ENGINES
from benchkit.cli.options import STDOUT, check_targets, seed_option
from benchkit.errors import UsageError
from benchkit.models import names

COMMANDS = {"compare": compare.command, "cost": cost.command, "gate": gate.command}


def options_of(command: click.Command) -> dict[str, click.Option]:
    return {param.opts[0]: param for param in command.params if isinstance(param, click.Option)}


@pytest.mark.parametrize("name", ["--device", "--offline", "--engine", "--quiet"])
def test_an_option_is_the_same_in_every_command_that_runs_models(name: str) -> None:
    said = {command: options_of(COMMANDS[command])[name].to_info_dict() for command in COMMANDS}
    assert said["cost"] == said["gate"] == said["compare"]


@pytest.mark.parametrize("name", ["--suite", "--json", "--seed", "--tracking-uri", "--no-track"])
def test_an_option_differs_between_commands_in_its_help_alone(name: str) -> None:
    found = [options_of(command)[name].to_info_dict() for command in COMMANDS.values() if name in options_of(command)]
    assert len(found) >= 2
    rest = [{key: value for key, value in one.items() if key != "help"} for one in found]
    assert rest == rest[:1] * len(rest)


def test_the_options_of_a_machine_stand_in_one_order_everywhere() -> None:
    for command in COMMANDS.values():
        order = list(options_of(command))
        assert order[order.index("--device") :][:3] == ["--device", "--offline", "--engine"]


def test_how_thoroughly_costs_are_measured_is_one_option() -> None:
    one, other = options_of(compare.command)["--cost"], options_of(cost.command)["--cost"]
    assert one.to_info_dict() == other.to_info_dict()


def test_a_share_of_false_alarms_has_one_name_in_every_drift_command() -> None:
    kinds = [drift_check.check, drift_test.command, drift_watch.watch]
    assert all("--false-alarms" in options_of(command) for command in kinds)
    assert not any("--alpha" in options_of(command) for command in kinds)


@pytest.mark.parametrize(
    ("command", "earlier", "now", "value"),
    [(cost.command, "--level", "--cost", "full"), (drift_test.command, "--alpha", "--false-alarms", "0.02")],
)
def test_an_earlier_name_of_an_option_is_understood_and_not_told(
    command: click.Command, earlier: str, now: str, value: str
) -> None:
    needed = ["a", "b", "--method", "ks"] if command is drift_test.command else []
    old, new = (
        command.make_context("it", [*needed, *given]).params for given in ([earlier, value], [f"{now}={value}"])
    )
    assert old == new
    assert str(old[now.strip("-").replace("-", "_")]) == value
    assert command.make_context("it", [*needed, f"{earlier}={value}"]).params == new
    told = CliRunner().invoke(command, ["--help"]).output
    assert now in told
    assert earlier not in told


def test_an_earlier_name_is_no_value_of_an_option() -> None:
    done = CliRunner().invoke(cost.command, ["--cost", "level"])
    assert (done.exit_code, "'level' is not one of 'quick', 'full'" in done.output) == (2, True)


def test_the_engines_on_offer_are_those_that_models_know() -> None:
    assert ENGINES == names.ENGINES


@pytest.mark.parametrize(
    ("given", "is_taken"), [("0", True), ("4294967295", True), ("4294967296", False), ("-1", False)]
)
def test_a_seed_is_what_fits_into_32_bits(given: str, is_taken: bool) -> None:
    @click.command()
    @seed_option()
    def command(seed: int | None) -> None:
        click.echo(repr(seed))

    done = CliRunner().invoke(command, ["--seed", given])
    assert (done.exit_code == 0) == is_taken
    assert not is_taken or done.output == f"{given}\n"


def test_a_seed_that_is_not_given_is_the_suites() -> None:
    @click.command()
    @seed_option("draws")
    def command(seed: int | None) -> None:
        click.echo(repr(seed))

    assert CliRunner().invoke(command, []).output == "None\n"
    assert "Seed of the draws [the suite's: 42]." in CliRunner().invoke(command, ["--help"]).output


# ------------------------------------------------------------ files to write


def test_what_can_be_written_passes(tmp_path: Path) -> None:
    (tmp_path / "old.json").write_text("{}", encoding="utf-8")
    check_targets({"--json": STDOUT, "--html": None, "--markdown": tmp_path / "new.md", "FILE": tmp_path / "old.json"})


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as refused:
        check_targets({"--json": str(tmp_path)})
    assert str(refused.value) == f"--json: a file is needed, got the folder {str(tmp_path)!r}"


def test_an_empty_name_is_the_folder_that_it_stands_for() -> None:
    with pytest.raises(UsageError) as refused:
        check_targets({"--json": ""})
    assert str(refused.value) == "--json: a file is needed, got the folder '.'"


def test_a_folder_that_is_missing_is_named(tmp_path: Path) -> None:
    path = tmp_path / "away" / "a.md"
    with pytest.raises(UsageError) as refused:
        check_targets({"--markdown": path})
    assert str(refused.value) == f"--markdown {path}: there is no folder {path.parent}; make it first, or name another"


@pytest.mark.skipif(sys.platform == "win32" or os.geteuid() == 0, reason="nothing is closed to this user")
def test_a_folder_without_rights_is_named(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o500)
    with pytest.raises(UsageError) as refused:
        check_targets({"--html": closed / "a.html"})
    assert str(refused.value) == (
        f"--html {closed / 'a.html'}: the folder {closed} can't be written; mend its rights or name another"
    )


@pytest.mark.parametrize("option", ["--markdown", "FILE"])
def test_only_json_may_go_to_stdout(option: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    check_targets({option: STDOUT})  # a file of that name
    (tmp_path / STDOUT).mkdir()
    with pytest.raises(UsageError, match="a file is needed"):
        check_targets({option: STDOUT})
