"""Energy counters, from a powercap folder and a driver made by hand."""

from __future__ import annotations

import inspect
import os
import sys
from pathlib import Path
from types import ModuleType

import pytest

from benchkit.cost.energy import open_meter, open_nvml, open_rapl

RANGE_UJ = 1_000_000


def domain(root: Path, folder: str, name: str, energy_uj: int) -> Path:
    """Make a zone of the kernel's powercap tree."""
    place = root / folder
    place.mkdir(parents=True)
    (place / "name").write_text(f"{name}\n")
    (place / "max_energy_range_uj").write_text(f"{RANGE_UJ}\n")
    (place / "energy_uj").write_text(f"{energy_uj}\n")
    return place / "energy_uj"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "intel-rapl").mkdir()  # the control type itself
    return tmp_path


def test_packages_and_memory_are_summed_since_the_meter_was_opened(root: Path) -> None:
    package = domain(root, "intel-rapl:0", "package-0", 100)
    memory = domain(root, "intel-rapl:0:1", "dram", 500)
    other = domain(root, "intel-rapl:1", "package-1-die-0", 0)
    meter = open_rapl(root)
    assert meter is not None
    assert meter.read_j() == 0  # measured, and nothing was used
    package.write_text("300100\n")
    memory.write_text("100500\n")
    other.write_text("50000\n")
    assert meter.read_j() == pytest.approx(0.45)
    assert meter.read_j() == pytest.approx(0.45)


def test_nothing_is_counted_twice(root: Path) -> None:
    package = domain(root, "intel-rapl:0", "package-0", 0)
    twice = [
        domain(root, "intel-rapl:0:0", "core", 0),
        domain(root, "intel-rapl:0:1", "uncore", 0),
        domain(root, "intel-rapl:1", "psys", 0),
        domain(root, "intel-rapl-mmio:0", "package-0", 0),
    ]
    meter = open_rapl(root)
    assert meter is not None
    for file in (package, *twice):
        file.write_text("250000\n")
    assert meter.read_j() == 0.25


def test_counter_that_starts_again_from_zero_goes_on(root: Path) -> None:
    package = domain(root, "intel-rapl:0", "package-0", 900_000)
    meter = open_rapl(root)
    assert meter is not None
    told = []
    for energy_uj in (950_000, 200_000, 100_000):  # over the top after the first and the second
        package.write_text(f"{energy_uj}\n")
        told.append(meter.read_j())
    assert told == [pytest.approx(0.05), pytest.approx(0.3), pytest.approx(1.2)]


@pytest.mark.parametrize("spoil", ["no folder", "no zone", "no number", "not readable"])
def test_no_meter_where_a_counter_can_not_be_read(root: Path, spoil: str) -> None:
    if spoil == "no folder":
        assert open_rapl(root / "nothing") is None
        return
    domain(root, "intel-rapl:0", "psys" if spoil == "no zone" else "package-0", 0)
    second = domain(root, "intel-rapl:1", "psys" if spoil == "no zone" else "package-1", 0)
    if spoil == "no number":
        second.write_text("\n")
    if spoil == "not readable":  # as to root a file without rights still is, a folder in its place
        second.unlink()
        second.mkdir()
    assert open_rapl(root) is None


def test_meter_that_fails_later_tells_nothing(root: Path) -> None:
    package = domain(root, "intel-rapl:0", "package-0", 0)
    meter = open_rapl(root)
    assert meter is not None
    package.unlink()
    assert meter.read_j() is None


class FakeNvmlError(Exception):
    pass


def fake_driver(*, fails: bool = False) -> ModuleType:
    """Return a `pynvml` with one GPU, "GPU-1", whose counter is a list of millijoules."""
    nvml = ModuleType("pynvml")
    readings = [5000, 5000, 7500]

    def by_uuid(uuid: str) -> str:
        if fails or uuid != "GPU-1":
            raise FakeNvmlError
        return "handle"

    def energy(handle: str) -> int:
        assert handle == "handle"
        if not readings:
            raise FakeNvmlError
        return readings.pop(0)

    vars(nvml).update(
        NVMLError=FakeNvmlError,
        nvmlInit=lambda: None,
        nvmlDeviceGetHandleByUUID=by_uuid,
        nvmlDeviceGetTotalEnergyConsumption=energy,
    )
    return nvml


def test_gpu_tells_joules_since_the_meter_was_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", fake_driver())
    meter = open_meter("cuda:0", "GPU-1")
    assert meter is not None
    assert [meter.read_j() for _ in range(3)] == [0.0, 2.5, None]


def test_the_real_library_without_a_driver_has_no_meter() -> None:
    pytest.importorskip("pynvml", reason="needs nvidia-ml-py (extra benchkit[gpu])")
    assert open_nvml("GPU-00000000-0000-0000-0000-000000000000") is None  # no such GPU where there is a driver


def test_the_real_library_has_what_is_asked_of_it() -> None:
    nvml = pytest.importorskip("pynvml", reason="needs nvidia-ml-py (extra benchkit[gpu])")
    assert issubclass(nvml.NVMLError, Exception)
    asked = ("nvmlInit", "nvmlDeviceGetHandleByUUID", "nvmlDeviceGetTotalEnergyConsumption")
    found = [len(inspect.signature(getattr(nvml, name)).parameters) for name in asked]
    assert found == [0, 1, 1]


def test_no_gpu_meter_without_driver_device_or_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", fake_driver(fails=True))
    assert open_nvml("GPU-1") is None
    monkeypatch.setitem(sys.modules, "pynvml", None)  # import raises ImportError
    assert open_nvml("GPU-1") is None
    assert open_meter("cuda", None) is None


@pytest.mark.skipif(
    os.access("/sys/class/powercap/intel-rapl:0/energy_uj", os.R_OK), reason="this machine has counters"
)
def test_processor_without_counters_has_no_meter() -> None:
    assert open_meter("cpu") is None
