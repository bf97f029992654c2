"""Put a finished comparison on disk, then into MLflow.

    Finished ── result.json, items, answers, tags and costs .parquet, report.md, report.html ── MLflow run
                └── in mlruns/results/<time>-<suite>/

The files come first: when the tracking server is down, nothing is lost, and `benchkit track` logs them later.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from benchkit.api.kept_answers import kept_answers
from benchkit.api.kept_tags import kept_tags
from benchkit.api.request import Prepared
from benchkit.api.run import Finished
from benchkit.errors import BenchkitError, UsageError
from benchkit.report.html import render_html
from benchkit.report.json_form import to_dict
from benchkit.report.markdown import render_markdown
from benchkit.store.answers import write_answers
from benchkit.store.cost_samples import write_cost_samples
from benchkit.store.items import write_items
from benchkit.store.mlflow_store import log_comparison
from benchkit.store.recorded import Recorded as RecordedRun
from benchkit.store.recorded import content_id, find_recorded, write_recorded
from benchkit.store.tags import write_tags
from benchkit.types.answer import KeptItem
from benchkit.types.tags import KeptTags

RESULT = "result.json"
ITEMS = "items.parquet"
ANSWERS = "answers.parquet"
TAGS = "tags.parquet"
COSTS = "costs.parquet"
_COMPANIONS = (ITEMS, ANSWERS, TAGS, COSTS, "report.md", "report.html")


@dataclass(frozen=True, slots=True)
class Recorded:
    """Where a comparison went.

    Attributes:
        folder: The folder with its files; None when it could not be written.
        run: Where MLflow keeps it; None when it is not there.
        same_as: When the comparison ran that said the same and is recorded in its place; "" where there is none.
        warnings: What did not work, and what to do.
        interrupted: Whether a Ctrl-C ended the logging.
    """

    folder: Path | None
    run: str | None
    warnings: tuple[str, ...] = ()
    interrupted: bool = False
    same_as: str = ""


def record(finished: Finished, prepared: Prepared) -> Recorded:
    """Write the files of a comparison and log it; nothing that fails here loses the comparison.

    One that says the same as an earlier one, on unchanged inputs, is not recorded twice.
    """
    report = to_dict(finished.comparison)
    root = prepared.settings.mlruns_dir / "results"
    if (known := _known(report, root, prepared.tracking_uri)) is not None:
        return known
    try:
        answers, tags = kept_answers(finished.cells, prepared), kept_tags(finished.cells, prepared)
        folder = write_files(finished, report, root, answers=answers, tags=tags)
    except OSError as exc:
        problem = (
            f"{exc.filename or root}: the result can't be written: {exc.strerror or exc}; save it with --json PATH"
        )
        recorded = _log(None, report, prepared.tracking_uri)
        return replace(recorded, warnings=(problem, *recorded.warnings))
    return _log(folder, report, prepared.tracking_uri)


def _known(report: dict[str, Any], root: Path, tracking_uri: str | None) -> Recorded | None:
    if tracking_uri is None or report["interrupted"]:
        return None
    found = find_recorded(root, report["suite"]["name"], content_id(report), tracking_uri)
    if found is None or not (found[0] / RESULT).is_file():
        return None
    return Recorded(found[0], found[1].address, same_as=found[1].started)


def _log(folder: Path | None, report: dict[str, Any], tracking_uri: str | None) -> Recorded:
    """Log a report with its files, where there are any."""
    if tracking_uri is None:
        return Recorded(folder, None)
    hint = f"; log it later with: benchkit track {folder / RESULT}" if folder else ""
    try:
        run = log_comparison(report, tracking_uri=tracking_uri, artifacts=_files(folder) if folder else ())
    except BenchkitError as exc:
        return Recorded(folder, None, (f"not recorded in MLflow: {exc}{hint}",))
    except KeyboardInterrupt:
        return Recorded(folder, None, (f"not recorded in MLflow: interrupted{hint}",), interrupted=True)
    if folder is not None:
        # Without this note the next comparison is recorded once more, that is all.
        with suppress(OSError):
            write_recorded(
                folder,
                RecordedRun(content_id(report), report["started"], tracking_uri, run.run_id, run.url_or_uri),
            )
    return Recorded(folder, run.url_or_uri)


def write_files(
    finished: Finished,
    report: dict[str, Any],
    root: Path,
    *,
    answers: Sequence[KeptItem] = (),
    tags: Sequence[KeptTags] = (),
) -> Path:
    """Write the result, its items and the reports into a new folder and return it.

    Raises:
        OSError: the folder can't be written.
    """
    comparison = finished.comparison
    stamp = re.sub(r"[^0-9T]", "", comparison.started.partition("+")[0])
    folder = _new_folder(root, f"{stamp}-{comparison.suite.name}")
    try:
        write_items(folder / ITEMS, finished.cells)
        write_answers(folder / ANSWERS, answers)
        write_tags(folder / TAGS, tags)
        if finished.cost_samples is not None:
            write_cost_samples(folder / COSTS, finished.cost_samples)
        (folder / "report.md").write_text(render_markdown(comparison), encoding="utf-8")
        (folder / "report.html").write_text(render_html(comparison), encoding="utf-8")
        # Last and at once: a folder with a result is a whole one.
        write_json(folder / RESULT, report)
    except OSError:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return folder


def write_json(path: Path, report: dict[str, Any]) -> None:
    """Write a report as JSON, whole or not at all."""
    partial = path.with_name(f".{path.name}.part")
    try:
        with partial.open("w", encoding="utf-8") as file:
            json.dump(report, file, ensure_ascii=False, indent=1, allow_nan=False)
            file.write("\n")
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    finally:
        # Without its folder there is no such file either.
        with suppress(OSError):
            partial.unlink(missing_ok=True)


def track(result: Path, *, tracking_uri: str) -> str:
    """Log a result that is on disk, with the files beside it, and return where MLflow keeps it.

    Raises:
        UsageError: the file is no result of benchkit, or the store can't be reached.
    """
    report = read_report(result)
    return log_comparison(report, tracking_uri=tracking_uri, artifacts=[result, *_files(result.parent)[1:]]).url_or_uri


def read_report(path: Path) -> dict[str, Any]:
    """Read a result and check that it is one.

    Raises:
        UsageError: it can't be read, or is no result that this version knows.
    """
    from benchkit.report.json_form import from_dict

    report = read_json(path)
    from_dict(report)
    return report


def read_json(path: Path) -> dict[str, Any]:
    """Read a file that should be a result.

    Raises:
        UsageError: it can't be read, or is no JSON object.
    """
    try:
        report = json.loads(path.read_text(encoding="utf-8"))
    except OSError as exc:
        raise UsageError(f"{path}: {exc.strerror or exc}") from exc
    except (json.JSONDecodeError, UnicodeDecodeError) as exc:
        raise UsageError(f"{path}: not JSON ({exc})") from exc
    if not isinstance(report, dict):
        raise UsageError(f"{path}: not a result of benchkit")
    return report


def _files(folder: Path) -> Sequence[Path]:
    return [folder / RESULT, *(folder / name for name in _COMPANIONS if (folder / name).is_file())]


def _new_folder(root: Path, name: str) -> Path:
    for number in range(1000):
        folder = root / (name if number == 0 else f"{name}-{number}")
        try:
            folder.mkdir(parents=True)
        except FileExistsError:
            continue
        return folder
    raise FileExistsError(f"{root / name} and a thousand like it exist")
