"""The machine's description: enough to judge figures by, nothing that names a place."""

import json
import os
import platform
import socket
from pathlib import Path

import pytest
from benchmarks import machine


def test_it_says_what_figures_depend_on(tmp_path: Path) -> None:
    machine.write(tmp_path / "machine.json")
    described = json.loads((tmp_path / "machine.json").read_text())
    assert described["cores"] >= 1
    assert described["memory_gib"] > 0
    assert described["python"] == platform.python_version()
    assert set(described) == {"cores", "processor", "memory_gib", "kernel", "python", "sqlite", "packages"}


def test_it_names_neither_host_nor_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Under names of our own: those of a machine may be empty, a digit, or a word that stands there anyway."""
    host, folder = "a-host-of-this-test", tmp_path / "a-folder-of-this-test"
    folder.mkdir()
    monkeypatch.chdir(folder)
    named = os.uname_result((os.uname().sysname, host, *os.uname()[2:]))
    monkeypatch.setattr(os, "uname", lambda: named)
    monkeypatch.setattr(socket, "gethostname", lambda: host)
    monkeypatch.setattr(platform, "_uname_cache", None)
    assert platform.node() == socket.gethostname() == host
    text = json.dumps(machine.describe())
    assert host not in text
    assert folder.name not in text


def test_the_name_of_a_kernel_build_is_left_out() -> None:
    assert machine._numbers("6.1.0-13-custom") == "6.1.0"
    assert machine._numbers("unusual") == "unusual"


def test_the_processor_is_read_from_the_kernel() -> None:
    text = "processor\t: 0\nmodel\t\t: 17\nmodel name\t: Some CPU @ 2 GHz\n"
    assert machine._field(text, "model name") == "Some CPU @ 2 GHz"
    assert machine._field(text, "flags") is None
