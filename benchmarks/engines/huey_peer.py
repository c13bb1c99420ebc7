"""Huey on SQLite, its consumer with one worker thread as it starts by default, in the process that enqueues."""

import argparse
import logging
import random
import threading
import time
from pathlib import Path

from huey import SqliteHuey
from huey.consumer import Consumer
from huey.signals import SIGNAL_COMPLETE

from benchmarks.engines.noop_jobs import StartLine, nothing, tell_start
from benchmarks.engines.report import IDLE_GAP_S, MAX_S, NOTE, WARM_UP, cpu_s, hand_in, points


class _Counter:
    """Counts ended jobs; Huey calls it in its worker thread."""

    def __init__(self, wanted: int) -> None:
        self.done, self._wanted = threading.Event(), wanted

    def one(self, *_: object) -> None:
        self._wanted -= 1
        if self._wanted == 0:
            self.done.set()

    def wait(self) -> None:
        if not self.done.wait(MAX_S):
            raise TimeoutError(f"{self._wanted} jobs had not ended after {MAX_S:.0f} s")


def lifecycle(huey: SqliteHuey, jobs: int) -> dict[str, float]:
    """Enqueue and then drain `jobs`; returns jobs per second for both together and for the drain alone, and CPU."""
    counter = _Counter(jobs)
    huey.signal(SIGNAL_COMPLETE)(counter.one)
    task = huey.task()(nothing)
    consumer = Consumer(huey, workers=1, periodic=False)
    spent, started = cpu_s(), time.perf_counter()
    for _ in range(jobs):
        task(NOTE)
    enqueued = time.perf_counter()
    consumer.start()
    counter.wait()
    ended, spent = time.perf_counter(), cpu_s() - spent
    consumer.stop(graceful=True)
    return {
        "rate": jobs / (ended - started),
        "drain_rate": jobs / (ended - enqueued),
        "cpu_us": spent / jobs * 1e6,
    }


def idle(huey: SqliteHuey, jobs: int, folder: Path) -> dict[str, float]:
    """Enqueue `jobs` one at a time for a consumer that waits; returns milliseconds from enqueue to start."""
    line, ended = StartLine(str(folder / "starts")), threading.Semaphore(0)
    huey.signal(SIGNAL_COMPLETE)(lambda *_: ended.release())
    task = huey.task()(tell_start)
    consumer = Consumer(huey, workers=1, periodic=False)
    consumer.start()
    waits, chance = [], random.Random(1)
    for _ in range(jobs + WARM_UP):
        time.sleep(chance.uniform(*IDLE_GAP_S))
        asked = time.monotonic()
        task(NOTE, line.address)
        waits.append((line.wait() - asked) * 1e3)
        ended.acquire(timeout=MAX_S)
    consumer.stop(graceful=True)
    line.close()
    return points(waits[WARM_UP:])


def main() -> None:
    """Measure and print; see `benchmarks.engines.report`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("lifecycle", "idle"))
    parser.add_argument("--jobs", type=int, required=True)
    parser.add_argument("--folder", type=Path, required=True)
    chosen = parser.parse_args()
    logging.getLogger("huey").setLevel(logging.ERROR)
    # Huey's own settings: a write-ahead log with synchronous=FULL, which is what SQLite starts with.
    huey = SqliteHuey("bench", filename=str(chosen.folder / "huey.sqlite3"))
    if chosen.what == "lifecycle":
        hand_in(lifecycle(huey, chosen.jobs))
    else:
        hand_in(idle(huey, chosen.jobs, chosen.folder))


if __name__ == "__main__":
    main()
