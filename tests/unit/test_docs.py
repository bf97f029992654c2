"""The guides say what the code does: generated parts are renewed, links resolve, examples work, and nothing leaks.

BENCHKIT_UPDATE_GOLDEN=1 renews the command reference (docs/cli.md) and the table of models (docs/models.md).
"""

from __future__ import annotations

import doctest
import os
import re
import subprocess
import textwrap
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from urllib.parse import unquote

import click
import pytest

from benchkit import errors
from benchkit.cli.main import COMMANDS, cli
from benchkit.models import catalog
from benchkit.models.names import _READERS
from benchkit.plugins import GROUPS
from benchkit.settings import load_settings
from benchkit.suite.load import load_suite
from benchkit.tasks.custom import MAIN_METRIC
from benchkit.types.task import TASK_TYPES

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
CLI, MODELS, NUMBERS, PLUGINS = (DOCS / f"{name}.md" for name in ("cli", "models", "numbers", "plugins"))
RENEWS = os.environ.get("BENCHKIT_UPDATE_GOLDEN") == "1"
GENERATED = re.compile(r"(<!-- generated: [^\n]* -->\n)(.*?)(<!-- end of generated -->)", re.DOTALL)


def read(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def assert_generated(path: Path, expected: str) -> None:
    """Hold the generated part of a page against what the code says now, or renew it."""
    page = read(path)
    (found,) = GENERATED.finditer(page)
    if RENEWS:
        path.write_text(f"{page[: found.end(1)]}{expected}{page[found.start(3) :]}", encoding="utf-8")
        return
    hint = f"renew {path.name} with BENCHKIT_UPDATE_GOLDEN=1 pytest tests/unit/test_docs.py, and read what changed"
    assert found[2] == expected, hint


# ---------------------------------------------------------------- the command line


def commands() -> Iterator[tuple[str, click.Command]]:
    """Yield every command that does something, with its whole name."""
    context = click.Context(cli)
    for name in COMMANDS:
        found = cli.get_command(context, name)  # type: ignore[attr-defined]
        assert found is not None
        yield from _within(f"benchkit {name}", found)


def _within(name: str, command: click.Command) -> Iterator[tuple[str, click.Command]]:
    if not isinstance(command, click.Group):
        yield name, command
        return
    for part, sub in sorted(command.commands.items()):
        yield from _within(f"{name} {part}", sub)


def command_reference() -> str:
    return "\n".join(_described(name, command) for name, command in commands())


def _described(name: str, command: click.Command) -> str:
    usage = " ".join([name, *command.collect_usage_pieces(click.Context(command))])
    parts = [f"### {name}\n", f"`{usage}`\n", *(f"{part}\n" for part in _paragraphs(command.help or ""))]
    options = [param for param in command.params if isinstance(param, click.Option)]
    if options:
        parts += ["| Option | Meaning |\n|---|---|\n" + "".join(_row(option) for option in options)]
    return "\n".join(parts)


def _paragraphs(text: str) -> list[str]:
    return [
        "\n".join(textwrap.wrap(" ".join(part.split()), 120, break_long_words=False, break_on_hyphens=False))
        for part in re.split(r"\n\s*\n", text.strip())
    ]


def _row(option: click.Option) -> str:
    value = "" if option.is_flag else f" {option.metavar or option.type.name.upper()}"
    written = f"{', '.join(option.opts)}{value}".replace("|", "\\|")
    said = [option.help or ""]
    if option.required:
        said.append("Needed.")
    if option.show_default and option.default is not None:
        said.append(f"Default: {option.default}.")
    return f"| `{written}` | {' '.join(filter(None, said))} |\n"


def test_the_command_reference_is_that_of_the_commands() -> None:
    assert_generated(CLI, command_reference())


def test_help_of_each_option_stands_in_the_reference() -> None:
    page = read(CLI)
    for name, command in commands():
        section = page[page.index(f"### {name}\n") :].split("\n### ")[0]
        for option in (param for param in command.params if isinstance(param, click.Option)):
            assert option.opts[0] in section, f"{name} {option.opts[0]}"
            assert (option.help or "") in section, f"{name} {option.opts[0]}"


@pytest.mark.parametrize("name", sorted(name for name in vars(errors) if name.startswith("EXIT_")))
def test_each_exit_code_is_documented(name: str) -> None:
    code = getattr(errors, name)
    assert f"| {code} | `{name}` |" in read(CLI)
    assert f"| {code} |" in read(ROOT / "README.md")


def test_each_setting_is_documented() -> None:
    page = read(CLI)
    from benchkit.settings import _EXPECTED

    rows = re.findall(r"^\| `(\w+)` \| (?:`\w+`)? ?\|", page, re.MULTILINE)
    assert rows == list(_EXPECTED)
    assert load_settings(Path("/"), {"HOME": "/h"}).cache_dir == Path("/h/.cache/benchkit"), "the default that it names"


# ---------------------------------------------------------------- models and plug-ins


def models_table() -> str:
    head = (
        "| Name | Model | Dimensions | Parameters | Languages | Licence | What it is |\n|---|---|---|---|---|---|---|\n"
    )
    rows = []
    for name in catalog.short_names():
        entry = catalog.find(name)
        assert entry is not None
        own = entry.revision is None
        cells = [
            f"`{name}`",
            "made here" if own else f"{entry.id}{'' if entry.safetensors else ' *'}",
            str(entry.dimension or "–"),
            f"{entry.parameters / 1e6:.0f}M" if entry.parameters else "–",
            "–" if own else _languages(entry.languages),
            "–" if own else _licence(entry.license),
            f"{entry.description}{_prompts(entry)}",
        ]
        rows.append(f"| {' | '.join(cells)} |\n")
    return head + "".join(rows)


def _languages(codes: tuple[str, ...]) -> str:
    names = sorted({code.partition("-")[0] for code in codes})
    return ", ".join(names) if len(names) < 4 else f"{len(names)} languages"


def _licence(name: str | None) -> str:
    return "see its page" if name is None or name.startswith("http") else name


def _prompts(entry: catalog.Entry) -> str:
    shown = {key: text for key, text in (entry.prompts or {}).items() if key in ("query", "document")}
    said = ", ".join(f"{key} `{text.strip()}`" for key, text in shown.items())
    return f"; prompts: {said}" if said else ""


def test_the_table_of_models_is_that_of_the_catalogue() -> None:
    assert_generated(MODELS, models_table())


def test_each_short_name_stands_in_the_table() -> None:
    assert re.findall(r"^\| `([\w-]+)` \| (?:made here|[\w-]+/)", read(MODELS), re.MULTILINE) == [
        *catalog.short_names()
    ]


def test_each_key_of_a_variant_is_documented() -> None:
    assert re.findall(r"^\| `(\w+)` \| (?:1, 2|`\w+`,|commit|a plug-in)", read(MODELS), re.MULTILINE) == [*_READERS]


def test_suites_in_the_page_on_models_can_be_loaded(tmp_path: Path) -> None:
    blocks = re.findall(r"```yaml\n(.*?)```", read(MODELS), re.DOTALL)
    assert len(blocks) >= 2
    (tmp_path / "models" / "ours").mkdir(parents=True)
    for number, block in enumerate(blocks):
        path = tmp_path / f"{number}.yaml"
        path.write_text(f"name: from-the-page\ntasks:\n  - name: STSBenchmark\n{block}", encoding="utf-8")
        assert load_suite(path).models


@pytest.mark.parametrize("group", GROUPS)
def test_each_plug_in_group_and_each_built_in_part_is_documented(group: str) -> None:
    page = read(PLUGINS)
    assert f"| `{group}` |" in page
    built_in = tomllib.loads(read(ROOT / "pyproject.toml"))["project"]["entry-points"][group]
    for name in built_in:
        assert re.search(rf"^\| .*`{name}`", page, re.MULTILINE), name


def test_the_plug_in_of_the_page_keeps_the_contract_that_the_page_checks(tmp_path: Path) -> None:
    names: dict[str, object] = {}
    blocks = re.findall(r"```python\n(.*?)```", read(PLUGINS), re.DOTALL)
    exec("\n".join(blocks), names)
    check = names["check_letters"]
    assert callable(check)
    check(tmp_path)


# ---------------------------------------------------------------- numbers


def test_the_example_of_the_page_on_numbers_comes_out_as_written() -> None:
    found = doctest.testfile(str(NUMBERS), module_relative=False)
    assert found.attempted >= 12
    assert found.failed == 0


def test_main_metrics_are_documented() -> None:
    rows = dict(re.findall(r"^\| (\w+) \| (\w+) \| (?:a|an) ", read(NUMBERS), re.MULTILINE))
    assert rows == MAIN_METRIC
    assert tuple(rows) == TASK_TYPES


# ---------------------------------------------------------------- all pages


@cache
def tracked() -> tuple[Path, ...]:
    """Every text file of the project that git has or would take; without git, those of the source folders."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if listed.returncode == 0:
        paths = [ROOT / line for line in listed.stdout.splitlines()]
    else:
        folders = ("benchkit", "suites", "tests", "docs", "benchmarks", "dashboards")
        paths = [*ROOT.glob("*.*"), *(path for name in folders for path in (ROOT / name).rglob("*"))]
    return tuple(path for path in paths if path.is_file() and _is_text(path))


def _is_text(path: Path) -> bool:
    return path.suffix not in (".pyc", ".parquet", ".png") and b"\0" not in path.read_bytes()[:4096]


def pages() -> list[Path]:
    return [path for path in tracked() if path.suffix == ".md"]


def _outside_blocks(text: str) -> str:
    return re.sub(r"^```.*?^```$", "", text, flags=re.DOTALL | re.MULTILINE)


def test_links_between_pages_resolve() -> None:
    broken = []
    for page in pages():
        for target in re.findall(r"\]\(([^)\s]+)\)", _outside_blocks(read(page))):
            address, _, _anchor = target.partition("#")
            if address and "://" not in address and not (page.parent / unquote(address)).exists():
                broken.append(f"{page.relative_to(ROOT)}: {target}")
    assert broken == []


def test_files_of_the_project_that_a_page_names_exist() -> None:
    named = re.compile(r"`((?:benchkit|tests|suites|docs|benchmarks)/[\w./-]*\w)(?:`| )")
    missing = [
        f"{page.relative_to(ROOT)}: {name}"
        for page in (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(DOCS.rglob("*.md")))
        for name in named.findall(_outside_blocks(read(page)))
        # A page on suites shows suites that a reader would write.
        if page.name != "suites.md" and not (ROOT / name).exists()
    ]
    assert missing == []


def test_each_page_of_the_guide_is_linked_from_another() -> None:
    linked = {
        (page.parent / target.partition("#")[0]).resolve()
        for page in pages()
        for target in re.findall(r"\]\(([^)\s]+)\)", read(page))
        if "://" not in target
    }
    # A folder that is linked stands for what is in it.
    lonely = [page for page in DOCS.rglob("*.md") if not {page, page.parent} & linked]
    assert lonely == []


def test_decisions_are_numbered_and_have_their_four_parts() -> None:
    found = sorted((DOCS / "decisions").glob("*.md"))
    assert [path.name[:4] for path in found] == [f"{number:04}" for number in range(1, len(found) + 1)]
    parts = ["Context", "Decision", "What we gave up", "How we would notice that it was wrong"]
    for path in found:
        assert re.findall(r"^## (.*)$", read(path), re.MULTILINE) == parts, path.name
        assert read(path).startswith(f"# {path.name[:4]} "), path.name


def test_the_changelog_has_a_part_for_what_is_not_released() -> None:
    head, *rest = re.findall(r"^## (.*)$", read(ROOT / "CHANGELOG.md"), re.MULTILINE)
    assert head == "[Unreleased]"
    assert all(re.fullmatch(r"\[\d+\.\d+\.\d+\] - \d{4}-\d\d-\d\d", line) for line in rest)


# In pieces, so that this file isn't found itself.
HOSTS = re.compile("|".join(["py" + "pi", r"https?://\S*/simple" + r"(?:/|\b)", "index" + "-url"]), re.IGNORECASE)
MACHINE_PATHS = re.compile(
    "|".join([r"(?<![\w.])/wo" + r"rk/\w", r"(?<![\w.])/ro" + r"ot/\w", re.escape(str(ROOT)) + "/"])
)


@pytest.mark.parametrize(
    ("pattern", "what"),
    [(HOSTS, "the host of a package registry"), (MACHINE_PATHS, "a path of one machine")],
    ids=["registry", "machine"],
)
def test_no_file_names(pattern: re.Pattern[str], what: str) -> None:
    found = [
        f"{path.relative_to(ROOT)}:{number}: {what}: {line.strip()[:100]}"
        for path in tracked()
        for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), 1)
        if pattern.search(line)
    ]
    assert found == []
