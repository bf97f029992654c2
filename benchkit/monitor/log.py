"""EmbeddingLog: what a service calls to record its embeddings.

    service's threads ── record ── check, copy ──> block in memory ── full, flush_every_s ──> writer thread ──> Parquet
                            │                        └─ all memory waits for the disk: rows are dropped and counted
                            └─ nothing that goes wrong is raised: it is counted in `stats` and logged once

Several processes may record into one folder. A forked child begins anew: rows from before the fork are the parent's.
So does a child that is given the log by pickle (spawn, forkserver).
Rows that wait in memory are lost when the process is killed (SIGKILL, or SIGTERM that nobody handles); those of a
normal exit are written. No signal handler is set. Where threads are switched off (uWSGI without --enable-threads) the
writer can't run.
Cost: under 20 µs for a vector of 768 on the caller's thread (benchmarks/embedding_log.py); memory_bytes at most and
twice the bytes of the file that is being written; pyarrow is imported by the writer thread only.
"""

from __future__ import annotations

import logging
import os
import random
import threading
import time as clock
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from benchkit.monitor import log_process
from benchkit.monitor.log_files import DayRows, PartWriter, days_of
from benchkit.monitor.log_queue import BLOCKS, RowQueue
from benchkit.monitor.log_rows import Block, Labels, Refused, as_matrix, as_microseconds

_logger = logging.getLogger(__name__)
RETRY_PAUSES_S = (0.1, 1.0)
MOST_REASONS = 100


@dataclass(frozen=True, slots=True)
class LogStats:
    """What became of the rows that this process handed in; each is counted once.

    Attributes:
        written: On the disk.
        waiting: In memory.
        sampled_out: Left out because `sampling` is below 1.
        dropped: Lost because the writer was behind or the log was closed.
        failed: Refused (wrong shape, no number) or not written (full disk); a call whose rows can't be told counts 1.
        removed_files: Files that this process removed to stay within `max_bytes`.
        last_error: The latest reason, or "".
    """

    written: int = 0
    waiting: int = 0
    sampled_out: int = 0
    dropped: int = 0
    failed: int = 0
    removed_files: int = 0
    last_error: str = ""

    @property
    def recorded(self) -> int:
        return self.written + self.waiting

    @property
    def offered(self) -> int:
        return self.recorded + self.sampled_out + self.dropped + self.failed


class EmbeddingLog:
    """Records the embeddings of a service as Parquet files that `benchkit drift` reads.

    Args:
        path: Folder; made when the first rows are written. Several processes may share one.
        model, fingerprint: How the vectors' model is known and its content identity; kept in every file.
        sampling: Share of vectors to keep, 0 to 1; each is drawn by itself. Every file says it, so that the usual
            volume is that of what was embedded.
        max_bytes: Of the folder; the oldest files are removed. Each process may be over by one file for a moment. Rows
            whose file alone would be larger count as failed.
        rows_per_file: At most; fewer where four such blocks, or the texts of four, would not fit into `memory_bytes` or
            `max_bytes`.
        flush_every_s: Rows wait no longer than that in memory.
        keep_texts: Store texts that are handed in; without it they are not even kept in memory.
        dimension: Of the vectors; None takes that of the first one. Others are refused.
        memory_bytes: Of vectors that wait, and again of labels and texts.
        seed: Of the sampling; None draws one.

    Raises:
        ValueError: an argument isn't in its range, or a name isn't a text. Nothing else here raises.

    >>> EmbeddingLog("embeddings", sampling=1.5)
    Traceback (most recent call last):
    ValueError: sampling: expected 0 to 1, got 1.5
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        model: str = "",
        fingerprint: str = "",
        sampling: float = 1.0,
        max_bytes: int = 1 << 30,
        rows_per_file: int = 8192,
        flush_every_s: float = 60.0,
        keep_texts: bool = False,
        dimension: int | None = None,
        memory_bytes: int = 256 << 20,
        seed: int | None = None,
    ) -> None:
        if not 0 <= sampling <= 1:
            raise ValueError(f"sampling: expected 0 to 1, got {sampling}")
        limits = {"max_bytes": max_bytes, "rows_per_file": rows_per_file, "memory_bytes": memory_bytes}
        for name, value in {**limits, "flush_every_s": flush_every_s}.items():
            if not value > 0:
                raise ValueError(f"{name}: expected a positive number, got {value}")
        for name, text in {"model": model, "fingerprint": fingerprint}.items():
            # An object's text names its place in memory: each start of a service would seem to be another model.
            if not isinstance(text, str | os.PathLike):
                raise ValueError(
                    f"{name}: expected a text such as 'minilm', got {type(text).__name__}; "
                    "a model that benchkit loaded has both as meta.name and meta.fingerprint"
                )
        self.path = Path(path).absolute()  # the service may change its folder later
        self._model, self._fingerprint, self._keep_texts = str(model), str(fingerprint), bool(keep_texts)
        self._sampling, self._max_bytes, self._rows_per_file = float(sampling), int(max_bytes), int(rows_per_file)
        self._flush_every_s, self._memory_bytes, self._dimension = flush_every_s, int(memory_bytes), dimension
        self._seed = random.SystemRandom().getrandbits(64) if seed is None else seed
        self._begin(random.Random(self._seed))
        log_process.watch(self)

    def _begin(self, draws: random.Random) -> None:
        """Start with nothing in memory: a new log, or that of a forked child."""
        self.busy, self.imports = threading.Lock(), False  # see log_process.Live
        self._draw = draws.random
        self._queue = RowQueue(
            rows_per_block=self._rows_per_file,
            block_bytes=min(self._memory_bytes, self._max_bytes) // BLOCKS,
            memory_bytes=self._memory_bytes,
            dimension=self._dimension,
        )
        self._files: PartWriter | None = None
        self._thread: threading.Thread | None = None
        self._starting = threading.Lock()
        self._last_error = ""
        self._told: set[str] = set()

    def begin_in_child(self) -> None:
        """Leave the parent's rows to the parent; called after a fork."""
        # With the parent's draws, all children would keep the same rows.
        self._begin(random.Random(f"{self._seed}-{os.getpid()}"))

    def __enter__(self) -> EmbeddingLog:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"EmbeddingLog({str(self.path)!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        options = {
            "model": self._model,
            "fingerprint": self._fingerprint,
            "sampling": self._sampling,
            "max_bytes": self._max_bytes,
            "rows_per_file": self._rows_per_file,
            "flush_every_s": self._flush_every_s,
            "keep_texts": self._keep_texts,
            "dimension": self._dimension,
            "memory_bytes": self._memory_bytes,
            "seed": self._seed,
        }
        return _begun_anew, (str(self.path), options)

    # -------------------------------------------------------- the service's side

    def record(
        self,
        vectors: Any,
        *,
        ids: Any = None,
        time: Any = None,
        text: Any = None,
        segment: Any = None,
        role: Any = None,
        score: Any = None,
    ) -> None:
        """Take a copy of one vector (d) or of several (n, d); returns at once and never raises.

        Args:
            vectors: Array, list or tensor of real numbers; one that is on a GPU is waited for.
            ids, text, score: One for each vector.
            segment, role: One for all or one for each; a role is "query" or "document".
            time: When it was embedded: None for now, seconds since 1970, an aware datetime; one for all or each.
        """
        rows = 1
        try:
            matrix = as_matrix(vectors)
            rows = len(matrix)
            times = as_microseconds(time, rows)
            texts = text if self._keep_texts else None
            given = (("ids", ids), ("text", texts), ("segment", segment), ("role", role), ("score", score))
            labels = Labels.of(rows, given)
            if self._sampling < 1:
                picked = [row for row in range(rows) if self._draw() < self._sampling]
                self._queue.count(sampled_out=rows - len(picked))
                rows = len(picked)
                matrix, times = matrix[picked], times if isinstance(times, int) else times[picked]
                labels = labels and labels.take(picked)
            if self._thread is None:
                self._start()
            dropped = self._queue.add(matrix, times, labels)
            if dropped:
                self._note(Refused(dropped))
        except Exception as error:
            self._fail(rows, error)

    def flush(self, timeout_s: float = 30.0) -> bool:
        """Write what was recorded before; return whether all of it is on the disk. Never raises."""
        try:
            return self._queue.flush(timeout_s)
        except Exception as error:
            self._note(error)
            return False

    def close(self, timeout_s: float = 30.0) -> bool:
        """Flush and end the writer thread; return whether every row of the log is on the disk. Never raises.

        Rows that are handed in later are counted as dropped.
        """
        try:
            self._queue.close()
            if self._thread is not None and self._thread is not threading.current_thread():
                self._thread.join(timeout_s)
            log_process.forget(self)
        except Exception as error:
            self._note(error)
        counts = self._queue.counts
        return counts.written == counts.accepted

    @property
    def stats(self) -> LogStats:
        """What became of this process's rows."""
        counts = self._queue.counts
        # Without the lock: a reader must not wait. What is settled is read first, so `waiting` is never negative.
        written, lost = counts.written, counts.lost
        return LogStats(
            written=written,
            waiting=counts.accepted - written - lost,
            sampled_out=counts.sampled_out,
            dropped=counts.dropped,
            failed=counts.failed + lost,
            removed_files=self._files.removed if self._files else 0,
            last_error=self._last_error,
        )

    def _fail(self, rows: int, error: Exception) -> None:
        self._note(error)
        try:
            self._queue.count(failed=rows)
        except Refused:  # a signal handler within this very lock; nobody else can change the number now
            self._queue.counts.failed += rows

    def _note(self, error: Exception) -> None:
        """Keep the reason and log it when it is new; words of foreign errors could hold what was embedded."""
        try:
            reason = _reason(error)
            self._last_error = reason
            if reason not in self._told and len(self._told) < MOST_REASONS:
                self._told.add(reason)
                _logger.warning("embedding log %s: %s (said once; counted in its stats)", self.path, reason)
        except Exception:  # noqa: S110  a logging handler of the service that raises
            pass

    # -------------------------------------------------------- the writer's side

    def _start(self) -> None:
        with self._starting:
            if self._thread is None:
                log_process.flush_at_end_of_child()
                thread = threading.Thread(target=self._run, name="benchkit-embedding-log", daemon=True)
                thread.start()
                self._thread = thread

    def _run(self) -> None:
        queue = self._queue
        self._files = files = PartWriter(
            self.path, self._model, self._fingerprint, self._sampling, self._max_bytes, self._keep_texts
        )
        with self.busy:
            self.imports = True
            self._import_pyarrow()
            self.imports = False
        while (block := queue.next_full(self._flush_every_s)) is not None:
            left = block.rows
            try:
                for part in days_of(block):
                    is_written = self._write(files, block, part)
                    left -= part.count
                    queue.settle(written=part.count * is_written, lost=part.count * (not is_written))
            except Exception as error:  # no memory, perhaps; without this thread, all later rows would wait for ever
                self._note(error)
                queue.settle(lost=left)
            queue.give_back(block)

    def _import_pyarrow(self) -> None:
        """Import it before a block waits for it; where it can't be, each file fails and is counted."""
        try:
            import pyarrow.parquet  # noqa: F401
        except Exception as error:  # of another build of NumPy it raises whatever comes
            self._note(ImportError(f"pyarrow can't be imported: {type(error).__name__}: {error}"))

    def _write(self, files: PartWriter, block: Block, part: DayRows) -> bool:
        """Write the rows of one day, again after a short while if the disk refuses; return whether they are there."""
        for pause in (*RETRY_PAUSES_S, None):
            try:
                with self.busy:
                    line = files.write(block, part)
                break
            except Exception as error:
                self._note(error)
                if pause is None or not isinstance(error, OSError):
                    return False
                clock.sleep(pause)
        try:
            files.tell({**line, "so_far": self._so_far(part.count)})
        except Exception as error:  # the rows are there; only what is told of them isn't
            self._note(error)
        return True

    def _so_far(self, rows: int) -> dict[str, int]:
        """Return this process's counts since its log began, with the rows that were just written."""
        stats = self.stats
        lost = {name: getattr(stats, name) for name in ("sampled_out", "dropped", "failed")}
        return {"written": stats.written + rows, **lost}


def _begun_anew(path: str, options: dict[str, Any]) -> EmbeddingLog:
    log = EmbeddingLog(path, **options)
    log.begin_in_child()
    return log


def _reason(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    if isinstance(error, Refused | OSError | ImportError):
        return str(error)
    return f"{type(error).__name__} while recording"
