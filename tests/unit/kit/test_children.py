"""Children: results and errors come back, every kind of death stays with its call, nothing is left behind."""

import asyncio
import ctypes
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from penstock.kit.children import ChildDiedError, ChildFailedError, Children, ChildTimeoutError

LONG_S = 60.0
MEMORY_BYTES = 512 << 20


@dataclass(frozen=True)
class Pair:
    left: int
    right: str


class PictureError(Exception):
    """An error with an attribute, as ours have."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class StubbornError(Exception):
    """An error that pickle can write but not read back."""

    def __init__(self, first: str, second: str) -> None:
        super().__init__(first)


class Evil:
    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return os.system, ("echo a child ran code in its parent > /dev/null",)


def add(left: int, right: int) -> int:
    return left + right


def pair(left: int, right: str) -> Pair:
    return Pair(left, right)


def invert(picture: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    return 255 - picture


def refuse(reason: str) -> None:
    raise PictureError(reason)


def refuse_stubbornly() -> None:
    raise StubbornError("first", "second")


def raise_own(error: Exception) -> None:
    raise error


def kill_itself(number: int) -> None:
    os.kill(os.getpid(), number)


def crash() -> None:
    ctypes.string_at(0)


def leave() -> None:
    sys.exit(3)


def hang() -> None:
    while True:
        time.sleep(LONG_S)


def announce_and_hang(progress: Callable[[str, float], None]) -> None:
    progress(str(os.getpid()), 0.0)
    hang()


def eat_memory() -> int:
    return len(np.ones(MEMORY_BYTES * 2, np.uint8))


def write_file(path: Path, size: int) -> None:
    path.write_bytes(bytes(size))


def evil() -> Evil:
    return Evil()


def report_three(progress: Callable[[str, float], None]) -> str:
    for stage in ("decode", "restore", "encode"):
        progress(stage, 0.5)
    return "done"


def report_many(progress: Callable[[str, float], None]) -> None:
    for step in range(1_000):
        progress("restore", step / 1_000)


def environment() -> dict[str, str]:
    return dict(os.environ)


def core_limit() -> tuple[int, int]:
    return resource.getrlimit(resource.RLIMIT_CORE)


def wait_for(path: Path) -> None:
    while not path.exists():
        time.sleep(0.001)


def process_id() -> int:
    return os.getpid()


@pytest.fixture
async def children() -> AsyncIterator[Children]:
    pool = Children(2, memory_bytes=MEMORY_BYTES, file_bytes=1 << 20, preload=["numpy"])
    yield pool
    await pool.close()


async def test_the_result_comes_back(children: Children) -> None:
    assert await children.call(add, 2, 3, timeout_s=LONG_S) == 5
    assert await children.call(add, 2, right=3, timeout_s=LONG_S) == 5


async def test_dataclasses_come_back(children: Children) -> None:
    assert await children.call(pair, 1, "x", timeout_s=LONG_S) == Pair(1, "x")


async def test_arrays_travel_both_ways_and_can_be_written_to(children: Children) -> None:
    picture = np.random.default_rng(1).integers(0, 256, (600, 800, 3), np.uint8)
    inverted = await children.call(invert, picture, timeout_s=LONG_S)
    assert np.array_equal(inverted, 255 - picture)
    inverted[0, 0] = 7


async def test_an_exception_comes_back_as_itself_with_the_childs_traceback(children: Children) -> None:
    with pytest.raises(PictureError) as caught:
        await children.call(refuse, "too dark", timeout_s=LONG_S)
    assert caught.value.reason == "too dark"
    assert "in refuse" in "".join(caught.value.__notes__)


async def test_an_exception_that_cannot_be_read_back_comes_as_text(children: Children) -> None:
    with pytest.raises(ChildFailedError, match="StubbornError: first"):
        await children.call(refuse_stubbornly, timeout_s=LONG_S)


@pytest.mark.parametrize("error", [TimeoutError("mine"), ConnectionResetError("mine"), EOFError("mine")])
async def test_an_error_of_the_functions_own_is_not_taken_for_the_pools(children: Children, error: Exception) -> None:
    with pytest.raises(type(error), match="mine"):
        await children.call(raise_own, error, timeout_s=LONG_S)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV, signal.SIGABRT])
async def test_a_killed_child_is_told_by_its_signal_and_replaced(children: Children, number: signal.Signals) -> None:
    with pytest.raises(ChildDiedError, match=number.name):
        await children.call(kill_itself, number, timeout_s=LONG_S)
    assert await children.call(add, 1, 1, timeout_s=LONG_S) == 2


async def test_a_real_segmentation_fault(children: Children) -> None:
    with pytest.raises(ChildDiedError, match="SIGSEGV"):
        await children.call(crash, timeout_s=LONG_S)


async def test_a_child_that_exits_is_told_by_its_code(children: Children) -> None:
    with pytest.raises(ChildDiedError, match="exit code 3"):
        await children.call(leave, timeout_s=LONG_S)


async def test_memory_is_limited(children: Children) -> None:
    with pytest.raises(ChildDiedError, match="out of memory"):
        await children.call(eat_memory, timeout_s=LONG_S)
    assert await children.call(add, 1, 1, timeout_s=LONG_S) == 2


async def test_files_are_limited(children: Children, tmp_path: Path) -> None:
    await children.call(write_file, tmp_path / "small", 1 << 20, timeout_s=LONG_S)
    with pytest.raises(OSError, match="File too large"):
        await children.call(write_file, tmp_path / "large", (1 << 20) + 1, timeout_s=LONG_S)


async def test_no_core_is_dumped(children: Children) -> None:
    assert await children.call(core_limit, timeout_s=LONG_S) == (0, 0)


async def test_a_hanging_child_is_killed_at_its_time_out(children: Children) -> None:
    with pytest.raises(ChildTimeoutError, match=r"0\.05 s"):
        await children.call(hang, timeout_s=0.05)
    assert await children.call(add, 1, 1, timeout_s=LONG_S) == 2


async def test_a_cancelled_call_takes_its_child_along(children: Children) -> None:
    started: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    call = asyncio.create_task(
        children.call(announce_and_hang, timeout_s=LONG_S, progress=lambda stage, _: started.set_result(int(stage)))
    )
    process = await started
    assert _runs(process)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    await _until(lambda: not _runs(process))
    # Both places are free again.
    results = await asyncio.gather(*(children.call(add, n, 1, timeout_s=LONG_S) for n in range(4)))
    assert results == [1, 2, 3, 4]


async def test_a_child_killed_from_outside_ends_its_call(children: Children) -> None:
    def kill(stage: str, _: float) -> None:
        os.kill(int(stage), signal.SIGKILL)

    with pytest.raises(ChildDiedError, match="SIGKILL"):
        await children.call(announce_and_hang, timeout_s=LONG_S, progress=kill)


async def test_losing_the_forking_process_fails_the_call_and_the_next_goes_on(children: Children) -> None:
    pid: list[int] = []

    def kill_its_parent(stage: str, _: float) -> None:
        pid.append(int(stage))
        os.kill(_parent_of(int(stage)), signal.SIGKILL)

    with pytest.raises(ChildDiedError, match="killed"):
        await children.call(announce_and_hang, timeout_s=LONG_S, progress=kill_its_parent)
    await _until(lambda: not _runs(pid[0]))
    assert await children.call(add, 1, 1, timeout_s=LONG_S) == 2


async def test_progress_arrives_in_order_and_before_the_result(children: Children) -> None:
    reports: list[tuple[str, float]] = []
    result = await children.call(report_three, timeout_s=LONG_S, progress=lambda *report: reports.append(report))
    assert result == "done"
    assert reports == [("decode", 0.5), ("restore", 0.5), ("encode", 0.5)]


async def test_progress_is_thinned_out(children: Children) -> None:
    reports: list[tuple[str, float]] = []
    await children.call(report_many, timeout_s=LONG_S, progress=lambda *report: reports.append(report))
    assert reports[0] == ("restore", 0.0)
    assert len(reports) < 500


async def test_no_more_than_size_at_one_time_and_first_come_first_served(children: Children, tmp_path: Path) -> None:
    gates = [tmp_path / str(number) for number in range(4)]
    order: list[int] = []

    async def run(number: int) -> None:
        await children.call(wait_for, gates[number], timeout_s=LONG_S)
        order.append(number)

    calls = [asyncio.create_task(run(number)) for number in range(4)]
    gates[3].touch()
    gates[2].touch()
    # 2 and 3 could end at once if they ran; 0 and 1 were first and hold both places.
    assert await children_running(calls, gates) == []
    gates[0].touch()
    await asyncio.gather(calls[0], calls[2], calls[3])
    assert order == [0, 2, 3]
    gates[1].touch()
    await calls[1]


async def children_running(calls: list[asyncio.Task[None]], gates: list[Path]) -> list[int]:
    """Return which calls are done after two further pools' worth of work went through the event loop."""
    async with asyncio.timeout(LONG_S):
        other = Children(1)
        await other.call(add, 1, 1, timeout_s=LONG_S)
        await other.call(add, 1, 1, timeout_s=LONG_S)
        await other.close()
    return [number for number, call in enumerate(calls) if call.done()]


async def test_each_call_has_a_process_of_its_own(children: Children) -> None:
    first = await children.call(process_id, timeout_s=LONG_S)
    second = await children.call(process_id, timeout_s=LONG_S)
    assert len({first, second, os.getpid()}) == 3


async def test_secrets_of_this_process_are_not_handed_on(children: Children, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROVIDER_KEY", "secret")
    seen = await children.call(environment, timeout_s=LONG_S)
    assert "PROVIDER_KEY" not in seen
    assert "PATH" in seen


async def test_an_answer_cannot_run_code_here(children: Children) -> None:
    with pytest.raises(ChildDiedError, match=r"may not send posix\.system"):
        await children.call(evil, timeout_s=LONG_S)


async def test_a_function_that_pickle_cannot_name_is_refused_before_anything_is_held(children: Children) -> None:
    for _ in range(3):
        with pytest.raises((AttributeError, ValueError, TypeError), match=r"local|pickle"):
            await children.call(lambda: 1, timeout_s=LONG_S)
    assert await children.call(add, 1, 1, timeout_s=LONG_S) == 2


async def test_the_event_loop_goes_on_meanwhile(children: Children, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    call = asyncio.create_task(children.call(wait_for, gate, timeout_s=LONG_S))
    turns = 0
    while turns < 1_000:  # would never get there if the call held the loop
        await asyncio.sleep(0)
        turns += 1
    gate.touch()
    await call


async def test_close_ends_running_and_waiting_calls(children: Children) -> None:
    pids: list[int] = []
    calls = [
        asyncio.create_task(
            children.call(announce_and_hang, timeout_s=LONG_S, progress=lambda stage, _: pids.append(int(stage)))
        )
        for _ in range(3)
    ]
    while len(pids) < 2:
        await asyncio.sleep(0)
    await children.close()
    outcomes = await asyncio.gather(*calls, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [ChildDiedError] * 3
    await _until(lambda: not any(map(_runs, pids)))
    with pytest.raises(ChildDiedError, match="closed"):
        await children.call(add, 1, 1, timeout_s=LONG_S)


FORKED = """
import asyncio, gc, os, sys
sys.path.insert(0, {folder!r})
from penstock.kit.children import Children
from test_children import add

pool = Children(1)

async def in_the_fork():
    assert await pool.call(add, 2, 3, timeout_s=60) == 5
    gc.collect()  # nothing that the parent's event loop watches is taken from there
    await pool.close()

async def after_the_fork():
    assert await pool.call(add, 3, 3, timeout_s=60) == 6
    await pool.close()

loop = asyncio.new_event_loop()
assert loop.run_until_complete(pool.call(add, 1, 1, timeout_s=60)) == 2
if (process := os.fork()) == 0:
    asyncio.run(in_the_fork())
    os._exit(0)
assert os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) == 0
loop.run_until_complete(after_the_fork())
loop.close()
"""


async def test_a_fork_of_the_parent_gets_children_of_its_own() -> None:
    script = FORKED.format(folder=str(Path(__file__).parent))
    ended = await asyncio.to_thread(
        subprocess.run, [sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=LONG_S
    )
    assert ended.returncode == 0, ended.stderr


ORPHANS = """
import asyncio, os, signal, sys
sys.path.insert(0, {folder!r})
from penstock.kit.children import Children
from test_children import announce_and_hang

def told(stage, _):
    with open("/proc/" + stage + "/stat") as stat:
        zygote = stat.read().split()[3]
    print(stage, zygote, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)

asyncio.run(Children(1).call(announce_and_hang, timeout_s=60, progress=told))
"""


async def test_children_do_not_outlive_a_killed_parent() -> None:
    script = ORPHANS.format(folder=str(Path(__file__).parent))
    parent = await asyncio.to_thread(
        subprocess.run, [sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, check=False
    )
    assert parent.returncode == -signal.SIGKILL
    child, zygote = map(int, parent.stdout.split())
    await _until(lambda: not _runs(child) and not _runs(zygote))


def _runs(process: int) -> bool:
    """Whether a process is there and is not just waiting to be buried."""
    try:
        stat = Path(f"/proc/{process}/stat").read_text(encoding="ascii")
    except (FileNotFoundError, ProcessLookupError):
        return False
    return stat.rpartition(")")[2].split()[0] not in "ZX"


def _parent_of(process: int) -> int:
    return int(Path(f"/proc/{process}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[1])


async def _until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(LONG_S):
        while not condition():
            await asyncio.sleep(0.001)
