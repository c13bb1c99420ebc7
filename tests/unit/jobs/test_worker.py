"""The worker: batches, leases, drains; whatever interrupts a job, it ends once and no slot is lost."""

import asyncio
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from penstock.jobs import queue
from penstock.jobs import worker as working_module
from penstock.jobs.attempts import open_attempt
from penstock.jobs.control import cancel
from penstock.jobs.flow import Claimed, Delivery, Flow
from penstock.jobs.submit import submit
from penstock.jobs.worker import Worker
from penstock.kit import patience
from penstock.kit.clock import ManualClock
from penstock.kit.database import Database, DatabaseUnavailableError, Transaction
from penstock.kit.hints import LocalHints
from penstock.product.schema import Product
from penstock.providers.seam import Attempt, Finished, ProviderError, Request, Submitted
from tests.support.flows import (
    PATIENCE_S,
    FakeProvider,
    NoFiles,
    OneProduct,
    fund,
    heard,
    job_row,
    open_flow,
    order,
    rows,
    settled,
    wallet,
    working,
)


async def asked(flow: Flow, count: int = 1, operation: str = "echo", plan: str = "open") -> list[str]:
    """Submit jobs; returns their ids."""
    return [(await submit(flow, order(flow, operation=operation, plan=plan))).job_id for _ in range(count)]


async def entered(provider: FakeProvider, count: int = 1) -> None:
    """Wait until the provider has been asked so often."""
    async with asyncio.timeout(PATIENCE_S):
        while len(provider.sent) < count:
            provider.entered.clear()
            await provider.entered.wait()


async def come_to(worker: Worker, running: int) -> None:
    """Wait until no more jobs than that run."""
    async with asyncio.timeout(PATIENCE_S):
        while worker.running > running:
            await worker.flow.database.read(lambda tx: None)


def shut(provider: FakeProvider) -> asyncio.Event:
    """Let the provider's calls wait until the returned event is set."""
    provider.gate = gate = asyncio.Event()
    return gate


async def states(flow: Flow) -> list[str]:
    return [row["state"] for row in await rows(flow, "SELECT state FROM jobs ORDER BY id")]


# ---- claiming -----------------------------------------------------------------------------------------------------


async def test_jobs_are_done(flow: Flow) -> None:
    async with working(flow) as worker:
        for job_id in await asked(flow, 5):
            assert (await settled(flow, job_id))["state"] == "succeeded"
        assert await wallet(flow) == (90, 0)
    assert worker.running == 0


async def test_no_more_run_than_there_are_slots(flow: Flow, provider: FakeProvider) -> None:
    gate = shut(provider)
    jobs = await asked(flow, 5)
    async with working(flow, slots=2) as worker:
        await entered(provider, 2)
        for _ in range(10):
            flow.ready.wake()
            await flow.database.write(lambda tx: None)
        assert (worker.running, len(provider.sent)) == (2, 2)
        gate.set()
        for job_id in jobs:
            await settled(flow, job_id)


async def test_the_lowest_rank_goes_first(flow: Flow, provider: FakeProvider, clock: ManualClock) -> None:
    def go_ahead(tx: Transaction, job_id: str, seconds: float) -> None:
        tx.run("UPDATE jobs SET rank = rank - :seconds WHERE id = :id", seconds=seconds, id=job_id)

    jobs = await asked(flow, 3)
    for job_id, seconds in zip(jobs, (0, 60, 30), strict=True):
        await flow.database.write(go_ahead, job_id, seconds)
    async with working(flow, slots=1):
        for job_id in jobs:
            await settled(flow, job_id)
    assert provider.sent == [jobs[1], jobs[2], jobs[0]]


async def test_a_worker_at_rest_does_not_spin(flow: Flow, monkeypatch: pytest.MonkeyPatch) -> None:
    """It claims once, finds nothing, and rests until it is woken or its look is due."""
    resting = asyncio.Event()
    looks = rests = 0
    claim, rest = queue.claim, Worker._rest

    def count(tx: Transaction, *claimed: Any) -> list[Any]:
        nonlocal looks
        looks += 1
        return claim(tx, *claimed)

    async def note(worker: Worker, most_s: float) -> None:
        nonlocal rests
        rests += 1
        resting.set()
        await rest(worker, most_s)

    monkeypatch.setattr(queue, "claim", count)
    monkeypatch.setattr(Worker, "_rest", note)
    monkeypatch.setattr(working_module, "POLL_S", None)
    async with working(flow):
        await resting.wait()
        for _ in range(50):
            await flow.database.write(lambda tx: None)
        assert (looks, rests) == (1, 1)
        resting.clear()
        flow.ready.wake()
        await resting.wait()
        assert (looks, rests) == (2, 2)


async def test_a_job_that_comes_while_the_worker_looks_is_not_overlooked(
    flow: Flow, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A wake-up between the claim and the rest; with no poll beneath it would be lost for ever."""
    monkeypatch.setattr(working_module, "POLL_S", None)
    async with working(flow):
        for _ in range(20):
            await settled(flow, (await asked(flow))[0])


async def test_trouble_with_the_database_does_not_end_the_claiming(flow: Flow, monkeypatch: pytest.MonkeyPatch) -> None:
    claim, trouble = queue.claim, [DatabaseUnavailableError("full"), RuntimeError("a bug")]

    def fail_twice(tx: Transaction, *claimed: Any) -> list[Any]:
        if trouble:
            raise trouble.pop()
        return claim(tx, *claimed)

    monkeypatch.setattr(queue, "claim", fail_twice)
    monkeypatch.setattr(working_module, "POLL_S", 0.001)
    job_id = (await asked(flow))[0]
    async with working(flow):
        assert (await settled(flow, job_id))["state"] == "succeeded"


async def test_a_job_whose_product_file_cannot_be_read_fails_and_holds_up_nobody(flow: Flow) -> None:
    class Gone(OneProduct):
        def at(self, tx: Transaction, version: str) -> Product:
            if version == "gone":
                raise LookupError(version)
            return self.product

    flow.products = Gone(flow.products.current())
    bad, good = await asked(flow, 2)
    await flow.database.write(lambda tx: tx.run("UPDATE jobs SET product_version = 'gone' WHERE id = :id", id=bad))
    async with working(flow, slots=1):
        assert (await settled(flow, good))["state"] == "succeeded"
        assert (await settled(flow, bad))["state"] == "failed"
    assert await wallet(flow) == (98, 0)


# ---- leases -------------------------------------------------------------------------------------------------------


async def test_heartbeats_keep_the_leases(flow: Flow, provider: FakeProvider, clock: ManualClock) -> None:
    gate = shut(provider)
    async with working(flow) as worker:
        job_id = (await asked(flow))[0]
        await entered(provider)
        for _ in range(10):
            clock.advance(queue.HEARTBEAT_S)
            assert await worker.heartbeat() == queue.HEARTBEAT_S
        assert (await job_row(flow, job_id))["lease_until"] == clock.now() + queue.LEASE_S
        gate.set()
        assert (await settled(flow, job_id))["attempts"] == 1


async def test_a_job_that_somebody_else_holds_is_stopped(flow: Flow, provider: FakeProvider) -> None:
    shut(provider)
    async with working(flow, slots=1) as worker:
        job_id = (await asked(flow))[0]
        await entered(provider)
        await flow.database.write(queue.requeue, job_id, 1, run_at=0.0)
        other = await flow.database.write(queue.claim, "wkr_other", 1)
        await worker.heartbeat()
        await come_to(worker, 0)
        row = await job_row(flow, job_id)
        assert (row["state"], row["worker"], row["fence"]) == ("running", "wkr_other", other[0]["fence"])
        assert await wallet(flow) == (98, 2)


async def test_one_worker_may_hold_a_job_anew_while_its_old_task_clears_up(
    flow: Flow, provider: FakeProvider, clock: ManualClock
) -> None:
    """The lease was lost and mended, and the same worker claimed the job again: two tasks, one of them a ghost."""
    gate = shut(provider)
    async with working(flow) as worker:
        job_id = (await asked(flow))[0]
        await entered(provider)
        await flow.database.write(queue.requeue, job_id, 1, run_at=0.0)
        flow.ready.wake()
        await entered(provider, 2)
        assert worker.running == 2
        await worker.heartbeat()
        await come_to(worker, 1)
        clock.advance(queue.HEARTBEAT_S)
        await worker.heartbeat()
        assert (await job_row(flow, job_id))["lease_until"] == clock.now() + queue.LEASE_S, "the new one is renewed"
        gate.set()
        assert (await settled(flow, job_id))["fence"] == 2
    assert worker.running == 0


class Away:
    """A database that can be taken away, for writes."""

    def __init__(self, database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
        self.gone = False
        self.refused = 0
        for name in ("write", "write_for"):
            monkeypatch.setattr(database, name, self._maybe(getattr(database, name)))

    def _maybe(self, write: Callable[..., Any]) -> Callable[..., Any]:
        async def maybe(*args: Any, **kwargs: Any) -> Any:
            if self.gone:
                self.refused += 1
                raise DatabaseUnavailableError("away")
            return await write(*args, **kwargs)

        return maybe


async def test_a_database_that_is_away_for_a_lease_stops_every_task(
    flow: Flow, provider: FakeProvider, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    away = Away(flow.database, monkeypatch)
    shut(provider)
    async with working(flow) as worker:
        job_id = (await asked(flow))[0]
        await entered(provider)
        clock.advance(queue.LEASE_S / 2)
        await worker.heartbeat()
        away.gone = True
        clock.advance(queue.LEASE_S - 4)
        assert await worker.heartbeat() == pytest.approx(4), "the next one is due before the lease ends"
        assert worker.running == 1
        clock.advance(4)
        await worker.heartbeat()
        await come_to(worker, 0)
        away.gone = False
        assert (await job_row(flow, job_id))["state"] == "running", "nothing was written; its lease runs out"


async def test_after_a_sleep_of_the_machine_the_leases_are_asked_for_and_not_given_up(
    flow: Flow, provider: FakeProvider, clock: ManualClock
) -> None:
    gate = shut(provider)
    async with working(flow) as worker:
        job_id = (await asked(flow))[0]
        await entered(provider)
        clock.advance(100 * queue.LEASE_S)
        await worker.heartbeat()
        assert (await job_row(flow, job_id))["lease_until"] == clock.now() + queue.LEASE_S
        gate.set()
        assert (await settled(flow, job_id))["state"] == "succeeded"


# ---- cancelling ---------------------------------------------------------------------------------------------------


async def test_a_running_job_is_stopped_for_its_customer(flow: Flow, provider: FakeProvider) -> None:
    shut(provider)
    async with working(flow) as worker:
        job_id = (await asked(flow))[0]
        await entered(provider)
        await cancel(flow, "acc_1", job_id)
        assert (await settled(flow, job_id))["state"] == "cancelled"
        await come_to(worker, 0)
    assert await wallet(flow) == (100, 0)


async def test_a_cancellation_from_another_process_comes_with_the_heartbeat(flow: Flow, provider: FakeProvider) -> None:
    shut(provider)
    async with working(flow) as worker:
        job_id = (await asked(flow))[0]
        await entered(provider)
        await flow.database.write(lambda tx: tx.run(queue.REQUEST_CANCEL, id=job_id))
        await worker.heartbeat()
        assert (await settled(flow, job_id))["state"] == "cancelled"


async def test_where_hints_were_lost_a_worker_looks_at_once_for_what_is_to_stop(
    flow: Flow, provider: FakeProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queue, "HEARTBEAT_S", 3_600.0)
    shut(provider)
    async with working(flow):
        job_id = (await asked(flow))[0]
        await entered(provider)
        await flow.database.write(lambda tx: tx.run(queue.REQUEST_CANCEL, id=job_id))
        assert isinstance(flow.hub.hints, LocalHints)
        flow.hub.hints.wake_everybody()
        assert (await settled(flow, job_id))["state"] == "cancelled"


async def test_a_cancellation_that_overtakes_the_claim_is_not_missed(
    flow: Flow, provider: FakeProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process sees the job run, and tells so, before this one has heard that its claim was committed."""
    shut(provider)
    job_id = (await asked(flow))[0]
    seen: list[str] = []

    def cancel_then(label: str) -> None:
        if label == "claim.committed" and not seen:
            seen.append(label)
            flow.tell_cancelled(job_id)

    monkeypatch.setattr(working_module, "checkpoint", cancel_then)
    async with working(flow):
        assert (await settled(flow, job_id))["state"] == "cancelled"
    assert seen == ["claim.committed"]


async def test_a_cancellation_before_the_first_step_loses_no_slot(flow: Flow, provider: FakeProvider) -> None:
    """Claim and cancel share a commit, so the task is told to stop before it ever ran."""
    worker = Worker(flow, 1)
    begin = worker._begin

    def begin_and_stop(job: Claimed) -> None:
        begin(job)
        flow.tell_cancelled(job.id)

    worker._begin = begin_and_stop  # type: ignore[method-assign]
    await worker.start()
    jobs = await asked(flow, 3)
    for job_id in jobs:
        assert (await settled(flow, job_id))["state"] == "cancelled"
    await worker.stop(grace_s=0)
    assert (worker.running, provider.sent) == (0, [])
    assert await wallet(flow) == (100, 0)


async def test_a_provider_is_told_that_nobody_waits_any_more(tmp_path: Path, clock: ManualClock) -> None:
    polled = asyncio.Event()

    class Slow(FakeProvider):
        async def poll(self, reference: str, request: Request) -> Any:
            polled.set()
            await asyncio.Event().wait()

    provider = Slow(act=lambda request, attempt: Submitted("ref-1"), billed=True, reattachable=True)
    async with open_flow(tmp_path, provider, clock=clock) as flow:
        await fund(flow, "acc_1", 10)
        async with working(flow):
            job_id = (await asked(flow))[0]
            await polled.wait()
            await cancel(flow, "acc_1", job_id)
            assert (await settled(flow, job_id))["state"] == "cancelled"
    assert provider.cancelled == ["ref-1"]


async def test_work_that_is_just_being_handed_over_is_stopped_too(flow: Flow, provider: FakeProvider) -> None:
    provider.act = lambda request, attempt: Submitted("ref-1")
    provider.billed = provider.reattachable = True
    gate = shut(provider)
    async with working(flow):
        job_id = (await asked(flow))[0]
        await entered(provider)
        await cancel(flow, "acc_1", job_id)
        gate.set()
        assert (await settled(flow, job_id))["state"] == "cancelled"
    assert provider.cancelled == ["ref-1"], "or it goes on, and is billed, and nobody knows of it"
    assert await wallet(flow) == (100, 0)


@pytest.mark.parametrize("trouble", ["raises", "hangs"])
async def test_a_provider_that_cannot_stop_does_not_keep_the_customer_waiting(
    tmp_path: Path, clock: ManualClock, trouble: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("penstock.jobs.run.CANCEL_S", 0.001)
    polled = asyncio.Event()

    class Stubborn(FakeProvider):
        async def poll(self, reference: str, request: Request) -> Any:
            polled.set()
            await asyncio.Event().wait()

        async def cancel(self, reference: str) -> None:
            if trouble == "raises":
                raise RuntimeError("no such thing")
            await asyncio.Event().wait()

    provider = Stubborn(act=lambda request, attempt: Submitted("ref-1"), billed=True, reattachable=True)
    async with open_flow(tmp_path, provider, clock=clock) as flow:
        await fund(flow, "acc_1", 10)
        async with working(flow):
            job_id = (await asked(flow))[0]
            await polled.wait()
            await cancel(flow, "acc_1", job_id)
            assert (await settled(flow, job_id))["state"] == "cancelled"
        assert await wallet(flow) == (10, 0)


async def test_a_cancellation_while_the_success_commits_comes_too_late(
    flow: Flow, provider: FakeProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The task is interrupted while it waits for its settle to be on disk: paid, delivered, and not given back."""
    loop, here = asyncio.get_running_loop(), threading.get_ident()
    told, heard = asyncio.Event(), threading.Event()

    class Telling(NoFiles):
        def deliver(self, tx: Transaction, job: Claimed, delivery: Delivery) -> str | None:
            if threading.get_ident() == here:  # PostgreSQL: units run on the event loop itself
                tell(job.id)
            else:
                loop.call_soon_threadsafe(tell, job.id)
                heard.wait()
            return None

    def tell(job_id: str) -> None:
        flow.tell_cancelled(job_id)
        told.set()
        heard.set()

    flow.studio = Telling()
    async with working(flow) as worker:
        job_id = (await asked(flow))[0]
        await told.wait()
        assert (await settled(flow, job_id))["state"] == "succeeded"
        await come_to(worker, 0)
    assert (await job_row(flow, job_id))["state"] == "succeeded"
    assert await wallet(flow) == (98, 0)


async def test_a_cancellation_while_the_job_is_given_back_is_not_forgotten(
    flow: Flow, provider: FakeProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(request: Request, attempt: Attempt) -> Finished:
        asyncio.get_running_loop().call_soon(stop)
        raise ProviderError("transient", "as told")

    def stop() -> None:
        cancelling.append(asyncio.ensure_future(cancel(flow, "acc_1", job_id)))

    cancelling: list[asyncio.Future[None]] = []
    provider.act = fail
    job_id = (await asked(flow))[0]
    async with working(flow):
        await heard(flow, job_id, "job.retrying", "job.cancelled")
        await cancelling[0]
        assert (await settled(flow, job_id))["state"] == "cancelled"
    assert await wallet(flow) == (100, 0)


# ---- draining -----------------------------------------------------------------------------------------------------


async def test_a_drain_gives_back_what_is_not_finished_and_costs_no_try(flow: Flow, provider: FakeProvider) -> None:
    shut(provider)
    jobs = await asked(flow, 3)
    async with working(flow, slots=2):
        await entered(provider, 2)
    assert await states(flow) == ["ready"] * 3
    assert [(await job_row(flow, job_id))["attempts"] for job_id in jobs] == [0, 0, 0]
    assert await wallet(flow) == (94, 6)
    provider.gate = None
    async with working(flow):
        for job_id in jobs:
            assert (await settled(flow, job_id))["attempts"] == 1


async def test_a_drain_lets_jobs_finish_in_their_grace(flow: Flow, provider: FakeProvider) -> None:
    gate = shut(provider)
    job_id = (await asked(flow))[0]
    worker = Worker(flow, 1)
    await worker.start()
    await entered(provider)
    stopping = asyncio.create_task(worker.stop(grace_s=60))
    await asyncio.sleep(0)
    gate.set()
    await stopping
    assert (await job_row(flow, job_id))["state"] == "succeeded"


async def test_a_drain_waits_for_a_database_that_is_away_for_a_moment(
    flow: Flow, provider: FakeProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    away = Away(flow.database, monkeypatch)
    shut(provider)
    async with working(flow) as worker:
        job_id = (await asked(flow))[0]
        await entered(provider)
        away.gone = True
        stopping = asyncio.create_task(worker.stop(grace_s=0))
        async with asyncio.timeout(PATIENCE_S):
            while away.refused < 3:
                await asyncio.sleep(0)
        away.gone = False
        await stopping
    row = await job_row(flow, job_id)
    assert (row["state"], row["attempts"]) == ("ready", 0)


async def interrupted(worker: Worker) -> None:
    """Wait until the one job that runs has been told to stop."""
    (task,) = worker._tasks()
    async with asyncio.timeout(PATIENCE_S):
        while not task.cancelling():
            await worker.flow.database.read(lambda tx: None)


async def test_work_that_is_just_being_handed_over_at_a_drain_is_found_again(
    flow: Flow, provider: FakeProvider
) -> None:
    provider.act = lambda request, attempt: Submitted("ref-1")
    provider.billed = provider.reattachable = True
    gate = shut(provider)
    async with working(flow) as worker:
        job_id = (await asked(flow))[0]
        await entered(provider)
        stopping = asyncio.create_task(worker.stop(grace_s=0))
        await interrupted(worker)
        gate.set()
        await stopping
    async with working(flow):
        assert (await settled(flow, job_id))["state"] == "succeeded"
    assert (len(provider.sent), provider.polled) == (1, ["ref-1"])


async def test_a_drain_before_anything_was_sent_costs_nothing(
    flow: Flow, provider: FakeProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is about to be sent is on disk, and the task is stopped before it hears of that: nothing was billed."""
    provider.billed = True
    write, noted = flow.database.write, asyncio.Event()

    async def late(unit: Callable[..., Any], *args: Any, **details: Any) -> Any:
        result = await write(unit, *args, **details)
        if unit is open_attempt and not noted.is_set():
            noted.set()
            await asyncio.Event().wait()
        return result

    monkeypatch.setattr(flow.database, "write", late)
    async with working(flow):
        job_id = (await asked(flow))[0]
        await noted.wait()
    assert provider.sent == []
    async with working(flow):
        assert (await settled(flow, job_id))["state"] == "succeeded"
    assert await wallet(flow) == (98, 0)


async def test_what_is_being_claimed_when_the_drain_begins_is_not_lost(
    flow: Flow, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The claim commits while `stop` runs: those jobs are given back, too, and not left to their leases."""
    loop, claiming = asyncio.get_running_loop(), asyncio.Event()
    claim = queue.claim

    def slow(tx: Transaction, *claimed: Any) -> list[Any]:
        taken = claim(tx, *claimed)
        if taken:
            loop.call_soon_threadsafe(claiming.set)
        return taken

    monkeypatch.setattr(queue, "claim", slow)
    await asked(flow, 3)
    worker = Worker(flow, 3)
    await worker.start()
    await claiming.wait()
    await worker.stop(grace_s=0)
    assert set(await states(flow)) <= {"ready", "succeeded"}
    assert worker.running == 0


async def test_stopping_twice_or_before_the_start_is_harmless(flow: Flow) -> None:
    worker = Worker(flow, 1)
    await worker.stop(grace_s=0)
    async with working(flow) as other:
        await other.stop(grace_s=0)
    assert flow.cancelled == []


# ---- what goes wrong in a job -------------------------------------------------------------------------------------


async def test_a_bug_of_ours_costs_tries_and_then_the_job(flow: Flow, clock: ManualClock) -> None:
    class Broken(NoFiles):
        async def finish(self, job: Claimed, finished: Finished, folder: Path) -> Delivery:
            raise RuntimeError("a bug")

    flow.studio = Broken()
    job_id = (await asked(flow))[0]
    async with working(flow) as worker:
        seen = 0
        for _ in range(2):
            seen = (await heard(flow, job_id, "job.retrying", after=seen))["id"]
            clock.advance(200)
            flow.ready.wake()
        row = await settled(flow, job_id)
        await come_to(worker, 0)
    assert (row["state"], row["attempts"]) == ("failed", 3)
    assert '"code": "broken"' in row["error"]
    assert await wallet(flow) == (100, 0)


async def test_a_settle_that_cannot_be_written_leaves_the_job_to_its_lease(
    flow: Flow, provider: FakeProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(patience, "PATIENCE_S", 0.2)
    away = Away(flow.database, monkeypatch)
    gate = shut(provider)
    async with working(flow) as worker:
        job_id = (await asked(flow))[0]
        await entered(provider)
        away.gone = True
        gate.set()
        await come_to(worker, 0)
        away.gone = False
        assert (await job_row(flow, job_id))["state"] == "running"
    assert await wallet(flow) == (98, 2)


async def test_a_database_that_is_away_for_a_moment_loses_nothing_that_was_done(
    flow: Flow, provider: FakeProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    away = Away(flow.database, monkeypatch)
    gate = shut(provider)
    async with working(flow) as worker:
        job_id = (await asked(flow))[0]
        await entered(provider)
        away.gone = True
        gate.set()
        async with asyncio.timeout(PATIENCE_S):
            while away.refused < 3:
                await asyncio.sleep(0)
        assert worker.running == 1
        away.gone = False
        row = await settled(flow, job_id)
    assert (row["state"], row["attempts"], provider.sent) == ("succeeded", 1, [job_id])
    assert await wallet(flow) == (98, 0)
