"""Fetch the hub data sets of MTEB tasks, for machines without a network."""

from __future__ import annotations

from pathlib import Path

from benchkit.errors import SuiteError
from benchkit.tasks.opened import OpenedTask


def mirror_data(task: OpenedTask, to: Path) -> Path:
    """Download the data set of an MTEB task at its pinned revision into a folder of its own and return it.

    The folder can be named as `data:` of the same task in a suite.

    Raises:
        SuiteError: the task has local data already, or the hub can't be reached.
    """
    if task.is_local:
        raise SuiteError(f"{task.name}: its data are local already: {task.spec.data}")
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError

    path = task.task_class.metadata.dataset["path"]
    target = to / str(path).replace("/", "__")
    try:
        snapshot_download(path, repo_type="dataset", revision=task.revision or None, local_dir=target)
    except (OSError, HfHubHTTPError) as exc:
        reason = str(exc).splitlines()[0] if str(exc) else type(exc).__name__
        raise SuiteError(f"{task.name}: the data set {path} can't be fetched: {reason}") from exc
    return target
