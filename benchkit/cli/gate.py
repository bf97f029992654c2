"""benchkit gate: may this change go in?"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from benchkit.cli.console import make_progress, say
from benchkit.cli.interrupt import ends_in_order
from benchkit.cli.invoked import command_line
from benchkit.cli.options import (
    FILE,
    STDOUT,
    check_targets,
    json_option,
    machine_options,
    quiet_option,
    seed_option,
    suite_option,
    tracking_options,
)
from benchkit.cli.streams import drop_stdout
from benchkit.errors import EXIT_INTERRUPTED, EXIT_USAGE

if TYPE_CHECKING:
    from benchkit.api.gate import GateRequest
    from benchkit.types.gate import GateReport, OnInconclusive

Format = Literal["github", "gitlab", "plain"]
FORMATS = ("auto", "github", "gitlab", "plain")


@click.command("gate")
@click.argument("candidate", required=False, metavar="[CANDIDATE]")
@click.option(
    "--baseline",
    required=True,
    metavar="champion[@N]|MODEL|FILE",
    help="What the candidate is held against; champion@N is that of version N.",
)
@suite_option()
@click.option("--policy", type=FILE, metavar="FILE", help="Rules; without it the suite's `gate:`, else the default.")
@click.option("--result", type=click.Path(path_type=Path), metavar="FILE", help="Stored scores; no model is loaded.")
@json_option("report")
@click.option("--junit", type=FILE, metavar="PATH", help="Write the report as JUnit XML.")
@click.option("--markdown", type=FILE, metavar="PATH", help="Write the report as Markdown, fit for a comment.")
@click.option("--code-quality", type=FILE, metavar="PATH", help="Write GitLab's code-quality JSON.")
@click.option("--benchmark-json", type=FILE, metavar="PATH", help="Write github-action-benchmark's JSON.")
@click.option(
    "--format",
    "output_format",
    type=click.Choice(FORMATS),
    metavar="|".join(FORMATS),
    default="auto",
    show_default=True,
    help="Whose annotations and summary are written.",
)
@click.option("--report-only", is_flag=True, help="Tell the verdict and end with 0.")
@click.option(
    "--on-inconclusive",
    type=click.Choice(["fail", "warn"]),
    metavar="fail|warn",
    default="fail",
    show_default=True,
    help="Whether INCONCLUSIVE blocks (exit 3) or only warns.",
)
@click.option("--no-cost", is_flag=True, help="Leave the cost rules out; nothing is measured.")
@tracking_options(store="MLflow store of the champion and of the gate's record.", recorded="gate")
@machine_options
@quiet_option
@seed_option()
def command(
    candidate: str | None,
    baseline: str,
    suite: str | None,
    policy: Path | None,
    result: Path | None,
    json_path: str | None,
    junit: Path | None,
    markdown: Path | None,
    code_quality: Path | None,
    benchmark_json: Path | None,
    output_format: str,
    report_only: bool,
    on_inconclusive: OnInconclusive,
    no_cost: bool,
    tracking_uri: str | None,
    no_track: bool,
    device: str,
    offline: bool,
    engine: str | None,
    quiet: bool,
    seed: int | None,
) -> int:
    """Block a CANDIDATE that is worse than its baseline.

    Exit codes: 0 pass, 1 regression, 2 wrong usage or policy, 3 inconclusive, 4 the baseline is missing or can't be
    compared, 130 interrupted.
    """
    targets: dict[str, str | Path | None] = {
        "--json": json_path,
        "--junit": junit,
        "--markdown": markdown,
        "--code-quality": code_quality,
        "--benchmark-json": benchmark_json,
    }
    check_targets(targets)
    say("benchkit gate: reading the suite and the baseline", quiet=quiet)
    from benchkit.api.gate import GateRequest

    request = GateRequest(
        candidate=candidate,
        baseline=baseline,
        result=result,
        suite=suite,
        policy=policy,
        device=device,
        offline=offline or None,
        tracking_uri=tracking_uri,
        track=not no_track,
        seed=seed,
        engine=engine,
        cost=False if no_cost else None,
        on_inconclusive=on_inconclusive,
        report_only=report_only,
        command=command_line(),
    )
    return _run(request, targets, _format(output_format), quiet=quiet)


def _format(wanted: str) -> Format:
    if wanted != "auto":
        return wanted  # type: ignore[return-value]  # one of FORMATS
    if os.environ.get("GITHUB_ACTIONS") == "true":
        return "github"
    return "gitlab" if os.environ.get("GITLAB_CI") == "true" else "plain"


def _run(request: GateRequest, targets: Mapping[str, str | Path | None], form: Format, *, quiet: bool) -> int:
    from benchkit.api.gate import run_gate
    from benchkit.api.gate_record import record_gate

    progress = make_progress(quiet=quiet or request.result is not None)
    try:
        with ends_in_order():
            run = run_gate(request, progress=progress)
    except KeyboardInterrupt:
        say("interrupted: finished cells are kept; the same command goes on from there")
        return EXIT_INTERRUPTED
    finally:
        if (stop := getattr(progress, "stop", None)) is not None:
            stop()
    is_delivered = _deliver(run.report, targets, form)
    recorded = record_gate(run)
    for warning in recorded.warnings:
        say(f"warning: {warning}")
    if recorded.folder is not None:
        say(f"files: {recorded.folder}", quiet=quiet)
    if recorded.run is not None:
        say(f"MLflow: {recorded.run}", quiet=quiet)
    # A verdict that somebody waits for in a file which isn't there must not look like a pass.
    return run.report.exit_code if is_delivered or run.report.exit_code else EXIT_USAGE


# ------------------------------------------------------------ outputs


def _deliver(report: GateReport, targets: Mapping[str, str | Path | None], form: Format) -> bool:
    """Write and print what was asked for; return whether all of it could be."""
    from benchkit.report import gate_ci
    from benchkit.report.gate_json import gate_to_dict
    from benchkit.report.gate_junit import render_junit
    from benchkit.report.gate_markdown import render_gate_markdown

    renderers: dict[str, Callable[[], str]] = {
        "--json": lambda: _as_json(gate_to_dict(report)),
        "--junit": lambda: render_junit(report),
        "--markdown": lambda: render_gate_markdown(report),
        "--code-quality": lambda: _as_json(gate_ci.code_quality(report, _place(report))),
        "--benchmark-json": lambda: _as_json(gate_ci.smaller_is_better(report)),
    }
    done = [
        _is_written(option, Path(target), renderers[option])
        for option, target in targets.items()
        if target is not None and (option, target) != ("--json", STDOUT)
    ]
    show = partial(_print_json, report) if targets["--json"] == STDOUT else partial(_print, report, form)
    done.append(_is_shown("stdout", show))
    if form == "github":
        # The runner reads commands from both streams; stdout may be JSON that somebody parses.
        tell = partial(_annotate, report, on_stderr=targets["--json"] == STDOUT)
        done += [_is_shown("annotations", tell), *_tell_github(report)]
    return all(done)


def _as_json(content: object) -> str:
    return json.dumps(content, ensure_ascii=False, indent=1, allow_nan=False) + "\n"


def _place(report: GateReport) -> str:
    """Return the file that a finding is shown at, the one with the rules or the suite, as seen from here.

    GitLab shows a finding only at a path that is relative to the repository, where its jobs run.
    """
    path = report.suite.path or "benchkit.toml" if report.policy.is_default else report.policy.source
    here = Path.cwd()
    whole = Path(os.path.normpath(here / path))
    return whole.relative_to(here).as_posix() if whole.is_relative_to(here) else path


def _is_written(option: str, path: Path, render: Callable[[], str]) -> bool:
    from benchkit.embeddings.whole import write_whole

    try:
        write_whole(path, render().encode("utf-8", "replace"), is_synced=False, is_shared=True)
    except OSError as exc:
        say(f"error: {option} {path}: {exc.strerror or exc}; everything else is done all the same")
        return False
    return True


def _is_shown(name: str, show: Callable[[], object]) -> bool:
    """Print something; a reader that has gone away (`... | head`) has seen what it wanted, and the verdict stands."""
    try:
        show()
        sys.stdout.flush()
    except BrokenPipeError:
        drop_stdout()
    except OSError as exc:
        say(f"error: {name}: {exc.strerror or exc}; everything else is done all the same")
        drop_stdout()
        return False
    return True


def _print_json(report: GateReport) -> None:
    from benchkit.report.gate_json import gate_to_dict

    text = json.dumps(gate_to_dict(report), ensure_ascii=True, indent=1, allow_nan=False)
    # A runner takes "##[...]" for a command wherever it stands in a log. In JSON a "#" stands in texts only.
    click.echo(text.replace("#", "\\u0023"))


def _print(report: GateReport, form: Format) -> None:
    from benchkit.report.gate_table import render_gate_table, render_plain

    if form == "plain" and sys.stdout.isatty():
        from rich.console import Console

        class Stdout(Console):
            def on_broken_pipe(self) -> None:
                # rich would end the program here, with its own exit code.
                raise BrokenPipeError

        render_gate_table(report, Stdout())
    else:
        click.echo(render_plain(report))


def _annotate(report: GateReport, *, on_stderr: bool) -> None:
    from benchkit.report.gate_ci import github_annotations

    for line in github_annotations(report):
        click.echo(line, err=on_stderr)


def _tell_github(report: GateReport) -> list[bool]:
    """Write the job's summary and the step's outputs, where GitHub names files for them."""
    from benchkit.report.gate_markdown import render_gate_markdown

    outputs = f"verdict={report.verdict}\nexit-code={report.exit_code}\ngate-id={report.gate_id}\n"
    return [_appended("GITHUB_STEP_SUMMARY", render_gate_markdown(report)), _appended("GITHUB_OUTPUT", outputs)]


def _appended(variable: str, text: str) -> bool:
    path = os.environ.get(variable)
    if not path:
        return True
    try:
        with Path(path).open("a", encoding="utf-8", errors="replace") as file:
            file.write(text if text.endswith("\n") else f"{text}\n")
    except OSError as exc:
        say(f"error: {variable} {path}: {exc.strerror or exc}")
        return False
    return True
