"""Which device runs the models."""

from __future__ import annotations

import re
from pathlib import Path

from benchkit.errors import UsageError

_ALLOWED = re.compile(r"auto|cpu|cuda(:\d+)?")


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
