"""The machine's description: enough to judge figures by, nothing that names a place."""

import json
import platform
from pathlib import Path

from benchmarks import machine


def test_it_says_what_figures_depend_on(tmp_path: Path) -> None:
    machine.write(tmp_path / "machine.json")
    described = json.loads((tmp_path / "machine.json").read_text())
    assert described["cores"] >= 1
    assert described["memory_gib"] > 0
    assert described["python"] == platform.python_version()
    assert set(described) == {"cores", "processor", "memory_gib", "kernel", "python", "sqlite", "packages"}


def test_it_names_neither_host_nor_path() -> None:
    text = json.dumps(machine.describe())
    assert platform.node() not in text
    assert str(Path.cwd()) not in text


def test_the_name_of_a_kernel_build_is_left_out() -> None:
    assert machine._numbers("6.1.0-13-custom") == "6.1.0"
    assert machine._numbers("unusual") == "unusual"


def test_the_processor_is_read_from_the_kernel() -> None:
    text = "processor\t: 0\nmodel\t\t: 17\nmodel name\t: Some CPU @ 2 GHz\n"
    assert machine._field(text, "model name") == "Some CPU @ 2 GHz"
    assert machine._field(text, "flags") is None
