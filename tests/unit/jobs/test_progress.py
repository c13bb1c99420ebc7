"""Progress: the newest report is written, seldom, by whoever holds the job, and never after its end."""

import asyncio

import pytest

from penstock.jobs import progress, queue
from penstock.jobs.flow import Claimed, Flow
from penstock.jobs.progress import ProgressWriter
from penstock.jobs.submit import submit
from penstock.jobs.worker import claimed
from penstock.kit.database import DatabaseUnavailableError, Transaction
from tests.support.flows import heard, job_row, order, rows


@pytest.fixture
async def job(flow: Flow) -> Claimed:
    """A running job."""
    await submit(flow, order(flow))
    return claimed(flow.products.current(), (await flow.database.write(queue.claim, "wkr_1", 1))[0])


async def written(flow: Flow) -> list[str]:
    return [row["data"] for row in await rows(flow, "SELECT data FROM events WHERE type = 'job.progress' ORDER BY id")]


async def test_a_report_reaches_the_customer(flow: Flow, job: Claimed) -> None:
    writer = ProgressWriter(flow, job)
    writer.provider = "main"
    writer.report("working", 0.5)
    assert (await heard(flow, job.id, "job.progress"))["data"] == {"stage": "working", "progress": 0.5}
    row = await job_row(flow, job.id)
    assert (row["stage"], row["progress"], row["provider"]) == ("working", 0.5, "main")
    await writer.stop()


async def test_many_reports_are_few_writes_and_the_last_one_is_among_them(
    flow: Flow, job: Claimed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "WRITE_EVERY_S", 0.0)
    writer = ProgressWriter(flow, job)
    for nth in range(100):
        writer.report("working", nth / 100)
    first = await heard(flow, job.id, "job.progress")
    assert first["data"]["progress"] == 0.99, "what came before the first write was overtaken"
    for nth in range(100):
        writer.report("finishing", nth / 100)
    last = await heard(flow, job.id, "job.progress", after=first["id"])
    while last["data"]["progress"] != 0.99:
        last = await heard(flow, job.id, "job.progress", after=last["id"])
    await writer.stop()
    assert len(await written(flow)) <= 4


async def test_between_two_writes_there_is_a_pause(flow: Flow, job: Claimed, monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []
    pausing = asyncio.Event()

    async def pause(seconds: float) -> None:
        pauses.append(seconds)
        pausing.set()
        await asyncio.Event().wait()

    writer = ProgressWriter(flow, job)
    monkeypatch.setattr("penstock.jobs.progress.asyncio.sleep", pause)
    writer.report("working", 0.1)
    await pausing.wait()
    writer.report("working", 0.2)
    await writer.stop()
    assert pauses == [progress.WRITE_EVERY_S]
    assert len(await written(flow)) == 1


async def test_nothing_is_written_after_the_end(flow: Flow, job: Claimed) -> None:
    writer = ProgressWriter(flow, job)
    await writer.stop()
    writer.report("late", 1.0)
    assert len(asyncio.all_tasks()) == 1
    await flow.database.write(lambda tx: None)
    assert await written(flow) == []


async def test_whoever_lost_the_job_tells_nobody(flow: Flow, job: Claimed) -> None:
    await flow.database.write(queue.requeue, job.id, job.fence, run_at=0.0)
    await flow.database.write(queue.claim, "wkr_2", 1)
    writer = ProgressWriter(flow, job)
    await flow.database.write(writer._store, "late", 0.9)
    assert await written(flow) == []
    assert (await job_row(flow, job.id))["stage"] is None


async def test_a_database_that_is_away_costs_a_report_and_not_the_job(
    flow: Flow, job: Claimed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "WRITE_EVERY_S", 0.0)
    writer = ProgressWriter(flow, job)
    store, away = writer._store, asyncio.get_running_loop().create_future()

    def fail_once(tx: Transaction, stage: str, share: float | None) -> None:
        if not away.done():
            away.get_loop().call_soon_threadsafe(away.set_result, None)
            raise DatabaseUnavailableError("full")
        store(tx, stage, share)

    monkeypatch.setattr(writer, "_store", fail_once)
    writer.report("working", 0.1)
    await away
    writer.report("working", 0.2)
    assert (await heard(flow, job.id, "job.progress"))["data"]["progress"] == 0.2
    await writer.stop()


async def test_stopping_does_not_swallow_a_cancellation(flow: Flow, job: Claimed) -> None:
    writer = ProgressWriter(flow, job)
    writer.report("working", 0.1)
    stopping = asyncio.create_task(writer.stop())
    await asyncio.sleep(0)
    stopping.cancel()
    await asyncio.wait([stopping])
    assert stopping.cancelled()
