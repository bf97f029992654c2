"""Memory of this process, as the kernel counts it.

    /proc/self/status ── VmHWM ──> peak_mib       most that was ever resident since the program started
                      └─ VmRSS ──> resident_mib   resident now
    /proc/self/smaps_rollup ─────> uss_mib        unique set: would be free again if the process ended

Never `ru_maxrss`: a child starts with its parent's figure there (a trivial child of a 620 MiB parent told 635 MiB, by
VmHWM 8.7). Where there is no /proc a figure is None, never 0. All in MiB (2**20 bytes).

Source: proc_pid_status(5), proc_pid_clear_refs(5), proc_pid_smaps(5).
"""

from __future__ import annotations

from pathlib import Path

_STATUS = Path("/proc/self/status")
_CLEAR_REFS = Path("/proc/self/clear_refs")
_SMAPS = Path("/proc/self/smaps_rollup")
_PRIVATE = ("Private_Clean", "Private_Dirty", "Private_Hugetlb")
_RESET_PEAK = "5"  # proc_pid_clear_refs(5): the peak becomes what is resident now
_KIB_PER_MIB = 1024
_MIB = 2**20


def peak_mib(status: Path = _STATUS) -> float | None:
    """Return the most memory that was ever resident (VmHWM), or None where the system doesn't tell."""
    return _read_mib("VmHWM", status)


def resident_mib(status: Path = _STATUS) -> float | None:
    """Return the memory that is resident now (VmRSS), or None where the system doesn't tell."""
    return _read_mib("VmRSS", status)


def uss_mib(smaps: Path = _SMAPS) -> float | None:
    """Return the unique set size, or None where the system doesn't tell.

    The sum that psutil makes; read here, because psutil is memory that the model itself doesn't need. psutil itself
    where there is no /proc.
    """
    parts = [_read_mib(name, smaps) for name in _PRIVATE]
    if parts[0] is None:
        return _uss_of_psutil()
    return sum(part for part in parts if part is not None)


def _uss_of_psutil() -> float | None:
    import psutil

    try:
        return float(psutil.Process().memory_full_info().uss) / _MIB
    except (psutil.Error, OSError, AttributeError):
        return None


def reset_peak(clear_refs: Path = _CLEAR_REFS) -> bool:
    """Let `peak_mib` start again from what is resident now; False where the system can't."""
    try:
        clear_refs.write_text(_RESET_PEAK, encoding="ascii")
    except OSError:
        return False
    return True


def _read_mib(name: str, status: Path) -> float | None:
    try:
        lines = status.read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return None
    for line in lines:
        key, _, value = line.partition(":")
        if key == name:
            return int(value.split()[0]) / _KIB_PER_MIB
    return None
