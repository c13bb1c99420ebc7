"""The container for RunPod as a process of its own: its entry, RunPod's own worker loop, and a tiny model on the CPU.

It runs in an environment of its own, which `make test-runpod` builds; without that these tests are left out, aloud, and
with `CI` set they fail.
"""

import os
import signal
import subprocess
from pathlib import Path

import pytest

from tests.support.vendors.runpod_control import ControlPlane

ROOT = Path(__file__).parents[2]
PYTHON = ROOT / ".venv-runpod" / "bin" / "python"
PLACE = ROOT / "workers" / "runpod"


def need_environment() -> None:
    """Leave a test out where torch and RunPod's loop are not installed."""
    if (ROOT / ".venv-runpod" / ".ready").exists():
        return
    advice = "there is no environment with torch and RunPod's worker loop here: make test-runpod"
    if os.environ.get("CI"):
        pytest.fail(advice)
    pytest.skip(advice)


def write_tiny_model(kind: str, folder: Path) -> None:
    """Write a model of random numbers to disk, as a real one lies there."""
    made = subprocess.run(
        [PYTHON, PLACE / "tests" / "tiny.py", kind, folder],
        env=_environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert made.returncode == 0, made.stderr


class Container:
    """A container that a test starts and kills.

    Args:
        name: RunPod's id of it.
        settings: what the maker sets.
    """

    def __init__(self, plane: ControlPlane, name: str, folder: Path, settings: dict[str, str]) -> None:
        self.name = name
        self._output = folder / f"{name}.output"
        self._trace = folder / f"{name}.trace"
        self._trace.touch()
        environment = {**_environment(), **plane.environment(name), **settings, "TRACE": str(self._trace)}
        with self._output.open("wb") as output:
            self._process = subprocess.Popen(
                [PYTHON, "-u", PLACE / "tests" / "tiny_handler.py"],
                env=environment,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    @property
    def running(self) -> bool:
        return self._process.poll() is None

    @property
    def output(self) -> str:
        """What it said."""
        return self._output.read_text(errors="replace")

    @property
    def steps(self) -> list[str]:
        """What it did, a line for each step."""
        return self._trace.read_text().splitlines()

    def ended(self) -> None:
        """Wait until it is gone."""
        self._process.wait()

    def kill(self) -> None:
        """End it as a machine that goes: the loop, and the heartbeat that is a process beside it."""
        if self.running:
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()


def _environment() -> dict[str, str]:
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    return {**kept, "PYTHONPATH": f"{PLACE}:{PLACE / 'tests'}", "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
