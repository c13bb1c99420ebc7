"""What a peer does to be measured: `lifecycle` runs jobs that do nothing, `idle` one job at a time.

A peer is a module here that says how its worker is started (a process of its own, as its
documentation has it) and how to enqueue. The worker is up before the measurement; while the jobs of `lifecycle` are
being enqueued it is stopped, so that none of its start counts and all of its work does.
"""

import argparse
import asyncio
import importlib
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol, cast

from benchmarks.engines.noop_jobs import StartLine, Tally
from benchmarks.engines.place import URL
from benchmarks.engines.report import IDLE_GAP_S, MAX_S, WARM_UP, cpu_s, hand_in, points, processes_cpu_s

Job = Literal["mark", "tell_start"]
Enqueue = Callable[[Job, str], Awaitable[object]]
Server = Callable[[Path], AbstractContextManager[tuple[str, Callable[[], float]]]]
"""Starts a server that may use a folder; its address, and how many seconds of CPU it has used."""

START_S = 60.0  # until a worker has run its first job
STOP_S = 5.0
SETTLE_S = 0.3  # for what a worker does after a job


class Peer(Protocol):
    """What the module of a peer offers."""

    WORKER: Sequence[str]  # what Python is told to run
    LOOKS_EVERY_S: float  # how long an idle worker may not see a job

    def opened(self) -> AbstractAsyncContextManager[Enqueue]:
        """Return what enqueues a job by its name, with the address that it tells."""


@dataclass(frozen=True)
class Place:
    """Where a peer works: a folder, and a server that has used so many seconds of CPU."""

    folder: Path
    server_cpu_s: Callable[[], float]


async def lifecycle(peer: Peer, place: Place, jobs: int) -> dict[str, float]:
    """Enqueue and then drain `jobs`; returns jobs per second for both together and for the drain alone, and CPU."""
    tally = Tally(str(place.folder / "marks"))
    async with peer.opened() as enqueue:
        with _worker(peer, place.folder) as session:
            await _first(enqueue, tally)
            os.killpg(session, signal.SIGSTOP)
            spent, started = _spent(place, session), time.perf_counter()
            for _ in range(jobs):
                await enqueue("mark", tally.address)
            enqueued = time.perf_counter()
            os.killpg(session, signal.SIGCONT)
            await tally.reach(1 + jobs, MAX_S)
            ended, spent = time.perf_counter(), _spent(place, session) - spent
    return {
        "rate": jobs / (ended - started),
        "drain_rate": jobs / (ended - enqueued),
        "cpu_us": spent / jobs * 1e6,
    }


async def idle(peer: Peer, place: Place, jobs: int) -> dict[str, float]:
    """Enqueue `jobs` one at a time for a worker that waits; returns milliseconds from enqueue to start."""
    line, tally = StartLine(str(place.folder / "starts")), Tally(str(place.folder / "marks"))
    waits, chance = [], random.Random(1)
    async with peer.opened() as enqueue:
        with _worker(peer, place.folder):
            await _first(enqueue, tally)
            for _ in range(jobs + WARM_UP):
                await asyncio.sleep(chance.uniform(IDLE_GAP_S[0], IDLE_GAP_S[1] + peer.LOOKS_EVERY_S))
                asked = time.monotonic()
                await enqueue("tell_start", line.address)
                waits.append((await asyncio.to_thread(line.wait) - asked) * 1e3)
    line.close()
    return points(waits[WARM_UP:])


async def _first(enqueue: Enqueue, tally: Tally) -> None:
    """Make sure that the worker is up: it runs a job and has a moment to be done with it."""
    await enqueue("mark", tally.address)
    await tally.reach(1, START_S)
    await asyncio.sleep(SETTLE_S)


def _spent(place: Place, session: int) -> float:
    return cpu_s() + place.server_cpu_s() + processes_cpu_s(lambda process: process.session == session)


@contextmanager
def _worker(peer: Peer, folder: Path) -> Iterator[int]:
    """Run the peer's worker; yields its session, which holds every process that it starts."""
    with (folder / "worker.log").open("w+") as log:
        worker = subprocess.Popen([sys.executable, *peer.WORKER], stdout=log, stderr=log, start_new_session=True)
        try:
            yield worker.pid
        except TimeoutError as error:
            log.seek(0)
            error.add_note(log.read())
            raise
        finally:
            _end(worker)


def _end(worker: "subprocess.Popen[bytes]") -> None:
    worker.terminate()
    with suppress(subprocess.TimeoutExpired):
        worker.wait(STOP_S)
    with suppress(ProcessLookupError):
        os.killpg(worker.pid, signal.SIGKILL)
    worker.wait()


def main(peers: Sequence[str], server: Server) -> None:
    """Measure one of `peers` on a server of its own and print; see `benchmarks.engines.report`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("peer", choices=peers)
    parser.add_argument("what", choices=("lifecycle", "idle"))
    parser.add_argument("--jobs", type=int, required=True)
    parser.add_argument("--folder", type=Path, required=True)
    chosen = parser.parse_args()
    measure = lifecycle if chosen.what == "lifecycle" else idle
    with server(chosen.folder) as (url, server_cpu_s):
        os.environ[URL] = url  # before the import: many make their connection there
        peer = cast(Peer, importlib.import_module(f"benchmarks.engines.{chosen.peer}_peer"))
        hand_in(asyncio.run(measure(peer, Place(chosen.folder, server_cpu_s), chosen.jobs)))
