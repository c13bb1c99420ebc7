"""`penstock serve` as people run it: a process of its own on a loopback port, which a test may kill and start again."""

import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tests.support.ports import free_port

ROOT = Path(__file__).parents[2]
REKINDLE = ROOT / "examples" / "rekindle.toml"
START_LIMIT_S = 120.0  # on a machine that many share
STOP_LIMIT_S = 60.0
COMMAND = (sys.executable, "-c", "from penstock.cli.main import main; main()")
READY = "Stop with Ctrl-C."  # the last line of the announcement: requests are answered
_ADDRESS = re.compile(r" is at (http://\S+:\d+)")
_DEMO = re.compile(r"Sign in as (\S+) with the password (\S+)")
TOLD_LINES = 30


class Served:
    """A product being served from a data folder of its own.

    Args:
        folder: gets the data and the log.
        product_file: what is served.
        environment: variables beside those of this process.
    """

    def __init__(
        self, folder: Path, product_file: Path = REKINDLE, environment: Mapping[str, str] | None = None
    ) -> None:
        self.folder, self.product_file = folder, product_file
        self._environment = _own_environment() | dict(environment or {})
        self.url = ""
        self.demo = ("", "")
        """E-mail and password of the demo customer, who has credits."""
        self._port = free_port()  # the same again after a restart
        self._process: subprocess.Popen[str] | None = None

    @property
    def log(self) -> Path:
        """What the server says beside its announcement."""
        return self.folder / "server.log"

    @property
    def runs(self) -> bool:
        """Whether it was started, and neither killed nor stopped since."""
        return self._process is not None

    def start(self) -> None:
        """Start the server and wait until it answers requests; on the same port as before. Errors: AssertionError."""
        assert self._process is None, "it runs already"
        self.folder.mkdir(parents=True, exist_ok=True)
        arguments = ("serve", str(self.product_file), "--demo", "--port", str(self._port), "--data", self._data)
        with self.log.open("a") as log:
            self._process = subprocess.Popen(
                [*COMMAND, *arguments],
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                cwd=self.folder,
                env=self._environment,
            )
        said = self._announcement()
        address = _ADDRESS.search(said)
        if address is None or READY not in said:
            self.kill()
            told = "\n".join(self.log.read_text("utf-8").splitlines()[-TOLD_LINES:])
            raise AssertionError(f"the server did not start:\n{said}\n{told}")
        self.url = address[1]
        if demo := _DEMO.search(said):
            self.demo = (demo[1], demo[2])

    def kill(self) -> None:
        """End the server as a power cut would: it gets no chance to tidy up."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """End the server as an operator does. Errors: AssertionError if it does not come to an end."""
        if self._process is None:
            return
        process = self._process
        self._end(signal.SIGTERM)
        assert process.returncode == 0, f"the server ended with {process.returncode}; see {self.log}"

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run another `penstock` command on the same data folder."""
        return subprocess.run(
            [*COMMAND, *arguments, "--data", self._data],
            capture_output=True,
            text=True,
            check=False,
            timeout=START_LIMIT_S,
            cwd=self.folder,
            env=self._environment,
        )

    @contextmanager
    def held_up(self) -> Iterator[None]:
        """Hold the server's child processes still: a job under way stays under way, and everything else goes on."""
        assert self._process is not None
        stopped = _descendants(self._process.pid)
        for child in stopped:
            _signal(child, signal.SIGSTOP)
        try:
            yield
        finally:
            for child in stopped:
                _signal(child, signal.SIGCONT)

    @property
    def _data(self) -> str:
        return str(self.folder / "data")

    def _announcement(self) -> str:
        """Return what it prints up to `READY`, or up to its end."""
        process = self._process
        assert process is not None
        assert process.stdout is not None
        impatience = threading.Timer(START_LIMIT_S, process.kill)
        impatience.start()
        lines = []
        try:
            for line in process.stdout:
                lines.append(line)
                if READY in line:
                    break
        finally:
            impatience.cancel()
        return "".join(lines)

    def _end(self, number: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        with process:  # closes its pipe
            process.send_signal(number)
            try:
                process.wait(STOP_LIMIT_S)
            except subprocess.TimeoutExpired:
                process.kill()


def _own_environment() -> dict[str, str]:
    """What this process has, without what would make the server another one than the test means."""
    return {name: value for name, value in os.environ.items() if not name.startswith("PENSTOCK_")}


def _signal(process: int, number: signal.Signals) -> None:
    try:
        os.kill(process, number)
    except ProcessLookupError:
        return  # done in the meantime


def _descendants(process: int) -> list[int]:
    """Return every process that this one has started, and those that they have."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal() and (parent := _parent_of(entry)) is not None:
            children.setdefault(parent, []).append(int(entry.name))
    found, look_at = [], [process]
    while look_at:
        below = children.get(look_at.pop(), [])
        found += below
        look_at += below
    return found


def _parent_of(entry: Path) -> int | None:
    try:
        return int((entry / "stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return None  # it has just ended
