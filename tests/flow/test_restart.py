"""Stopping and starting: a drain loses no work and no try, and who starts alone takes over at once."""

import asyncio
from pathlib import Path

import httpx2
import pytest

from penstock.app.folder import DataFolder, FolderLock
from penstock.app.services import CLOSING_S
from penstock.jobs import queue
from penstock.kit.clock import ManualClock
from tests.support.flows import FakeProvider, make_product
from tests.support.servers import API, Running, running

LONG_AGO = "the worker of a process that was killed"


@pytest.mark.embedded
async def test_a_job_of_a_killed_process_is_taken_over_at_once(tmp_path: Path) -> None:
    async with running(tmp_path, works=False) as run:
        ann = await run.customer()
        job = await ann.submit()
        await run.services.database.write(queue.claim, LONG_AGO, 1)
        running_job = await ann.job(job["id"])
    clock = ManualClock(start=run.services.clock.now())  # it stands still: no lease can run out
    async with running(tmp_path, clock=clock) as again:
        ann.run = again
        done = await ann.ended(job["id"])

    assert running_job["status"] == "running"
    assert (done["status"], done["attempts"]) == ("succeeded", 2)


async def test_a_second_server_leaves_the_jobs_of_the_first_alone(tmp_path: Path) -> None:
    provider = FakeProvider("main")
    provider.gate = asyncio.Event()
    async with running(tmp_path, provider) as first:
        ann = await first.customer(gift=10)
        job = await ann.submit()
        await asyncio.wait_for(provider.entered.wait(), 20)
        async with running(tmp_path) as second:
            fence = await second.services.database.read(lambda tx: tx.value("SELECT fence FROM jobs"))
            other = (await ann.post("/jobs", {"operation": "echo"})).json()
        provider.gate.set()
        done = await ann.ended(job["id"])
        also = await ann.ended(other["id"])

    assert fence == 1
    assert (done["status"], done["attempts"]) == ("succeeded", 1)
    assert also["status"] == "succeeded"


@pytest.mark.embedded
def test_the_lock_tells_who_is_alone(tmp_path: Path) -> None:
    folder = DataFolder(tmp_path)
    first, second, third = FolderLock(folder), FolderLock(folder), FolderLock(folder)

    assert first.take()
    first.share()
    assert not second.take()
    first.release()
    second.release()
    assert third.take()
    third.release()


@pytest.mark.embedded
async def test_temporary_files_of_a_killed_process_go(tmp_path: Path) -> None:
    async with running(tmp_path, works=False):
        left = tmp_path / "work" / "job_1-1"
        left.mkdir()
        (left / "half.png").write_bytes(b"half")
    async with running(tmp_path, works=False):
        assert not left.exists()


async def test_a_second_process_leaves_the_temporary_files_of_the_first_alone(tmp_path: Path) -> None:
    async with running(tmp_path):
        in_use = tmp_path / "work" / "job_1-1"
        in_use.mkdir()
        async with running(tmp_path):
            assert in_use.exists()


async def test_a_drain_lets_a_job_finish(tmp_path: Path) -> None:
    provider = FakeProvider("main")
    provider.gate = asyncio.Event()
    async with running(tmp_path, provider) as run:
        ann = await run.customer(gift=10)
        job = await ann.submit()
        await asyncio.wait_for(provider.entered.wait(), 20)
        draining = asyncio.create_task(run.services.drain())
        health = await until_draining(run)
        accepted = await ann.submit()
        provider.gate.set()
        await draining
        done, waits = await ann.job(job["id"]), await ann.job(accepted["id"])

    assert (health.status_code, health.json()["checks"]["workers"]) == (503, "draining")
    assert health.json()["status"] == "degraded"
    assert (done["status"], waits["status"]) == ("succeeded", "queued")


async def test_a_drain_gives_back_what_takes_too_long(tmp_path: Path) -> None:
    provider = FakeProvider("main")
    provider.gate = asyncio.Event()
    product = make_product(workers={"grace_s": int(CLOSING_S)})
    async with running(tmp_path, provider, product=product) as run:
        ann = await run.customer()
        job = await ann.submit()
        await asyncio.wait_for(provider.entered.wait(), 20)
        await run.services.drain()
        given_back = await ann.job(job["id"])
    async with running(tmp_path, product=product) as again:
        ann.run = again
        done = await ann.ended(job["id"])

    assert (given_back["status"], given_back["attempts"]) == ("queued", 0)
    assert (done["status"], done["attempts"]) == ("succeeded", 1)


async def test_a_second_signal_gives_back_at_once(tmp_path: Path) -> None:
    provider = FakeProvider("main")
    provider.gate = asyncio.Event()
    async with running(tmp_path, provider, product=make_product(workers={"grace_s": 600})) as run:
        ann = await run.customer()
        job = await ann.submit()
        await asyncio.wait_for(provider.entered.wait(), 20)
        hurry = asyncio.Event()
        hurry.set()
        await asyncio.wait_for(run.services.drain(hurry), 20)
        given_back = await ann.job(job["id"])

    assert (given_back["status"], given_back["attempts"]) == ("queued", 0)


async def until_draining(run: Running) -> httpx2.Response:
    """Return the first answer about health after the drain has begun."""
    async with asyncio.timeout(20):
        while not run.services.draining:
            await asyncio.sleep(0)
    return await run.client.get(f"{API}/health")
