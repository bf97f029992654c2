"""The facts of a machine are the same however often they are read, and a container's limits count."""

from __future__ import annotations

from pathlib import Path

import psutil
import pytest

from benchkit.measure import machine
from benchkit.measure.machine import cpu_name, cpu_quota, free_memory_bytes, gpu_names, hardware_facts, usable_cores


def test_the_facts_of_this_machine_do_not_change_between_calls() -> None:
    facts = hardware_facts("cpu")
    assert facts == hardware_facts("cpu")
    assert all(facts.values())
    assert {"cores", "ram_gib", "machine", "system"} <= set(facts)
    assert "gpu" not in facts


def test_the_processor_is_named_as_the_system_names_it(tmp_path: Path) -> None:
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text("processor\t: 0\nmodel name\t: Fast One @ 3 GHz: special\nmodel name\t: another\n")
    assert cpu_name(cpuinfo) == "Fast One @ 3 GHz: special"


@pytest.mark.parametrize(
    ("content", "quota"), [("150000 100000", "1.5"), ("400000 100000", "4"), ("max 100000", ""), ("odd", "")]
)
def test_a_quota_is_told_in_processors(tmp_path: Path, content: str, quota: str) -> None:
    (tmp_path / "cpu.max").write_text(content + "\n")
    assert cpu_quota(tmp_path) == quota
    assert cpu_quota(tmp_path / "absent") == ""


def test_gpus_are_named_by_the_driver(tmp_path: Path) -> None:
    for number, name in enumerate(["NVIDIA H200", "NVIDIA L4"]):
        folder = tmp_path / f"0000:0{number}:00.0"
        folder.mkdir()
        (folder / "information").write_text(f"Model: \t\t {name}\nIRQ:   \t\t 42\n")
    assert gpu_names(tmp_path) == ["NVIDIA H200", "NVIDIA L4"]


def test_the_driver_is_asked_where_it_has_no_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tool = tmp_path / "nvidia-smi"
    tool.write_text('#!/bin/sh\n[ "$1" = --query-gpu=name ] && echo "NVIDIA H200" || echo 2048\n')
    tool.chmod(0o755)
    monkeypatch.setattr(machine.shutil, "which", lambda name: str(tool))
    assert gpu_names(tmp_path / "absent") == ["NVIDIA H200"]
    assert free_memory_bytes("cuda", tmp_path) == 2048 * 2**20
    assert hardware_facts("cuda:0")["gpu"] == "NVIDIA H200"


def test_no_driver_gives_no_gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine.shutil, "which", lambda name: None)
    assert gpu_names(tmp_path) == []


def test_a_container_has_what_its_limit_leaves_and_its_file_cache_is_free(tmp_path: Path) -> None:
    (tmp_path / "memory.max").write_text("1000\n")
    (tmp_path / "memory.current").write_text("700\n")
    assert free_memory_bytes("cpu", tmp_path) == 300
    (tmp_path / "memory.stat").write_text("anon 500\ninactive_file 150\nactive_file 50\n")
    assert free_memory_bytes("cpu", tmp_path) == 450


def test_without_a_limit_the_machine_counts(tmp_path: Path) -> None:
    (tmp_path / "memory.max").write_text("max\n")
    (tmp_path / "memory.current").write_text("700\n")
    assert free_memory_bytes("cpu", tmp_path) == pytest.approx(psutil.virtual_memory().available, rel=0.5)


def test_cores_that_a_process_may_not_use_do_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda process: {3, 5, 9})
    assert usable_cores() == 3
