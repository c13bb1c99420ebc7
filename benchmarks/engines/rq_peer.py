"""RQ on a Redis server of its own: enqueue one by one, drain with SimpleWorker, or Worker (a fork for each job)."""

import argparse
import logging
import random
import subprocess
import sys
import time
from pathlib import Path

from redis import Redis
from rq import Queue, SimpleWorker, Worker
from rq.job import JobStatus
from rq.registry import FinishedJobRegistry

from benchmarks.engines.noop_jobs import StartLine, nothing, tell_start
from benchmarks.engines.redis_server import redis_cpu_s, redis_server
from benchmarks.engines.report import IDLE_GAP_S, NOTE, WARM_UP, cpu_s, hand_in, points

WORKERS = {"simple": SimpleWorker, "fork": Worker}


def lifecycle(client: Redis, jobs: int, worker: str) -> dict[str, float]:
    """Enqueue and drain `jobs`; returns jobs per second for both together and for the drain alone, and CPU."""
    queue = Queue("bench", connection=client)
    spent, started = cpu_s() + redis_cpu_s(client), time.perf_counter()
    for _ in range(jobs):
        queue.enqueue(nothing, NOTE)
    enqueued = time.perf_counter()
    WORKERS[worker]([queue], connection=client).work(burst=True, logging_level="WARNING")
    ended, spent = time.perf_counter(), cpu_s() + redis_cpu_s(client) - spent
    finished = FinishedJobRegistry(queue=queue).count
    if finished != jobs:
        raise RuntimeError(f"{finished} of {jobs} jobs finished")
    return {
        "rate": jobs / (ended - started),
        "drain_rate": jobs / (ended - enqueued),
        "cpu_us": spent / jobs * 1e6,
    }


def idle(client: Redis, jobs: int, worker: str, folder: Path) -> dict[str, float]:
    """Enqueue `jobs` one at a time for a worker process that waits; returns milliseconds from enqueue to start."""
    queue, line = Queue("bench", connection=client), StartLine(str(folder / "starts"))
    port = client.connection_pool.connection_kwargs["port"]
    work = ["-m", "benchmarks.engines.rq_peer", "worker", "--worker", worker, "--port", str(port)]
    process = subprocess.Popen([sys.executable, *work, "--folder", str(folder)], stdout=subprocess.DEVNULL)
    waits, chance = [], random.Random(1)
    try:
        for _ in range(jobs + WARM_UP):
            time.sleep(chance.uniform(*IDLE_GAP_S))
            asked = time.monotonic()
            job = queue.enqueue(tell_start, NOTE, line.address)
            waits.append((line.wait() - asked) * 1e3)
            while job.get_status() not in {JobStatus.FINISHED, JobStatus.FAILED}:
                time.sleep(0.002)
    finally:
        process.terminate()
        process.wait()
        line.close()
    return points(waits[WARM_UP:])


def main() -> None:
    """Measure and print; see `benchmarks.engines.report`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("lifecycle", "idle", "worker"))
    parser.add_argument("--jobs", type=int, default=0)
    parser.add_argument("--worker", choices=tuple(WORKERS), default="simple")
    parser.add_argument("--port", type=int, help="for the worker process that `idle` starts")
    parser.add_argument("--folder", type=Path, required=True)
    chosen = parser.parse_args()
    logging.getLogger("rq.worker").setLevel(logging.WARNING)
    if chosen.what == "worker":
        client = Redis(host="127.0.0.1", port=chosen.port)
        WORKERS[chosen.worker]([Queue("bench", connection=client)], connection=client).work(logging_level="WARNING")
        return
    with redis_server(chosen.folder) as client:
        if chosen.what == "lifecycle":
            hand_in(lifecycle(client, chosen.jobs, chosen.worker))
        else:
            hand_in(idle(client, chosen.jobs, chosen.worker, chosen.folder))


if __name__ == "__main__":
    main()
