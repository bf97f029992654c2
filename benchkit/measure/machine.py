"""What decides a duration on this machine, and how much memory is free on it; read from the system, without torch.

    /proc, /sys/fs/cgroup, psutil, the NVIDIA driver ──> hardware_facts: {"cpu": ..., "cores": ..., "gpu": ...}
                                                     └─> free_memory_bytes

A container sees the whole machine's memory and cores; its own limits are in its control group, so both are read.
Sources: cgroups(7), Documentation/admin-guide/cgroup-v2 (memory.max, cpu.max), sched_setaffinity(2).
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from pathlib import Path

_CPUINFO = Path("/proc/cpuinfo")
_CGROUP = Path("/sys/fs/cgroup")
_NVIDIA = Path("/proc/driver/nvidia/gpus")
_MIB = 2**20


def hardware_facts(device: str) -> dict[str, str]:
    """Return the facts of this machine that decide how long a call takes; one that can't be read is left out.

    The same on every call, whatever is imported: stored costs are found again by them.
    """
    values = {
        "cpu": cpu_name(),
        "cores": str(os.cpu_count() or ""),
        "cores_allowed": str(_cores_allowed() or ""),
        "cpu_quota": cpu_quota(),
        "ram_gib": ram_gib(),
        "gpu": ", ".join(gpu_names()) if device.startswith("cuda") else "",
        "machine": platform.machine(),
        "system": " ".join(filter(None, (platform.system(), _kernel_family()))),
    }
    return {name: value for name, value in values.items() if value}


def cpu_name(cpuinfo: Path = _CPUINFO) -> str:
    """Return the processor's name as the system tells it."""
    if cpuinfo.is_file():
        for line in cpuinfo.read_text(errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor()


def ram_gib() -> str:
    """Return the memory of the machine."""
    import psutil

    return f"{psutil.virtual_memory().total / 2**30:.1f}"


def cpu_quota(cgroup: Path = _CGROUP) -> str:
    """Return how many processors' worth of time a container may use, "" without such a limit."""
    quota, _, period = _read(cgroup / "cpu.max").partition(" ")
    return f"{int(quota) / int(period):g}" if quota.isdigit() and period.isdigit() and int(period) else ""


def gpu_names(driver: Path = _NVIDIA) -> list[str]:
    """Return the names of the NVIDIA devices as the driver tells them; empty without a driver."""
    names = []
    for information in sorted(driver.glob("*/information")):
        lines = _read(information).splitlines()
        names += [line.partition(":")[2].strip() for line in lines if line.startswith("Model:")]
    return names or _ask_driver("name")


def free_memory_bytes(device: str, cgroup: Path = _CGROUP) -> int:
    """Return the memory that new processes can take: the machine's or the container's, on CUDA also the device's."""
    import psutil

    free = [int(psutil.virtual_memory().available)]
    limit, used = _read(cgroup / "memory.max"), _read(cgroup / "memory.current")
    if limit.isdigit() and used.isdigit():
        free.append(max(int(limit) - int(used) + _file_cache_bytes(cgroup), 0))
    if device.startswith("cuda"):
        # Which device torch means by a number isn't known here, so the fullest one counts.
        free += [int(mib) * _MIB for mib in _ask_driver("memory.free") if mib.isdigit()]
    return min(free)


def _file_cache_bytes(cgroup: Path) -> int:
    """Return the bytes of files that the kernel gives up first; they count as used by the control group."""
    for line in _read(cgroup / "memory.stat").splitlines():
        name, _, value = line.partition(" ")
        if name == "inactive_file" and value.isdigit():
            return int(value)
    return 0


def usable_cores() -> int:
    """Return how many cores this process may use, at least 1."""
    return _cores_allowed() or os.cpu_count() or 1


def _cores_allowed() -> int | None:
    if not hasattr(os, "sched_getaffinity"):  # Linux only
        return None
    return len(os.sched_getaffinity(0))


def _kernel_family() -> str:
    return ".".join(platform.release().split(".")[:2])


def _ask_driver(fact: str) -> list[str]:
    command = shutil.which("nvidia-smi")
    if command is None:
        return []
    arguments = [command, f"--query-gpu={fact}", "--format=csv,noheader,nounits"]
    try:
        done = subprocess.run(arguments, capture_output=True, text=True, check=False, timeout=10)  # noqa: S603
    except (OSError, subprocess.TimeoutExpired):
        return []
    return [line.strip() for line in done.stdout.splitlines() if line.strip()] if done.returncode == 0 else []


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""
