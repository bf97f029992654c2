"""benchkit's command line.

    benchkit COMMAND ── lazy: a command's module is imported when it runs ── exit code

Exit codes: 0 ok · 2 bad usage, suite, model or plug-in · 3 at least one cell failed · 130 Ctrl-C (what is finished is
kept). A gate has its own: 0 pass · 1 regression · 2 as above · 3 inconclusive · 4 no baseline to compare with. Data go
to stdout, progress and messages to stderr.
"""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from typing import Any

import click

from benchkit import __version__
from benchkit.cli.streams import drop_stdout, forgive_encodings, say
from benchkit.errors import EXIT_INTERRUPTED, EXIT_OK, EXIT_USAGE, BenchkitError, nearest
from benchkit.settings import let_threads_sleep

# name -> (module, first line of its help); `--help` shows these without importing any of the modules.
COMMANDS = {
    "compare": ("benchkit.cli.compare", "Compare models on a suite: which one, by how much, how sure."),
    "gate": ("benchkit.cli.gate", "Block a model that is worse than its baseline: one step of a CI."),
    "baseline": ("benchkit.cli.baseline", "Save, show and promote what gates compare with."),
    "drift": ("benchkit.cli.drift", "Compare production embeddings with a baseline."),
    "dashboard": ("benchkit.cli.dashboard", "Show results, gates and drift in a browser."),
    "cost": ("benchkit.cli.cost", "Measure what models cost: latency, throughput, memory, price."),
    "models": ("benchkit.cli.models", "List, show and fetch models."),
    "suites": ("benchkit.cli.suites", "List, show, check and fetch suites."),
    "track": ("benchkit.cli.track", "Log a result that is on disk to MLflow."),
    "cache": ("benchkit.cli.cache", "Show, clear or shrink the cache of vectors and results."),
    "doctor": ("benchkit.cli.doctor", "Show versions, device, cache, MLflow store and what can be loaded offline."),
    "plugins": ("benchkit.cli.plugins", "List the registered parts and whether they load."),
}


@contextmanager
def _reader_may_leave() -> Iterator[None]:
    """End well when the reader of our output goes away (`benchkit ... | head`): it has seen what it wanted."""
    try:
        yield
    except BrokenPipeError:
        drop_stdout()
        raise click.exceptions.Exit(EXIT_OK) from None


class LazyGroup(click.Group):
    """A group whose commands are imported when they are called."""

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        with _reader_may_leave():
            return super().make_context(info_name, args, parent, **extra)

    def invoke(self, ctx: click.Context) -> Any:
        with _reader_may_leave():
            return super().invoke(ctx)

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = import_module(COMMANDS[cmd_name][0]).command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, help_line) for name, (_, help_line) in COMMANDS.items()])

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as exc:
            near = nearest(args[0], COMMANDS)
            hint = f" Did you mean {near!r}?" if near else ""
            raise click.UsageError(f"no command {args[0]!r}.{hint} Commands: {', '.join(COMMANDS)}", ctx) from exc


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="benchkit")
def cli() -> None:
    """Choose an embedding model on your own data, with numbers that are right.

    Exit codes: 0 ok, 2 bad usage, suite, model or plug-in, 3 a cell failed, 130 interrupted; of `gate` and `drift`:
    0 pass, 1 a regression or a drift that breaks the policy, 3 inconclusive (a gate), 4 no baseline to compare with.
    """


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    forgive_encodings()
    # Before tqdm is imported: MTEB's bars would run into our own progress, and into logs.
    os.environ.setdefault("TQDM_DISABLE", "1")
    let_threads_sleep(os.environ)
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        code = cli.main(args=given, prog_name="benchkit", standalone_mode=False)
    except BenchkitError as exc:
        return _fail(str(exc), exc.exit_code)
    except click.UsageError as exc:
        return _misused(exc)
    except click.ClickException as exc:
        return _fail(exc.format_message(), EXIT_USAGE)
    except (KeyboardInterrupt, click.Abort):
        say("interrupted")
        return EXIT_INTERRUPTED
    except OSError as exc:
        drop_stdout()
        return _fail(_os_problem(exc), EXIT_USAGE)
    return int(code or 0)


def _os_problem(error: OSError) -> str:
    if error.filename is None and error.errno == errno.ENOENT:
        return "the current folder is gone; go to one that is there"
    return f"{error.filename or 'output'}: {error.strerror or error}"


def _misused(error: click.UsageError) -> int:
    message = error.format_message()
    if message.startswith("Usage:"):
        # A group without a command: its help, as it is.
        say(message)
        return EXIT_USAGE
    return _fail(f"{message} (see `{error.ctx.command_path if error.ctx else 'benchkit'} --help`)", EXIT_USAGE)


def _fail(message: str, code: int) -> int:
    first, *more = message.split("\n")
    say("\n".join([f"error: {first}", *(f"       {line}" for line in more)]))
    return code


if __name__ == "__main__":
    sys.exit(main())
