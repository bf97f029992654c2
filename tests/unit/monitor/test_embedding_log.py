"""EmbeddingLog: nothing is lost or doubled, and nothing is raised into the service."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.dataset
import pyarrow.parquet as pq
import pytest

from benchkit.monitor import EmbeddingLog
from benchkit.monitor.log_files import DayRows, PartWriter, days_of
from benchkit.monitor.log_queue import BLOCKS
from benchkit.monitor.log_rows import Block


def rows_of(path: Path) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = pyarrow.dataset.dataset(path, partitioning="hive").to_table().to_pylist()
    return rows


def first_values(path: Path) -> list[int]:
    return sorted(int(row["vector"][0]) for row in rows_of(path))


def vector(number: int, dimension: int = 4) -> np.ndarray[Any, Any]:
    return np.full(dimension, number, np.float32)


def run_script(script: str, *args: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", script, *args], capture_output=True, text=True, timeout=60)


def wait_for(is_so: Callable[[], bool]) -> None:
    for _ in range(600):
        if is_so():
            return
        time.sleep(0.05)
    raise AssertionError("it did not happen in 30 s")


# ------------------------------------------------------------ what is kept


def test_rows_come_back_as_they_were_recorded(tmp_path: Path) -> None:
    with EmbeddingLog(tmp_path, model="m", fingerprint="f", keep_texts=True) as log:
        log.record([1.0, 2.0], ids="a", time=0, text="hello", segment="en", role="query", score=0.5)
        log.record(np.array([[3, 4], [5, 6]], np.float64), ids=["b", "c"], time=[1, 2], role="document")
    found = sorted(rows_of(tmp_path), key=lambda row: row["time"])
    assert [(row["id"], row["vector"], row["role"]) for row in found] == [
        ("a", [1.0, 2.0], "query"),
        ("b", [3.0, 4.0], "document"),
        ("c", [5.0, 6.0], "document"),
    ]
    assert (found[0]["text"], found[0]["segment"], found[0]["score"]) == ("hello", "en", 0.5)
    assert [row["time"].timestamp() for row in found] == [0, 1, 2]
    assert (log.stats.written, log.stats.offered, log.stats.last_error) == (3, 3, "")
    line = json.loads((tmp_path / "_manifest.jsonl").read_text())
    assert (line["rows"], line["model"], line["pid"], line["so_far"]["written"]) == (3, "m", os.getpid(), 3)


def test_texts_are_not_kept_unless_asked_for(tmp_path: Path) -> None:
    with EmbeddingLog(tmp_path) as log:
        log.record([1.0], text="secret text")
        assert log._queue._block is not None
        assert log._queue._block.labels == []
    assert "text" not in rows_of(tmp_path)[0]
    assert all(b"secret" not in file.read_bytes() for file in tmp_path.rglob("*") if file.is_file())


def test_the_service_may_change_its_array_afterwards(tmp_path: Path) -> None:
    mine = vector(1)
    with EmbeddingLog(tmp_path) as log:
        log.record(mine)
        mine[:] = 9
    assert first_values(tmp_path) == [1]


def test_rows_are_written_in_time_without_a_call(tmp_path: Path) -> None:
    log = EmbeddingLog(tmp_path, flush_every_s=0.05)
    log.record(vector(1))
    wait_for(lambda: log.stats.written == 1)
    assert first_values(tmp_path) == [1]
    log.close()


def test_flush_writes_what_was_recorded_before(tmp_path: Path) -> None:
    log = EmbeddingLog(tmp_path, rows_per_file=4)
    log.record(np.arange(10, dtype=np.float32)[:, None])
    assert log.flush()
    assert first_values(tmp_path) == [*range(10)]
    assert (log.stats.written, log.stats.waiting) == (10, 0)
    assert log.close()
    assert log.close()


def test_sampling_is_seeded_and_unbiased(tmp_path: Path) -> None:
    numbers = np.arange(20_000, dtype=np.float32)[:, None]
    kept = []
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        with EmbeddingLog(tmp_path / name, sampling=0.3, seed=seed) as log:
            for number in numbers[:500]:
                log.record(number, ids=str(int(number[0])))
            log.record(numbers[500:], ids=range(500, 20_000))
        found = rows_of(tmp_path / name)
        assert all(int(row["id"]) == row["vector"][0] for row in found)
        assert log.stats.written + log.stats.sampled_out == 20_000
        kept.append(sorted(int(row["id"]) for row in found))
    assert kept[0] == kept[1] != kept[2]
    for rows in kept:
        # 5.5 standard errors, of the number kept and of where they lie.
        assert abs(len(rows) - 6000) < 5.5 * np.sqrt(20_000 * 0.3 * 0.7)
        assert abs(np.mean(rows) - 10_000) < 5.5 * 20_000 / np.sqrt(12 * len(rows))


@pytest.mark.parametrize(("sampling", "kept"), [(0.0, 0), (1.0, 50)])
def test_sampling_of_nothing_and_of_all(tmp_path: Path, sampling: float, kept: int) -> None:
    with EmbeddingLog(tmp_path, sampling=sampling) as log:
        for number in range(50):
            log.record(vector(number))
    assert (log.stats.written, log.stats.sampled_out) == (kept, 50 - kept)


def test_the_folder_stays_within_its_bytes(tmp_path: Path) -> None:
    limit = 200_000
    with EmbeddingLog(tmp_path, max_bytes=limit, rows_per_file=100) as log:
        for start in range(0, 3000, 100):
            log.record(np.full((100, 64), start, np.float32))
            log.flush()
            assert sum(file.stat().st_size for file in tmp_path.rglob("*") if file.is_file()) <= limit + 2000
    assert log.stats.removed_files > 10
    assert max(first_values(tmp_path)) == 2900


@pytest.mark.parametrize("rows_of_a_call", [1, 500])
def test_the_folder_stays_within_its_bytes_with_texts_and_ids_that_are_longer_than_vectors(
    tmp_path: Path, rows_of_a_call: int
) -> None:
    limit = 400_000
    with EmbeddingLog(tmp_path, max_bytes=limit, keep_texts=True) as log:
        for _ in range(0, 2000, rows_of_a_call):
            words = [os.urandom(300).hex() for _ in range(2 * rows_of_a_call)]
            log.record(np.zeros((rows_of_a_call, 8)), text=words[::2], ids=words[1::2])
    found = [file for file in tmp_path.rglob("*") if file.is_file()]
    assert sum(file.stat().st_size for file in found) <= limit + 2000
    assert max(file.stat().st_size for file in found) < limit // 2  # so that there are others beside the last
    assert log.stats.removed_files > 5
    assert (log.stats.written, log.stats.offered) == (2000, 2000)


def test_a_text_that_is_more_than_the_folder_may_hold_is_counted_and_told(tmp_path: Path) -> None:
    with EmbeddingLog(tmp_path, max_bytes=50_000, keep_texts=True) as log:
        log.record(vector(1), text="a")
        log.record(vector(2), text=os.urandom(50_000).hex())
        log.record(vector(3), text="a")
    assert first_values(tmp_path) == [1, 3]
    assert (log.stats.written, log.stats.failed, log.stats.offered) == (2, 1, 3)
    assert "is more than max_bytes (50000)" in log.stats.last_error


# ------------------------------------------------------------ nothing is raised


def test_what_is_wrong_is_counted_and_said_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    class Hostile:
        def __str__(self) -> str:
            raise RuntimeError("a private text")

    with caplog.at_level(logging.WARNING), EmbeddingLog(tmp_path) as log:
        log.record(vector(1))
        for _ in range(3):
            log.record(vector(1, dimension=5))
        log.record(np.zeros((7, 5)))
        log.record("a private text")
        log.record(object())
        log.record(vector(1), ids=Hostile())
        log.record(vector(1), score="a private text")
        log.record(vector(1), time="a private text")
    assert (log.stats.written, log.stats.failed) == (1, 3 + 7 + 5)
    messages = [record.getMessage() for record in caplog.records]
    assert sum("vectors of 5 dimensions in a log of 4" in message for message in messages) == 1
    assert len(messages) == len(set(messages)) == 6
    assert not any("private" in message for message in messages)


def test_a_log_that_is_closed_counts_what_comes_later(tmp_path: Path) -> None:
    log = EmbeddingLog(tmp_path)
    log.record(vector(1))
    assert log.close()
    log.record(np.zeros((3, 4)))
    assert (log.stats.written, log.stats.dropped) == (1, 3)
    assert log.stats.last_error == "rows were handed in after close()"
    assert log.flush()


def test_a_disk_that_refuses_is_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchkit.monitor.log.RETRY_PAUSES_S", (0.0,))
    blocked = tmp_path / "a file"
    blocked.write_text("")
    log = EmbeddingLog(blocked)
    log.record(np.zeros((3, 4)))
    assert not log.flush()
    assert not log.close()
    assert (log.stats.failed, log.stats.written, log.stats.offered) == (3, 0, 3)
    assert log.stats.last_error in ("Not a directory", "File exists")


def test_a_disk_that_is_better_a_moment_later_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    honest = PartWriter.write
    calls = []

    def fails_once(self: PartWriter, *args: Any) -> dict[str, Any]:
        calls.append(1)
        if len(calls) == 1:
            raise OSError(5, "Input/output error")
        return honest(self, *args)

    monkeypatch.setattr(PartWriter, "write", fails_once)
    with EmbeddingLog(tmp_path) as log:
        log.record(vector(1))
    assert (log.stats.written, log.stats.failed, log.stats.last_error) == (1, 0, "Input/output error")


def test_a_block_that_can_not_be_divided_is_counted_and_later_ones_are_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[int] = []

    def days(block: Block) -> Iterator[DayRows]:
        calls.append(block.rows)
        for part in days_of(block):
            yield part
            if len(calls) == 1:
                raise MemoryError

    monkeypatch.setattr("benchkit.monitor.log.days_of", days)
    log = EmbeddingLog(tmp_path)
    log.record(np.zeros((3, 4)), time=[0, 0, 86_400])
    assert not log.flush(10)
    assert (log.stats.written, log.stats.failed, log.stats.waiting) == (2, 1, 0)
    log.record(vector(7))
    assert log.flush(10)
    log.close()
    assert first_values(tmp_path) == [0, 0, 7]
    assert log.stats.last_error == "MemoryError while recording"


BROKEN_PYARROW = """
import importlib.abc, sys
import numpy as np
from benchkit.monitor import EmbeddingLog

class Broken(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name == "pyarrow":
            raise AttributeError("_ARRAY_API not found")       # as of a build for another NumPy

sys.meta_path.insert(0, Broken())
log = EmbeddingLog(sys.argv[1])
log.record(np.zeros((3, 4)))
assert not log.flush(20)
assert (log.stats.failed, log.stats.waiting) == (3, 0), log.stats
assert not log.close()
"""


def test_where_pyarrow_is_broken_rows_are_counted_as_failed_and_it_is_told(tmp_path: Path) -> None:
    done = run_script(BROKEN_PYARROW, str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("pyarrow can't be imported: AttributeError: _ARRAY_API not found") == 1
    assert "Traceback" not in done.stderr


def test_a_writer_that_is_behind_drops_and_keeps_memory_bounded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate, honest = threading.Event(), PartWriter.write

    def slow(self: PartWriter, *args: Any) -> dict[str, Any]:
        gate.wait(30)
        return honest(self, *args)

    monkeypatch.setattr(PartWriter, "write", slow)
    log = EmbeddingLog(tmp_path, rows_per_file=10, memory_bytes=10 * BLOCKS * 24)  # a row: 4 floats and a time
    for number in range(200):
        log.record(vector(number))
    assert log._queue._n_blocks == BLOCKS
    assert (log.stats.dropped, log.stats.waiting) == (200 - 10 * BLOCKS, 10 * BLOCKS)
    gate.set()
    assert log.flush()
    log.record(vector(999))
    log.close()
    assert first_values(tmp_path) == [*range(10 * BLOCKS), 999]
    assert log.stats.offered == 201


def test_long_texts_are_bounded_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gate, honest = threading.Event(), PartWriter.write

    def slow(self: PartWriter, *args: Any) -> dict[str, Any]:
        gate.wait(30)
        return honest(self, *args)

    monkeypatch.setattr(PartWriter, "write", slow)
    log = EmbeddingLog(tmp_path, keep_texts=True, memory_bytes=1 << 20)
    for number in range(300):
        log.record(vector(number), text="x" * 10_000 + str(number))
    assert log._queue._label_bytes < (1 << 20) + 20_000
    assert log.stats.dropped > 150
    gate.set()
    log.close()
    assert log._queue._label_bytes == 0
    assert log.stats.written + log.stats.dropped == 300


def test_a_signal_handler_that_records_while_the_lock_is_held_does_not_hang(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("benchkit.monitor.log_queue.LOCK_WAIT_S", 0.01)
    log = EmbeddingLog(tmp_path)
    log.record(vector(1))
    with log._queue.held():
        log.record(vector(2))
        assert not log.flush()
        assert log.stats.failed == 1
    assert "busy" in log.stats.last_error
    assert log.close()


def test_a_logging_handler_that_raises_stays_away_from_the_service(tmp_path: Path) -> None:
    class Broken(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            raise RuntimeError

    logger = logging.getLogger("benchkit.monitor.log")
    handler = Broken()
    logger.addHandler(handler)
    try:
        with EmbeddingLog(tmp_path) as log:
            log.record("no vector")
    finally:
        logger.removeHandler(handler)
    assert log.stats.failed == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sampling": 1.5}, "sampling: expected 0 to 1, got 1.5"),
        ({"sampling": float("nan")}, "sampling: expected 0 to 1, got nan"),
        ({"max_bytes": 0}, "max_bytes: expected a positive number, got 0"),
        ({"rows_per_file": -1}, "rows_per_file: expected a positive number, got -1"),
        ({"flush_every_s": 0}, "flush_every_s: expected a positive number, got 0"),
        ({"memory_bytes": 0}, "memory_bytes: expected a positive number, got 0"),
        ({"model": object()}, r"model: expected a text such as 'minilm', got object; .* as meta.name"),
        ({"fingerprint": None}, "fingerprint: expected a text such as 'minilm', got NoneType; a model"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_options_out_of_range_are_refused(tmp_path: Path, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        EmbeddingLog(tmp_path, **options)


# ------------------------------------------------------------ threads and processes

HAMMER = """
import os, sys, threading
import numpy as np
from benchkit.monitor import EmbeddingLog
log = EmbeddingLog(sys.argv[1], rows_per_file=97, memory_bytes=1 << 26)
log.record(np.full(4, 1_000_000, np.float32))          # of the parent: must be there once
children = []
for child in range(3):
    pid = os.fork()
    if pid == 0:
        def work(thread):
            for i in range(500):
                log.record(np.full(4, child * 10_000 + thread * 1_000 + i, np.float32))
                if i % 200 == 0:
                    log.flush()
        threads = [threading.Thread(target=work, args=(t,)) for t in range(4)]
        [t.start() for t in threads]; [t.join() for t in threads]
        ok = log.close() and log.stats.written == 2_000
        os._exit(0 if ok else 1)
    children.append(pid)
codes = [os.waitpid(pid, 0)[1] for pid in children]
log.record(np.full(4, 1_000_001, np.float32))
sys.exit(any(codes))                                   # atexit flushes
"""


def test_every_row_of_forked_processes_and_threads_is_there_once(tmp_path: Path) -> None:
    done = run_script(HAMMER, str(tmp_path))
    assert done.returncode == 0, done.stderr
    expected = [c * 10_000 + t * 1_000 + i for c in range(3) for t in range(4) for i in range(500)]
    assert first_values(tmp_path) == sorted([*expected, 1_000_000, 1_000_001])
    lines = [json.loads(line) for line in (tmp_path / "_manifest.jsonl").read_text().splitlines()]
    assert sum(line["rows"] for line in lines) == len(expected) + 2
    assert {line["file"] for line in lines} == {str(f.relative_to(tmp_path)) for f in tmp_path.rglob("*.parquet")}
    assert len({line["pid"] for line in lines}) == 4


FORK_WITHIN_THE_IMPORT = """
import importlib.abc, os, sys, threading, time
import numpy as np
import benchkit.monitor.log_process
from benchkit.monitor import EmbeddingLog
benchkit.monitor.log_process.FORK_WAIT_S = 0.01        # less than the import takes, as on a cold disk
within = threading.Event()

class Slow(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name == "pyarrow.lib" and not within.is_set():
            within.set()
            time.sleep(0.5)

sys.meta_path.insert(0, Slow())
log = EmbeddingLog(sys.argv[1])
log.record(np.full(4, 1, np.float32))                  # of a service that warms up before its workers are forked
assert within.wait(20)
pid = os.fork()
if pid == 0:
    log.record(np.full(4, 2, np.float32))
    os._exit(0 if log.flush(10) else 1)
assert os.waitpid(pid, 0)[1] == 0
"""


def test_a_child_that_is_forked_while_the_writer_is_still_imported_writes_too(tmp_path: Path) -> None:
    done = run_script(FORK_WITHIN_THE_IMPORT, str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert first_values(tmp_path) == [1, 2]


CHILDREN = """
import sys, multiprocessing
import numpy as np
from benchkit.monitor import EmbeddingLog

def work(path, number):
    log = EmbeddingLog(path)
    log.record(np.full(4, number, np.float32))         # no close: the end of the child flushes

def inherited(log, number):
    log.record(np.full(4, number, np.float32))

if __name__ == "__main__":
    context = multiprocessing.get_context("fork")
    log = EmbeddingLog(sys.argv[1])
    log.record(np.full(4, 100, np.float32))
    children = [context.Process(target=work, args=(sys.argv[1], 1)), context.Process(target=inherited, args=(log, 2))]
    [c.start() for c in children]; [c.join() for c in children]
"""


def test_children_of_multiprocessing_and_a_short_script_flush_at_their_end(tmp_path: Path) -> None:
    done = run_script(CHILDREN, str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert first_values(tmp_path) == [1, 2, 100]
    assert done.stderr == ""


@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_a_log_that_is_handed_to_a_child_by_pickle_begins_anew_there(tmp_path: Path, method: str) -> None:
    script = tmp_path / "service.py"
    script.write_text(CHILDREN.replace('get_context("fork")', f'get_context("{method}")'))
    done = subprocess.run([sys.executable, script, tmp_path / "log"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert first_values(tmp_path / "log") == [1, 2, 100]
    assert done.stderr == ""


def test_a_log_by_pickle_is_of_the_same_options_and_draws_of_its_own(tmp_path: Path) -> None:
    log = EmbeddingLog(
        tmp_path, model="m", fingerprint="f", sampling=0.3, max_bytes=70_000, rows_per_file=9, flush_every_s=2.0,
        keep_texts=True, dimension=4, memory_bytes=90_000, seed=1,
    )  # fmt: skip
    other = pickle.loads(pickle.dumps(log))
    ours = ("_queue", "_draw", "busy", "_starting")
    same, found = ({k: v for k, v in vars(each).items() if k not in ours} for each in (log, other))
    assert found == same
    assert [log._draw() for _ in range(9)] != [other._draw() for _ in range(9)]
    log.close()
    other.close()


def test_recording_imports_nothing_heavy_on_the_callers_thread() -> None:
    script = """
import sys
from benchkit.monitor import EmbeddingLog
heavy = {"pyarrow", "pandas", "scipy", "torch", "mteb", "requests", "http.client"}
assert not heavy & set(sys.modules), heavy & set(sys.modules)
"""
    done = run_script(script)
    assert done.returncode == 0, done.stderr


def test_writing_does_not_import_pandas(tmp_path: Path) -> None:
    script = """
import sys
from benchkit.monitor import EmbeddingLog
with EmbeddingLog(sys.argv[1], keep_texts=True) as log:
    log.record([1.0, 2.0], ids="a", text="b", score=0.5, role="query")
assert log.stats.written == 1
assert "pyarrow" in sys.modules and "pandas" not in sys.modules
"""
    done = run_script(script, str(tmp_path))
    assert done.returncode == 0, done.stderr


ENDLESS = """
import sys
import numpy as np
from benchkit.monitor import EmbeddingLog
log = EmbeddingLog(sys.argv[1], rows_per_file=200)
number = 0
while True:
    log.record(np.full(256, number, np.float32))
    number += 1
    if number % 150 == 0:
        log.flush()
        print(number, flush=True)
"""


def test_after_kill_9_every_visible_file_is_whole(tmp_path: Path) -> None:
    for attempt in range(3):
        folder = tmp_path / str(attempt)
        child = subprocess.Popen([sys.executable, "-c", ENDLESS, str(folder)], stdout=subprocess.PIPE, text=True)
        assert child.stdout is not None
        flushed = [int(child.stdout.readline()) for _ in range(4)][-1]
        time.sleep(0.003 * attempt)
        child.send_signal(signal.SIGKILL)
        child.wait(30)
        child.stdout.close()
        found = Counter(first_values(folder))
        assert set(range(flushed)) <= set(found)
        assert max(found.values()) == 1
        for line in map(json.loads, (folder / "_manifest.jsonl").read_text().splitlines()):
            content = (folder / line["file"]).read_bytes()
            assert hashlib.sha256(content).hexdigest() == line["sha256"]


KILLED_HALF_WAY = """
import os, signal, sys
import numpy as np
from benchkit.monitor import EmbeddingLog
log = EmbeddingLog(sys.argv[1])
log.record(np.zeros(64, np.float32))
assert log.flush()
honest = os.write
def half(file, content):
    honest(file, bytes(content)[: len(content) // 2])
    os.kill(os.getpid(), signal.SIGKILL)
os.write = half
log.record(np.ones(64, np.float32))
log.flush()
"""


def test_a_process_killed_half_way_through_a_file_leaves_none_that_shows(tmp_path: Path) -> None:
    done = run_script(KILLED_HALF_WAY, str(tmp_path))
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert first_values(tmp_path) == [0]
    assert len(list(tmp_path.rglob(".part-*.tmp"))) == 1


FULL_DISK = """
import resource, sys
import numpy as np
import benchkit.monitor.log
from benchkit.monitor import EmbeddingLog
benchkit.monitor.log.RETRY_PAUSES_S = (0.01,)
log = EmbeddingLog(sys.argv[1], rows_per_file=1000)
log.record(np.zeros((10, 64), np.float32))
assert log.flush()
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
log.record(np.ones((1000, 64), np.float32))            # a file of 256 kB
assert not log.flush()
assert (log.stats.written, log.stats.failed) == (10, 1000), log.stats
log.record(np.full((10, 64), 2, np.float32))           # small ones still fit
assert log.flush()
print(log.stats.last_error)
"""


def test_a_full_disk_is_counted_and_leaves_nothing_torn(tmp_path: Path) -> None:
    done = run_script(FULL_DISK, str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert done.stdout == "File too large\n"
    assert done.stderr.count("File too large") == 1
    assert first_values(tmp_path) == [0] * 10 + [2] * 10
    assert list(tmp_path.rglob("*.tmp")) == []


def test_files_are_of_one_schema_whatever_was_given(tmp_path: Path) -> None:
    with EmbeddingLog(tmp_path) as log:
        log.record(vector(1))
        log.flush()
        log.record(vector(2), ids="a", role="query", score=1.0, segment="s")
    first, second = (pq.ParquetFile(file).schema_arrow for file in tmp_path.rglob("*.parquet"))
    assert first.equals(second)
