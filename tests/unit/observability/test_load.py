"""The load of the machine, and of the container where there is one."""

from pathlib import Path

import pytest

from penstock.observability.load import Load, machine_load

MEMINFO = "MemTotal:       1000 kB\nMemFree:         100 kB\nMemAvailable:    400 kB\n"


def machine(folder: Path, **files: str) -> Load:
    """Return the load that these files of the system tell."""
    meminfo = folder / "meminfo"
    meminfo.write_text(files.pop("meminfo", MEMINFO))
    for name, text in files.items():
        (folder / name.replace("_", ".", 1)).write_text(text)
    return machine_load(folder, meminfo)


def test_memory_is_what_cannot_be_had_any_more(tmp_path: Path) -> None:
    assert machine(tmp_path).memory == 0.6


def test_a_container_with_less_memory_counts(tmp_path: Path) -> None:
    load = machine(tmp_path, memory_max="1000", memory_current="900", memory_stat="anon 700\ninactive_file 100\n")

    assert load.memory == 0.8


def test_a_container_without_a_limit_does_not(tmp_path: Path) -> None:
    assert machine(tmp_path, memory_max="max", memory_current="900").memory == 0.6


def test_a_part_of_a_processor_is_busier(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.getloadavg", lambda: (0.005, 0.0, 0.0))  # it may change between two looks
    whole = machine(tmp_path)
    tiny = machine(tmp_path, cpu_max="1000 100000")

    assert 0 <= whole.cpu <= 0.005
    assert tiny.cpu == 0.5


def test_a_system_that_tells_nothing_is_idle(tmp_path: Path) -> None:
    load = machine_load(tmp_path / "nowhere", tmp_path / "nothing")

    assert load.memory == 0.0


def test_this_machine_has_a_load() -> None:
    load = machine_load()

    assert 0 <= load.cpu <= 1
    assert 0 < load.memory < 1
    assert load.level == max(load.cpu, load.memory)
