"""Which device runs the models, on how many threads, and what it holds.

Memory is in MiB (2**20 bytes). Where torch isn't imported, nothing here imports it: a model that doesn't use it has no
memory on a CUDA device and no threads of torch's.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from benchkit.errors import UsageError

if TYPE_CHECKING:
    from types import ModuleType

_ALLOWED = re.compile(r"auto|cpu|cuda(:\d+)?")
_MIB = 2**20
_TOKENIZERS = "TOKENIZERS_PARALLELISM"


def resolve_device(asked: str) -> str:
    """Return "cpu", "cuda" or "cuda:N"; "auto" takes the first CUDA device where there is one.

    Raises:
        UsageError: another word, or a CUDA device that isn't there.
    """
    if not _ALLOWED.fullmatch(asked):
        raise UsageError(f"--device: {asked!r} is none of auto, cpu, cuda, cuda:N")
    if asked == "cpu" or (asked == "auto" and not Path("/dev/nvidiactl").exists()):
        # Without the driver's device file there is no CUDA, and torch takes a second to say so.
        return "cpu"
    import torch

    if not torch.cuda.is_available():
        if asked == "auto":
            return "cpu"
        raise UsageError(f"--device: {asked} was asked for, but torch {torch.__version__} sees no CUDA device")
    number = int(asked.partition(":")[2] or 0)
    if number >= torch.cuda.device_count():
        raise UsageError(f"--device: {asked} was asked for, but there are {torch.cuda.device_count()} CUDA devices")
    return "cuda" if asked == "auto" else asked


def limit_threads(n: int) -> Callable[[], None]:
    """Let this process compute on n threads at most and return what undoes it.

    Reaches torch, the thread pools of OpenMP and BLAS that are loaded, and for n = 1 the tokenizers (which know only
    one thread or all). A pool that is made later, or that has its own settings (OpenVINO's), isn't reached.
    """
    from threadpoolctl import threadpool_limits

    if n < 1:
        raise ValueError(f"threads must be at least 1, got {n}")
    torch = sys.modules.get("torch")
    of_torch = None if torch is None else torch.get_num_threads()
    of_tokenizers = os.environ.get(_TOKENIZERS)
    pools = threadpool_limits(limits=n)
    if torch is not None:
        torch.set_num_threads(n)
    if n == 1:
        os.environ[_TOKENIZERS] = "false"  # read again at each of their calls

    def undo() -> None:
        if torch is not None:
            torch.set_num_threads(of_torch)
        pools.restore_original_limits()
        if of_tokenizers is None:
            os.environ.pop(_TOKENIZERS, None)
        else:
            os.environ[_TOKENIZERS] = of_tokenizers

    return undo


def thread_count() -> int | None:
    """Return the threads that torch computes on, else those of the largest loaded pool; None where there is none."""
    torch = sys.modules.get("torch")
    if torch is not None:
        return int(torch.get_num_threads())
    from threadpoolctl import threadpool_info

    return max((int(pool["num_threads"]) for pool in threadpool_info()), default=None)


def synchronize(device: str) -> None:
    """Wait until a CUDA device has done all that it was told, so that a clock can be read; nothing on a CPU."""
    torch = _torch_on(device)
    if torch is not None:
        torch.cuda.synchronize(device)


@dataclass(frozen=True, slots=True)
class DeviceMemory:
    """Peaks of torch's memory on one CUDA device.

    Attributes:
        allocated_mib: Held by tensors.
        reserved_mib: Held by torch's allocator, with what it keeps for later: what other processes can't have.
    """

    allocated_mib: float
    reserved_mib: float


def peak_device_memory(device: str) -> DeviceMemory | None:
    """Return the peaks since the start or the last reset; None on a CPU and where CUDA wasn't used."""
    torch = _torch_on(device)
    if torch is None:
        return None
    torch.cuda.synchronize(device)
    allocated, reserved = torch.cuda.max_memory_allocated(device), torch.cuda.max_memory_reserved(device)
    return DeviceMemory(allocated / _MIB, reserved / _MIB)


def reset_peak_device_memory(device: str) -> None:
    """Let the peaks start again from what is held now; gives back what the allocator only keeps."""
    torch = _torch_on(device)
    if torch is not None:
        torch.cuda.synchronize(device)
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)


def device_uuid(device: str) -> str | None:
    """Return the driver's name of a CUDA device ("GPU-..."), which CUDA_VISIBLE_DEVICES doesn't renumber."""
    torch = _torch_on(device)
    if torch is None:
        return None
    uuid = getattr(torch.cuda.get_device_properties(device), "uuid", None)  # torch 2.4 has none
    return None if uuid is None else f"GPU-{uuid}"


def _torch_on(device: str) -> ModuleType | None:
    """Return torch where it computes on this CUDA device, else None; never the first to start CUDA."""
    torch = sys.modules.get("torch")
    if torch is None or not device.startswith("cuda") or not torch.cuda.is_initialized():
        return None
    return torch
