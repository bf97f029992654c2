"""The baselines of the drift monitor, by the headers of their files.

    <mlruns>/drift/baselines/*.safetensors ── the header alone ──> BaselineInfo

A file that was cut, or is no baseline, is told; its digest is not computed again, as that takes all of its arrays.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from benchkit.store.board_files import Damaged, object_of, reason, shown, stay_within
from benchkit.store.drift_baseline import FORM_VERSION, SUFFIX
from benchkit.types.drift import BaselineInfo

_MOST_HEADER = 16 * 2**20  # a few kilobytes are usual, with the texts of the canaries


class Baselines:
    """A folder of baselines."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._heads: dict[str, tuple[tuple[int, int], BaselineInfo | str]] = {}

    def stamp(self) -> list[Any]:
        """Return what changes with every baseline."""
        return [(name, state) for name, _, state in self._files()[0]]

    def read(self) -> tuple[list[BaselineInfo], list[str]]:
        """Return the baselines by name, and sentences on those that can't be used."""
        files, problems = self._files()
        heads = {}
        for name, path, state in files:
            before = self._heads.get(name)
            heads[name] = before if before and before[0] == state else (state, _head_or_problem(path, state[1]))
        self._heads = heads
        found = [outcome for _, outcome in heads.values()]
        infos = [outcome for outcome in found if isinstance(outcome, BaselineInfo)]
        return infos, problems + [outcome for outcome in found if isinstance(outcome, str)]

    def _files(self) -> tuple[list[tuple[str, Path, tuple[int, int]]], list[str]]:
        files, problems = [], []
        root = self._folder.resolve()
        try:
            names = sorted(name for name in os.listdir(root) if name.endswith(SUFFIX))  # noqa: PTH208
        except FileNotFoundError:
            return [], []
        except OSError as exc:
            return [], [f"{shown(self._folder)}: {reason(exc)}"]
        for name in names:
            try:
                path = stay_within(root / name, root)
                state = path.stat()
            except (Damaged, OSError) as exc:
                problems.append(f"{shown(self._folder / name)}: {reason(exc)}")
            else:
                files.append((name, path, (state.st_mtime_ns, state.st_size)))
        return files, problems


def _head_or_problem(path: Path, size: int) -> BaselineInfo | str:
    try:
        return _head(path, size)
    except Damaged as exc:
        return f"{shown(path)}: {exc}"
    except OSError as exc:
        return f"{shown(path)}: {reason(exc)}"


def _head(path: Path, size: int) -> BaselineInfo:
    """Return what a baseline's header says; the digest is not computed again, as that takes all of its arrays."""
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if length > min(size - 8, _MOST_HEADER):
            raise Damaged("the baseline is damaged: its header doesn't fit into the file")
        header = object_of(file.read(length))
    metadata = header.get("__metadata__")
    text = metadata.get("benchkit") if isinstance(metadata, dict) else None
    if not isinstance(text, str):
        raise Damaged("it is no baseline of benchkit")
    _check_arrays(header, size - 8 - length)
    head = object_of(text.encode("utf-8", "replace"))
    if head.get("version") != FORM_VERSION:
        raise Damaged(f"form {shown(str(head.get('version')))}, and this benchkit reads form {FORM_VERSION}; renew it")
    facts = head.get("facts")
    info = facts.get("info") if isinstance(facts, dict) else None
    if not isinstance(info, dict) or not isinstance(head.get("digest"), str):
        raise Damaged("the baseline is damaged: its header lacks its facts")
    return _info({**info, "digest": head["digest"], "bytes": size})


def _check_arrays(header: Mapping[str, Any], size: int) -> None:
    try:
        ends = [entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__"]
        if max(ends, default=0) != size:
            raise Damaged("the baseline is damaged: its arrays don't fit into the file")
    except (TypeError, KeyError, IndexError) as exc:
        raise Damaged("the baseline is damaged: its header can't be read") from exc


def _info(found: Mapping[str, Any]) -> BaselineInfo:
    texts = ("name", "created", "source", "model", "fingerprint", "digest")
    kinds = {field.name: str if field.name in texts else int for field in fields(BaselineInfo)}
    values = {name: found[name] for name in kinds if name in found}
    for name, value in values.items():
        if type(value) is not kinds[name]:
            raise Damaged(f"the baseline is damaged: {name} isn't a {'text' if name in texts else 'number'}")
    try:
        return BaselineInfo(**values)
    except TypeError as exc:
        raise Damaged("the baseline is damaged: its header lacks a fact") from exc
