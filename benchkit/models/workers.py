"""Forward passes beside one another, each on a thread of its own that computes alone.

    compute, parts of the texts ── run_apart ──> what compute returns, in the order of the parts

For a kernel that runs on the calling thread (split_linear.py). Each worker's share of torch's own threads is one, so
that as many passes run as torch would take threads, and none waits for another.
"""

from __future__ import annotations

import ctypes
import functools
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")


def run_apart(compute: Callable[[slice], T], parts: Sequence[slice]) -> list[T]:
    """Call `compute` on each part; on this thread where there is one part or one thread."""
    import torch

    threads = torch.get_num_threads()
    if len(parts) < 2 or threads < 2 or _setter() is None:
        return [compute(part) for part in parts]
    # A forked child has none of its parent's threads.
    return list(_pool(os.getpid(), threads).map(compute, parts))


@functools.cache
def _pool(process: int, threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads, thread_name_prefix=f"benchkit-{process}", initializer=_compute_alone)


def _compute_alone() -> None:
    """Give the calling thread no helpers; torch.set_num_threads would do it for the whole process."""
    import torch

    set_threads = _setter()
    assert set_threads is not None
    torch.get_num_threads()  # the first call of a thread sets what torch has for all
    set_threads(1)


@functools.cache
def _setter() -> Callable[[int], None] | None:
    """Return OpenMP's omp_set_num_threads, which is of the calling thread; None where torch has no OpenMP."""
    import torch

    try:
        found = ctypes.CDLL(str(Path(torch.__file__).parent / "lib" / "libtorch_cpu.so")).omp_set_num_threads
    except (OSError, AttributeError):
        return None
    found.argtypes, found.restype = [ctypes.c_int], None
    return found
