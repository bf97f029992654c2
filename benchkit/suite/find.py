"""Find a suite by its name or path: the project's own first, then those that come with benchkit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from benchkit.errors import SuiteError
from benchkit.suite.problems import suggestion

SUFFIXES = (".yaml", ".yml")
# A form to fill in, which names data that nobody has.
TEMPLATE = "template"


def shipped_suites() -> Path:
    """Return the folder of the suites that come with benchkit: in an installed wheel or in a checkout."""
    package = Path(__file__).resolve().parent.parent
    installed = package / "_suites"
    return installed if installed.is_dir() else package.parent / "suites"


def list_suites(search: Sequence[Path] = (Path("suites"),)) -> Mapping[str, Path]:
    """Return name -> path of each suite in the folders and of the shipped ones; an earlier folder wins."""
    found: dict[str, Path] = {}
    for folder in (*search, shipped_suites()):
        for path in sorted(folder.glob("*")):
            if path.suffix in SUFFIXES and path.stem != TEMPLATE and path.is_file():
                found.setdefault(path.stem, path)
    return found


def find_suite(name_or_path: str | Path, search: Sequence[Path] = (Path("suites"),)) -> Path:
    """Return the file of a suite.

    Args:
        name_or_path: A path that exists or that ends in .yaml or .yml, or else a name.
        search: Folders of the project's own suites; they win over the shipped ones.

    Raises:
        SuiteError: there is none; says what there is.
    """
    path = Path(name_or_path)
    if path.is_file():
        return path
    if path.suffix in SUFFIXES:
        siblings = [other.name for other in path.parent.glob("*") if other.suffix in SUFFIXES]
        raise SuiteError(f"{path}: no such suite file{suggestion(path.name, siblings)}")
    suites = list_suites(search)
    if str(name_or_path) in suites:
        return suites[str(name_or_path)]
    if str(name_or_path) and path.is_dir():
        inside = sorted(other.name for other in path.glob("*") if other.suffix in SUFFIXES)
        found = f"; in it: {', '.join(inside)}" if inside else ", and no suite file is in it"
        raise SuiteError(f"{path}: a folder, where a suite file is needed{found}")
    hint = suggestion(str(name_or_path), suites)
    raise SuiteError(f"no suite named '{name_or_path}'{hint}. There are: {', '.join(sorted(suites)) or 'none'}")
