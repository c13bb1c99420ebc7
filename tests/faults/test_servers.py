"""Faults of real servers and real worker processes: whatever dies under load, every accepted job ends exactly once.

`PENSTOCK_FAULT_ROUNDS` says how long it goes on: each round is a burst of jobs with one fault in the middle of it.
"""

import asyncio
import itertools
import os
import random
import shutil
import subprocess
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import Any

import pytest

from penstock.jobs import queue, roster
from penstock.jobs.flow import Flow
from penstock.jobs.submit import submit
from penstock.kit import redis_server, shared_hints
from penstock.kit.database import DatabaseUnavailableError
from penstock.ledger import service as ledger
from penstock.notify.live import FINAL_TYPES
from tests.support import flows, postgres, redis, servers
from tests.support.flows import fund, job_row, make_product, order, rows, settled
from tests.support.servers import Running, running
from tests.support.worker_process import BILLED, WorkerProcess, sent

ROUNDS = int(os.environ.get("PENSTOCK_FAULT_ROUNDS", "5"))
BURST = 24  # jobs in a round
ACCOUNTS = tuple(f"acc_{number}" for number in range(8))
FUNDS = 1_000_000
PRICE = 2
RETRY_S = 0.05  # between two tries of a customer who was told that the server is away
PATIENCE_S = 120.0
LEASE_S = 12.0  # where each try is counted: nobody loses a job for having stood still for some seconds
SHORT_LEASE_S = 2.0  # where only the end counts
DISK_BYTES, FILL_BYTES = 160_000_000, 4_096

pytestmark = pytest.mark.slow

# Nobody's job may fail here for having lost its workers too often.
PRODUCT: dict[str, Any] = {
    "plans": {
        "open": {"title": "Open", "description": ".", "limits": {"running": 100}, "spacing_s": 0, "attempts": 10}
    },
    "operations": {
        **flows.PRODUCT["operations"],
        **{name: {**flows.PRODUCT["operations"]["echo"], "route": [name]} for name in BILLED},
    },
    "providers": {**flows.PRODUCT["providers"], **{name: {"adapter": "local", "concurrency": 100} for name in BILLED}},
    "workers": {"slots": 8, "slots_min": 2, "grace_s": 6},
}
OPERATIONS = ("echo", *BILLED)


@pytest.fixture(autouse=True)
def _patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flows, "PATIENCE_S", PATIENCE_S)


@pytest.fixture
def shared(postgres_url: str, redis_url: str, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The servers that all processes of a test share."""
    urls = {"database_url": postgres_url, "redis_url": redis_url}
    monkeypatch.setattr(servers, "SHARED", urls)
    return urls


class Fleet:
    """Worker processes, and the services of a process that only serves."""

    def __init__(self, folder: Path, shared: dict[str, str], serving: Running, lease_s: float = SHORT_LEASE_S) -> None:
        self.folder, self.shared, self.serving, self.lease_s = folder, shared, serving, lease_s
        self.traces = folder / "traces"
        self.traces.mkdir()
        self.workers: list[WorkerProcess] = []
        self.refused = 0  # times that a customer was told to come again
        self._numbers = itertools.count()

    @property
    def flow(self) -> Flow:
        return self.serving.services.flow

    async def start(self) -> WorkerProcess:
        folder = self.folder / f"worker{next(self._numbers)}"
        made = WorkerProcess(folder, self.traces, self.shared, lease_s=self.lease_s, product=PRODUCT)
        self.workers.append(made)
        return await asyncio.to_thread(made.start)

    def kill(self) -> None:
        for worker in self.workers:
            worker.kill()

    async def submit(
        self, account: str = "acc_0", words: str = "", key: str | None = None, operation: str = "echo"
    ) -> str:
        wanted = order(self.flow, account, operation, plan="open", key=key, words=words)
        return (await submit(self.flow, wanted)).job_id

    async def sent(self, job_id: str, times: int = 1) -> None:
        """Wait until a job has been sent to the provider so often."""
        async with asyncio.timeout(PATIENCE_S):
            while sent(self.traces).count(job_id) < times:
                await asyncio.sleep(0.01)

    async def leases_run_out(self) -> None:
        """Let it be later than any lease lasts, for those who look after lost ones."""
        await self.flow.database.write(lambda tx: tx.run(queue.END_LEASES))

    def open(self, gate: str) -> None:
        (self.traces / gate).touch()


@pytest.fixture
async def fleet(tmp_path: Path, shared: dict[str, str]) -> AsyncIterator[Fleet]:
    async with running(tmp_path / "serves", product=make_product(**PRODUCT), works=False) as serving:
        made = Fleet(tmp_path, shared, serving, LEASE_S)
        await fund(made.flow, "acc_0", FUNDS)
        yield made
        made.kill()


async def test_a_job_of_a_killed_worker_is_taken_over(fleet: Fleet) -> None:
    doomed = await fleet.start()
    job = await fleet.submit(words="gate")
    await fleet.sent(job)
    doomed.kill()
    await fleet.leases_run_out()
    fleet.open("gate")
    await fleet.start()
    row = await settled(fleet.flow, job)

    assert (row["state"], row["attempts"], row["fence"]) == ("succeeded", 2, 2)
    assert sent(fleet.traces) == [job, job]


async def test_what_runs_when_a_worker_is_stopped_is_finished_within_the_grace(fleet: Fleet) -> None:
    worker = await fleet.start()
    job = await fleet.submit(words="gate")
    await fleet.sent(job)
    stopping = asyncio.create_task(asyncio.to_thread(worker.stop))
    async with asyncio.timeout(PATIENCE_S):
        while [entry.state for entry in await fleet.flow.database.read(roster.everybody)] != ["draining"]:
            await asyncio.sleep(0.01)
    fleet.open("gate")
    code = await stopping
    row = await job_row(fleet.flow, job)
    listed = await fleet.flow.database.read(roster.everybody)

    assert code == 0
    assert (row["state"], row["attempts"]) == ("succeeded", 1)
    assert listed == [], "who ends takes its row away"


async def test_what_takes_longer_than_the_grace_goes_on_elsewhere_and_loses_no_try(fleet: Fleet) -> None:
    worker = await fleet.start()
    job = await fleet.submit(words="gate")
    await fleet.sent(job)
    code = await asyncio.to_thread(worker.stop)
    given_back = await job_row(fleet.flow, job)
    fleet.open("gate")
    await fleet.start()
    row = await settled(fleet.flow, job)

    assert code == 0
    assert (given_back["state"], given_back["attempts"]) == ("ready", 0)
    assert (row["state"], row["attempts"]) == ("succeeded", 1)


async def test_workers_that_come_and_go_run_each_job_once(fleet: Fleet) -> None:
    await asyncio.gather(*(fleet.start() for _ in range(2)))
    jobs = [await fleet.submit(words=f"{number}") for number in range(40)]
    await asyncio.to_thread(fleet.workers[0].stop)
    for job in jobs:
        row = await settled(fleet.flow, job)
        assert (row["state"], row["attempts"]) == ("succeeded", 1)
    assert sorted(sent(fleet.traces)) == sorted(jobs)
    assert await flows.wallet(fleet.flow, "acc_0") == (FUNDS - PRICE * len(jobs), 0)


# ---- everything dies, again and again -----------------------------------------------------------------------------


@pytest.fixture
def own_postgres() -> Iterator[postgres.Server]:
    """A PostgreSQL server that the test may crash: what it has committed, it has written."""
    folder = Path(tempfile.mkdtemp(prefix="penstock-postgres-"))
    folder.chmod(0o755)
    server = postgres.Server(folder / "server", fsync="off", full_page_writes="off")
    server.make()
    server.start()
    server.make_template()
    try:
        yield server
    finally:
        server.stop("immediate")
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def own_redis() -> Iterator[redis.Server]:
    """A Redis server that the test may kill."""
    with redis.server() as server:
        yield server


class Storm:
    """Faults, one after the other and in every order."""

    def __init__(self, fleet: Fleet, database: postgres.Server, cache: redis.Server) -> None:
        self.fleet, self.database, self.cache = fleet, database, cache
        self.chance = random.Random(7)
        self.struck: list[str] = []

    async def strike(self, number: int) -> None:
        faults = (self.crash_postgres, self.kill_a_worker, self.kill_redis, self.crash_postgres, self.empty_redis)
        fault = faults[number % len(faults)]
        self.struck.append(fault.__name__)
        await fault()

    async def crash_postgres(self) -> None:
        await asyncio.to_thread(self.database.stop, "immediate")
        await asyncio.to_thread(self.database.start)

    async def kill_redis(self) -> None:
        await asyncio.to_thread(self.cache.kill)
        await asyncio.to_thread(self.cache.start)

    async def empty_redis(self) -> None:
        await asyncio.to_thread(self.cache.empty)

    async def kill_a_worker(self) -> None:
        victim = self.chance.choice(self.fleet.workers)
        await asyncio.to_thread(victim.kill)
        self.fleet.workers.remove(victim)
        await self.fleet.start()


async def insist(fleet: Fleet, account: str, key: str, operation: str) -> str:
    """Submit as a customer does who asks again with the same key until there is an answer."""
    while True:
        try:
            return await fleet.submit(account, words=key, key=key, operation=operation)
        except DatabaseUnavailableError:
            fleet.refused += 1
            await asyncio.sleep(RETRY_S)


async def test_every_accepted_job_ends_once_whatever_dies(
    tmp_path: Path, own_postgres: postgres.Server, own_redis: redis.Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared_hints, "RETRY_MOST_S", 0.2)
    monkeypatch.setattr(redis_server, "REST_S", 0.1)
    shared = {"database_url": own_postgres.make_database(), "redis_url": own_redis.url}
    monkeypatch.setattr(servers, "SHARED", shared)
    async with AsyncExitStack() as stack:
        serving = running(tmp_path / "serves", product=make_product(**PRODUCT), works=False)
        fleet = Fleet(tmp_path, shared, await stack.enter_async_context(serving))
        stack.callback(fleet.kill)
        for account in ACCOUNTS:
            await fund(fleet.flow, account, FUNDS)
        await asyncio.gather(*(fleet.start() for _ in range(2)))
        storm, accepted = Storm(fleet, own_postgres, own_redis), dict[str, str]()
        for number in range(ROUNDS):
            keys = [f"{number}-{nth}" for nth in range(BURST)]
            asked = [
                insist(fleet, ACCOUNTS[nth % len(ACCOUNTS)], key, OPERATIONS[nth % len(OPERATIONS)])
                for nth, key in enumerate(keys)
            ]
            *jobs, _ = await asyncio.gather(*asked, storm.strike(number))
            accepted |= dict(zip(keys, jobs, strict=True))  # type: ignore[arg-type]  # the last one is the fault's
        for job in accepted.values():
            await settled(fleet.flow, job)
        assert len(accepted) == ROUNDS * BURST
        ended = await check(fleet, accepted)
        told = f"{ROUNDS} rounds: {dict(Counter(storm.struck))}; {fleet.refused} submits refused; jobs: {dict(ended)}"
        print(told)  # noqa: T201 - what a long run was about, shown by `pytest -s`


@pytest.fixture
def small_disk() -> Iterator[Path]:
    """A disk of its own that is soon full."""
    folder = Path(tempfile.mkdtemp(prefix="penstock-disk-"))
    mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES},mode=755", "penstock", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        folder.rmdir()
        pytest.skip("only somebody who may mount a small disk can fill it")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)
        folder.rmdir()


async def test_every_accepted_job_ends_once_when_the_disk_of_the_database_is_full(
    tmp_path: Path, small_disk: Path, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = postgres.Server(small_disk / "server", max_wal_size="32MB", min_wal_size="32MB")
    async with AsyncExitStack() as stack:
        await asyncio.to_thread(database.make)
        await asyncio.to_thread(database.start)
        stack.callback(database.stop, "immediate")
        await asyncio.to_thread(database.make_template)
        shared = {"database_url": await asyncio.to_thread(database.make_database), "redis_url": redis_url}
        monkeypatch.setattr(servers, "SHARED", shared)
        serving = running(tmp_path / "serves", product=make_product(**PRODUCT), works=False)
        fleet = Fleet(tmp_path, shared, await stack.enter_async_context(serving))
        stack.callback(fleet.kill)
        for account in ACCOUNTS:
            await fund(fleet.flow, account, FUNDS)
        await fleet.start()

        ballast = fill(small_disk)
        asked: dict[str, asyncio.Task[str]] = {}
        async with asyncio.timeout(PATIENCE_S):
            while not fleet.refused or len(asked) < BURST:
                key = f"{len(asked)}"
                account, operation = ACCOUNTS[len(asked) % len(ACCOUNTS)], OPERATIONS[len(asked) % len(OPERATIONS)]
                asked[key] = asyncio.create_task(insist(fleet, account, key, operation))
                await asyncio.wait([asked[key]], timeout=RETRY_S)
        ballast.unlink()
        accepted = {key: await task for key, task in asked.items()}
        for job in accepted.values():
            await settled(fleet.flow, job)
        await check(fleet, accepted)


def fill(disk: Path) -> Path:
    """Write until nothing more goes onto a disk; returns the file that takes the room."""
    ballast = disk / "ballast"
    with ballast.open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(bytes(FILL_BYTES))
    return ballast


async def check(fleet: Fleet, accepted: dict[str, str]) -> Counter[str]:
    """Compare what customers were told with what is there; returns how many jobs ended in which state."""
    flow = fleet.flow
    jobs = {row["id"]: row for row in await rows(flow, "SELECT id, account_id, operation, state, error FROM jobs")}
    assert set(jobs) == set(accepted.values()), "nothing that was accepted is missing, and nothing is there twice"
    assert len(set(accepted.values())) == len(accepted)
    for row in jobs.values():
        assert row["state"] == "succeeded" or (row["state"] == "failed" and row["operation"] in BILLED), row
    kinds = ", ".join(f"'{kind}'" for kind in sorted(FINAL_TYPES))
    ends = await rows(flow, f"SELECT job_id, COUNT(*) AS times FROM events WHERE type IN ({kinds}) GROUP BY job_id")
    assert {row["job_id"]: row["times"] for row in ends} == dict.fromkeys(jobs, 1)
    assert await flow.database.read(ledger.violations) == []
    for account in ACCOUNTS:
        own = sum(row["account_id"] == account and row["state"] == "succeeded" for row in jobs.values())
        assert await flows.wallet(flow, account) == (FUNDS - PRICE * own, 0)
    for vendor in BILLED:
        asked = sent(fleet.traces, vendor)
        assert len(asked) == len(set(asked)), "nobody pays twice for one job"
        ended = Counter(row["state"] for row in jobs.values() if row["operation"] == vendor)
        assert ended["succeeded"] > ended["failed"], f"{vendor}: only what was under way in a crash may fail, {ended}"
    return Counter(row["state"] for row in jobs.values())
