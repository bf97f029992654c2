"""What a log removed before a watch had read it: counted once, whatever is turned, cut short or away meanwhile."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from drift_data import vectors

from benchkit.monitor import log_files
from benchkit.monitor.log_files import MANIFEST, OLD_MANIFEST, PartWriter, days_of
from benchkit.monitor.log_removed import Removed, look
from benchkit.monitor.log_rows import Block
from benchkit.sources.open import open_source


def write(folder: Path, *rows: int, max_bytes: int = 1 << 30) -> None:
    """Write files of so many rows as a log does."""
    writer = PartWriter(folder, "m", "f", 1.0, max_bytes, keep_texts=False)
    for n in rows:
        block = Block.of(n, 16)
        block.add(vectors(n), 0, None, 0)
        (part,) = days_of(block)
        writer.tell(writer.write(block, part))


def read(folder: Path, batches: int | None = None, batch_rows: int = 8192) -> Mapping[str, Any]:
    """Return the position behind so many batches."""
    ends = [rows.end for rows in open_source(str(folder)).read(batch_rows=batch_rows)]
    return ends[:batches][-1]


def files(folder: Path) -> list[Path]:
    return sorted(folder.rglob("part-*.parquet"))


ONE_FILE = 30_000  # bytes: room for one file of 300 rows, and no other beside it


def found(removed: Removed) -> tuple[int, int, int]:
    return removed.files, removed.rows, removed.uncounted


def test_files_that_went_before_they_were_read_are_counted_once_and_read_ones_are_not(tmp_path: Path) -> None:
    log = tmp_path / "log"
    write(log, 500, 400)
    begun, position = look(log, Removed(), {})
    assert (found(begun), position) == ((0, 0, 0), {})
    position = read(log, 1)  # the first file alone
    write(log, 300, max_bytes=ONE_FILE)
    assert len(files(log)) == 1
    after, same = look(log, begun, position)
    assert found(after) == (1, 400, 0)
    assert same == position
    assert found(look(log, after, position)[0]) == (1, 400, 0)
    assert "400 in 1 files, which the log removed before they were read" in after.sentences[0]


def test_what_went_before_the_watch_began_is_no_loss_of_it(tmp_path: Path) -> None:
    log = tmp_path / "log"
    write(log, 300, 300)
    write(log, 300, max_bytes=ONE_FILE)
    assert "removed" in (log / MANIFEST).read_text()
    begun, _ = look(log, Removed(), {})
    assert found(look(log, begun, {})[0]) == (0, 0, 0)


def test_a_log_that_begins_after_the_watch_is_counted_from_its_start(tmp_path: Path) -> None:
    log = tmp_path / "log"
    assert look(log, Removed(), {})[0].seen is None  # no folder yet
    log.mkdir()
    begun, _ = look(log, Removed(), {})
    write(log, 300, 300)
    write(log, 300, max_bytes=ONE_FILE)
    assert found(look(log, begun, {})[0]) == (2, 600, 0)


def test_the_rest_of_a_file_in_hand_is_lost_and_the_source_goes_on(tmp_path: Path) -> None:
    log = tmp_path / "log"
    write(log, 600)
    begun, _ = look(log, Removed(), {})
    position = read(log, 1, batch_rows=512)
    assert position["row"] == 512
    write(log, 100, max_bytes=ONE_FILE)
    (left,) = files(log)
    after, onwards = look(log, begun, position)
    assert found(after) == (1, 88, 0)
    assert [len(rows) for rows in open_source(str(log)).read(onwards)] == [100]
    assert left.exists()


def test_logs_of_several_services_in_one_folder_are_told_apart(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write(tmp_path / name, 300, 200)
    begun, _ = look(tmp_path, Removed(), {})
    position = read(tmp_path, 1)
    assert position["file"].startswith("a/")
    for name in ("a", "b"):
        write(tmp_path / name, 300, max_bytes=ONE_FILE)
    after, _ = look(tmp_path, begun, position)
    # Both files of b, and the second of a.
    assert found(after) == (3, 200 + 300 + 200, 0)


@pytest.mark.parametrize("target", ["a", "../away/a"])
def test_a_log_that_links_lead_to_is_one_log(tmp_path: Path, target: str) -> None:
    root = tmp_path / "logs"
    root.mkdir()
    log = (root / target).resolve()
    log.parent.mkdir(exist_ok=True)
    write(log, 300, 200)
    for link in ("current", "latest"):
        (root / link).symlink_to(target)
    begun, _ = look(root, Removed(), {})
    position = read(root, 1)
    write(log, 250, max_bytes=ONE_FILE)
    after, same = look(root, begun, position)
    # The first file was read, under one of its names.
    assert found(after) == (1, 200, 0)
    assert same == position
    # Of a file in hand the rest is lost, by whatever name it was begun.
    halves = read(root, 1, batch_rows=128)
    write(log, 300, max_bytes=ONE_FILE)
    rest, onwards = look(root, after, halves)
    assert found(rest) == (2, 200 + 250 - 128, 0)
    assert [len(rows) for rows in open_source(str(root)).read(onwards)] == [300]


def test_a_link_that_leads_back_to_the_log_is_no_further_log(tmp_path: Path) -> None:
    log = tmp_path / "log"
    write(log, 300)
    (log / "latest").symlink_to(".")
    begun, _ = look(log, Removed(), {})
    position = read(log)
    write(log, 300, max_bytes=ONE_FILE)
    after, _ = look(log, begun, position)
    assert (found(after), list(after.seen or {})) == ((0, 0, 0), ["."])


def test_a_manifest_that_vanishes_between_two_looks_at_it_is_not_counted_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = tmp_path / "log"
    write(log, 300, 300)
    begun, _ = look(log, Removed(), {})
    write(log, 300, max_bytes=ONE_FILE)
    after, _ = look(log, begun, {})
    assert after.files == 2
    # It was turned, and the log turns it again as soon as anybody has opened it.
    (log / MANIFEST).replace(log / OLD_MANIFEST)
    write(log, 300, 300)
    opened = Path.open

    def turning(path: Path, *args: Any, **options: Any) -> Any:
        file = opened(path, *args, **options)
        if path.name == MANIFEST:
            path.rename(log / OLD_MANIFEST)
        return file

    monkeypatch.setattr(Path, "open", turning)
    now, _ = look(log, after, {})
    monkeypatch.undo()
    write(log, 300)
    assert look(log, now, {})[0].files == 2


@pytest.mark.parametrize("begun_line", ["", '{"file": "da'])
def test_a_manifest_whose_first_line_is_not_there_yet_is_looked_at_later(tmp_path: Path, begun_line: str) -> None:
    log = tmp_path / "log"
    write(log, 300, 300)
    begun, _ = look(log, Removed(), {})
    write(log, 300, max_bytes=ONE_FILE)
    after, _ = look(log, begun, {})
    (log / MANIFEST).replace(log / OLD_MANIFEST)
    (log / MANIFEST).write_text(begun_line)
    now, _ = look(log, after, {})
    write(log, 300)
    assert look(log, now, {})[0].files == after.files == 2


@pytest.mark.parametrize("turns", [1, 2])
def test_a_manifest_that_was_turned_is_read_to_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, turns: int
) -> None:
    log = tmp_path / "log"
    write(log, 300, 300)
    begun, _ = look(log, Removed(), {})
    room = ONE_FILE
    write(log, 300, max_bytes=room)  # two go
    monkeypatch.setattr(log_files, "LARGEST_MANIFEST", 1)
    for _ in range(turns):
        write(log, 300, max_bytes=1 << 30)  # turns it, and removes nothing
    monkeypatch.undo()
    write(log, 300, max_bytes=room)
    assert (log / OLD_MANIFEST).exists()
    after, _ = look(log, begun, {})
    # What stood in a manifest that was turned twice is gone, which is told; its later removals aren't.
    gone_before, gone_after = (2, turns + 1)
    assert after.files == (gone_before if turns == 1 else 0) + gone_after
    assert after.gaps == turns - 1
    assert ["more rows may be lost" in sentence for sentence in after.sentences] == [False, True][:turns]
    assert after.told == after.files + after.gaps
    assert found(look(log, after, {})[0]) == found(after)
    assert look(log, after, {})[0].gaps == after.gaps


def test_rows_of_which_no_line_is_left_are_told_as_unknown(tmp_path: Path) -> None:
    log = tmp_path / "log"
    write(log, 300)
    begun, _ = look(log, Removed(), {})
    with (log / MANIFEST).open("a") as file:
        file.write(
            '{"removed": "date=2026-01-01/part-1-2-3.parquet"}\n[1]\n{"removed": 7}\nno JSON\n{"removed": "date='
        )
    after, _ = look(log, begun, {})
    assert found(after) == (1, 0, 1)
    assert "(of 1 it isn't known how many)" in after.sentences[0]
    with (log / MANIFEST).open("a") as file:  # the line that wasn't whole
        file.write('2026-01-01/part-4-5-6.parquet"}\n')
    assert found(look(log, after, {})[0]) == (2, 0, 2)


def test_a_manifest_that_is_away_for_a_while_is_not_counted_again(tmp_path: Path) -> None:
    log = tmp_path / "log"
    write(log, 300, 300)
    begun, _ = look(log, Removed(), {})
    write(log, 300, max_bytes=ONE_FILE)
    after, _ = look(log, begun, {})
    assert after.files == 2
    (log / MANIFEST).rename(tmp_path / "away")
    away, _ = look(log, after, {})
    (tmp_path / "away").rename(log / MANIFEST)
    (log / MANIFEST).rename(log / "other")
    (log / MANIFEST).mkdir()  # there, and can't be read
    away, _ = look(log, away, {})
    (log / MANIFEST).rmdir()
    (log / "other").rename(log / MANIFEST)
    assert look(log, away, {})[0] == after


def test_the_state_is_json_and_goes_on_where_it_was(tmp_path: Path) -> None:
    log = tmp_path / "log"
    write(log, 300)
    begun, _ = look(log, Removed(), {})
    assert Removed.from_json(json.loads(json.dumps(begun.to_json()))) == begun
    assert Removed.from_json(json.loads(json.dumps(Removed().to_json()))) == Removed()
    assert Removed.from_json(None) == Removed()
    with_gaps = Removed(1, 2, 3, {}, 4)
    assert Removed.from_json(json.loads(json.dumps(with_gaps.to_json()))) == with_gaps
    assert Removed.from_json({"files": 1, "rows": 2, "uncounted": 3, "seen": {}}) == Removed(1, 2, 3, {})
    assert np.array(list(begun.seen or {})).tolist() == ["."]
