"""Energy that a processor or a GPU has used, where the hardware counts it and lets this user read the counter.

    cpu   /sys/class/powercap/intel-rapl:N ── packages and their DRAM ──┐
    cuda  NVML, by the device's UUID ─────── total energy ──────────────┴─> read_j(): joules since the meter was opened

Both count all that the hardware does, for other programs too: a figure is worth something on a quiet machine only. A
counter that can't be read (no rights, a virtual machine, no driver) gives no meter, never 0 joules.

Sources: Linux Documentation/power/powercap (energy_uj wraps to 0 at max_energy_range_uj; AMD processors appear under
the same name); NVML API, nvmlDeviceGetTotalEnergyConsumption (millijoules since the driver was loaded, from Volta on).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Protocol

_POWERCAP = Path("/sys/class/powercap")
# "intel-rapl-mmio:0" is the same package a second time, by another way.
_DOMAIN = re.compile(r"intel-rapl:\d+(:\d+)?")
# A package holds its cores ("core") and its graphics ("uncore"); memory is counted apart, and "psys" counts all again.
_COUNTED = re.compile(r"package-\d+(-die-\d+)?|dram")
_UJ_PER_J = 1e6
_MJ_PER_J = 1e3


class EnergyMeter(Protocol):
    """A counter of energy that only goes up."""

    def read_j(self) -> float | None:
        """Return the joules since the meter was opened; None from when the counter can't be read any more."""
        ...


@dataclass(slots=True)
class _Counter:
    """One counter of the kernel, with its last value; read at least once in each of its turns (minutes)."""

    energy_uj: Path
    range_uj: int
    last_uj: int

    def advance_uj(self) -> int:
        now = _read_number(self.energy_uj)
        used = now - self.last_uj if now >= self.last_uj else now + self.range_uj - self.last_uj
        self.last_uj = now
        return used


@dataclass(slots=True)
class Rapl:
    """The processors' packages and their memory."""

    counters: tuple[_Counter, ...]
    _total_uj: int = field(default=0, init=False)

    def read_j(self) -> float | None:
        try:
            self._total_uj += sum(counter.advance_uj() for counter in self.counters)
        except (OSError, ValueError):
            return None
        return self._total_uj / _UJ_PER_J


@dataclass(frozen=True, slots=True)
class Nvml:
    """One GPU."""

    read_mj: Callable[[], int]
    start_mj: int
    error: type[Exception]

    def read_j(self) -> float | None:
        try:
            return (self.read_mj() - self.start_mj) / _MJ_PER_J
        except self.error:
            return None


def open_meter(device: str, uuid: str | None = None) -> EnergyMeter | None:
    """Return the meter of what runs the model: the processor's on "cpu", the GPU's on "cuda"; None where there is none.

    Args:
        uuid: The driver's name of the CUDA device.
    """
    if device == "cpu":
        return open_rapl()
    return None if uuid is None else open_nvml(uuid)


def open_rapl(root: Path = _POWERCAP) -> Rapl | None:
    """Return a meter of all packages, or None where one of them can't be read: a part would pass for the whole."""
    try:
        folders = sorted(path for path in root.iterdir() if _DOMAIN.fullmatch(path.name))
        counters = tuple(_open_counter(path) for path in folders if _COUNTED.fullmatch(_read_text(path / "name")))
    except (OSError, ValueError):
        return None
    return Rapl(counters) if counters else None


def open_nvml(uuid: str) -> Nvml | None:
    """Return a meter of the GPU with this UUID, or None without `nvidia-ml-py`, driver or counter."""
    try:
        nvml = import_module("pynvml")
    except ImportError:
        return None
    try:
        nvml.nvmlInit()
        handle = nvml.nvmlDeviceGetHandleByUUID(uuid)
        start = int(nvml.nvmlDeviceGetTotalEnergyConsumption(handle))
    except nvml.NVMLError:
        return None
    return Nvml(lambda: int(nvml.nvmlDeviceGetTotalEnergyConsumption(handle)), start, nvml.NVMLError)


def _open_counter(folder: Path) -> _Counter:
    energy = folder / "energy_uj"
    return _Counter(energy, _read_number(folder / "max_energy_range_uj"), _read_number(energy))


def _read_number(path: Path) -> int:
    return int(_read_text(path))


def _read_text(path: Path) -> str:
    return path.read_text(encoding="ascii").strip()
