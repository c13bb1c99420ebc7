"""Maintenance: what crashes left behind is mended, once, by whoever comes by; and nobody who lives is robbed."""

import asyncio

import pytest

from penstock.jobs import maintenance, queue
from penstock.jobs.attempts import note_reference, open_attempt
from penstock.jobs.flow import Claimed, Flow
from penstock.jobs.maintenance import (
    IDEMPOTENCY_S,
    MAX_QUEUED_S,
    STALE_HOLD_S,
    Chore,
    Maintenance,
    mend,
)
from penstock.jobs.submit import submit
from penstock.jobs.worker import claimed
from penstock.kit.clock import ManualClock
from penstock.kit.database import DatabaseUnavailableError, Transaction
from penstock.ledger import service as ledger
from penstock.ledger.service import Grant
from penstock.product.schema import Product
from tests.support.flows import FakeProvider, OneProduct, heard, job_row, order, rows, wallet


async def running(flow: Flow, count: int = 1) -> list[Claimed]:
    """Submit and claim jobs."""
    for _ in range(count):
        await submit(flow, order(flow, plan="open"))
    taken = await flow.database.write(queue.claim, "wkr_dead", 10)
    return [claimed(flow.products.current(), row) for row in taken]


async def outlast_a_lease(clock: ManualClock, maintaining: Maintenance) -> int:
    """Let a lease run out with a look in between, as maintenance does every few seconds."""
    mended = 0
    for _ in range(2):
        clock.advance(queue.LEASE_S / 2 + 1)
        mended += await maintaining.mend_lost()
    return mended


# ---- lost leases --------------------------------------------------------------------------------------------------


async def test_a_lost_job_goes_back_to_its_place(flow: Flow, clock: ManualClock) -> None:
    job = (await running(flow))[0]
    rank = (await job_row(flow, job.id))["rank"]
    woken = flow.ready.listen()
    assert await outlast_a_lease(clock, Maintenance(flow)) == 1
    row = await job_row(flow, job.id)
    assert (row["state"], row["rank"], row["attempts"], row["worker"]) == ("ready", rank, 1, None)
    assert woken.is_set()
    assert await heard(flow, job.id, "job.retrying")
    assert await wallet(flow) == (98, 2)


async def test_a_lease_that_still_runs_is_left_alone(flow: Flow, clock: ManualClock) -> None:
    maintaining = Maintenance(flow)
    job = (await running(flow))[0]
    clock.advance(queue.LEASE_S)
    assert await maintaining.mend_lost() == 0
    assert (await job_row(flow, job.id))["state"] == "running"


async def test_a_job_lost_at_its_last_try_fails(flow: Flow, clock: ManualClock) -> None:
    job = (await running(flow))[0]
    await flow.database.write(lambda tx: tx.run("UPDATE jobs SET attempts = 3"))
    assert await outlast_a_lease(clock, Maintenance(flow)) == 1
    assert (await job_row(flow, job.id))["state"] == "failed"
    assert await wallet(flow) == (100, 0)


@pytest.mark.parametrize("attempts", [1, 3])
async def test_a_lost_job_that_was_to_be_stopped_is_cancelled(flow: Flow, clock: ManualClock, attempts: int) -> None:
    """At its last try too: that it was lost is not what its customer asked for."""
    job = (await running(flow))[0]
    await flow.database.write(lambda tx: tx.run("UPDATE jobs SET attempts = :attempts", attempts=attempts))
    await flow.database.write(lambda tx: tx.run(queue.REQUEST_CANCEL, id=job.id))
    await outlast_a_lease(clock, Maintenance(flow))
    assert (await job_row(flow, job.id))["state"] == "cancelled"
    assert await wallet(flow) == (100, 0)


@pytest.mark.parametrize("ending", ["cancelled", "failed", "ready"])
async def test_the_work_of_a_lost_job_is_stopped_at_its_provider_where_nobody_will_wait_for_it(
    flow: Flow, provider: FakeProvider, clock: ManualClock, ending: str
) -> None:
    job = (await running(flow))[0]
    await flow.database.write(open_attempt, job, "main")
    await flow.database.write(note_reference, job, "main", "ref-1")
    if ending == "cancelled":
        await flow.database.write(lambda tx: tx.run(queue.REQUEST_CANCEL, id=job.id))
    if ending == "failed":
        await flow.database.write(lambda tx: tx.run("UPDATE jobs SET attempts = 3"))
    await outlast_a_lease(clock, Maintenance(flow))
    assert (await job_row(flow, job.id))["state"] == ending
    assert provider.cancelled == ([] if ending == "ready" else ["ref-1"])


async def test_a_customer_who_cancels_between_look_and_mend_is_heard(flow: Flow, clock: ManualClock) -> None:
    job = (await running(flow))[0]
    clock.advance(queue.LEASE_S + 1)
    found = (await flow.database.read(queue.lost))[0]
    await flow.database.write(lambda tx: tx.run(queue.REQUEST_CANCEL, id=job.id))
    assert await flow.database.write(mend, flow, found)
    assert (await job_row(flow, job.id))["state"] == "cancelled"


async def test_two_who_mend_mend_once(flow: Flow, clock: ManualClock) -> None:
    await running(flow)
    clock.advance(queue.LEASE_S + 1)
    found = (await flow.database.read(queue.lost))[0]
    assert await flow.database.write(mend, flow, found)
    assert not await flow.database.write(mend, flow, found)
    await flow.database.write(queue.claim, "wkr_2", 1)
    assert not await flow.database.write(mend, flow, found), "somebody holds it by now, under another fence"


async def test_a_worker_that_renews_before_the_mend_keeps_its_job(flow: Flow, clock: ManualClock) -> None:
    job = (await running(flow))[0]
    clock.advance(queue.LEASE_S + 1)
    found = (await flow.database.read(queue.lost))[0]
    assert await flow.database.write(queue.renew, "wkr_dead", [(job.id, job.fence)])
    assert not await flow.database.write(mend, flow, found)
    assert (await job_row(flow, job.id))["state"] == "running"


async def test_after_a_sleep_of_the_machine_living_workers_get_one_lease_to_renew(
    flow: Flow, clock: ManualClock
) -> None:
    maintaining = Maintenance(flow)
    await running(flow)
    clock.advance(8 * 3_600)
    assert await maintaining.mend_lost() == 0
    clock.advance(queue.LEASE_S / 2)
    assert await maintaining.mend_lost() == 0
    clock.advance(queue.LEASE_S / 2)
    assert await maintaining.mend_lost() == 1


async def test_a_clock_that_is_set_back_does_not_stop_the_mending_for_long(flow: Flow, clock: ManualClock) -> None:
    """The clock was a day ahead and is set right: what it said while it was wrong must not count."""
    maintaining = Maintenance(flow)
    await running(flow)
    clock.advance(86_400)
    assert await maintaining.mend_lost() == 0
    clock._now -= 86_400 - queue.LEASE_S
    assert await maintaining.mend_lost() == 0
    assert await outlast_a_lease(clock, maintaining) == 1


async def test_a_job_whose_product_file_cannot_be_read_fails_and_holds_up_nobody(
    flow: Flow, clock: ManualClock
) -> None:
    class Gone(OneProduct):
        def at(self, tx: Transaction, version: str) -> Product:
            if version == "gone":
                raise LookupError(version)
            return self.product

    bad, good = await running(flow, 2)
    await flow.database.write(lambda tx: tx.run("UPDATE jobs SET product_version = 'gone' WHERE id = :id", id=bad.id))
    flow.products = Gone(flow.products.current())
    assert await outlast_a_lease(clock, Maintenance(flow)) == 2
    assert (await job_row(flow, bad.id))["state"] == "failed"
    assert (await job_row(flow, good.id))["state"] == "ready"


async def test_one_that_cannot_be_mended_holds_up_nobody(
    flow: Flow, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad, good = await running(flow, 2)
    mending = mend

    def fail(tx: Transaction, flow: Flow, job: dict[str, object]) -> bool:
        if job["id"] == bad.id:
            raise RuntimeError("a bug")
        return mending(tx, flow, job)

    monkeypatch.setattr(maintenance, "mend", fail)
    await outlast_a_lease(clock, Maintenance(flow))
    assert (await job_row(flow, good.id))["state"] == "ready"
    assert (await job_row(flow, bad.id))["state"] == "running"


# ---- what waited too long -----------------------------------------------------------------------------------------


async def test_what_never_had_its_turn_expires_with_its_credits_back(flow: Flow, clock: ManualClock) -> None:
    maintaining = Maintenance(flow)
    jobs = [(await submit(flow, order(flow))).job_id for _ in range(3)]
    clock.advance(MAX_QUEUED_S)
    assert await maintaining.expire_queued() == 0
    clock.advance(1)
    assert await maintaining.expire_queued() == 3
    for job_id in jobs:
        row = await job_row(flow, job_id)
        assert row["state"] == "expired"
        assert "credits are back" in row["error"]
        assert await heard(flow, job_id, "job.expired")
    assert await wallet(flow) == (100, 0)


async def test_what_runs_does_not_expire(flow: Flow, clock: ManualClock) -> None:
    job = (await running(flow))[0]
    clock.advance(MAX_QUEUED_S + 1)
    assert await Maintenance(flow).expire_queued() == 0
    assert (await job_row(flow, job.id))["state"] == "running"


# ---- stale holds --------------------------------------------------------------------------------------------------


async def stale_hold(flow: Flow, job_id: str, account: str = "acc_1") -> None:
    def hold(tx: Transaction) -> None:
        ledger.hold(tx, ledger.lock(tx, account), job_id, 5, "Left behind by a bug")

    await flow.database.write(hold)


async def test_a_hold_without_a_job_is_given_back_in_time(flow: Flow, clock: ManualClock) -> None:
    maintaining = Maintenance(flow)
    await stale_hold(flow, "job_gone")
    await submit(flow, order(flow))
    clock.advance(STALE_HOLD_S)
    assert await maintaining.release_stale() == 0
    clock.advance(1)
    assert await maintaining.release_stale() == 1
    assert await wallet(flow) == (98, 2)
    assert await maintaining.release_stale() == 0


@pytest.mark.parametrize("died_at", [1, 2, 3])
async def test_being_killed_between_two_holds_only_leaves_the_others_for_later(
    flow: Flow, clock: ManualClock, monkeypatch: pytest.MonkeyPatch, died_at: int
) -> None:
    """The point `maintenance.released`, which no healthy scenario comes by."""
    for nth in range(3):
        await stale_hold(flow, f"job_{nth}")
    clock.advance(STALE_HOLD_S + 1)
    passed = 0

    def die(label: str) -> None:
        nonlocal passed
        passed += label == "maintenance.released"
        if passed == died_at:
            raise DatabaseUnavailableError("killed")

    monkeypatch.setattr(maintenance, "checkpoint", die)
    with pytest.raises(DatabaseUnavailableError):
        await Maintenance(flow).release_stale()
    assert await wallet(flow) == (85 + 5 * died_at, 15 - 5 * died_at)
    monkeypatch.setattr(maintenance, "checkpoint", lambda label: None)
    assert await Maintenance(flow).release_stale() == 3 - died_at
    assert await wallet(flow) == (100, 0)


# ---- the rest -----------------------------------------------------------------------------------------------------


async def test_keys_events_and_credits_have_their_time(flow: Flow, clock: ManualClock) -> None:
    maintaining = Maintenance(flow)
    await submit(flow, order(flow, key="k"))
    await flow.database.write(ledger.grant, "acc_1", Grant(7, "plan", "plan/1", "For testing", clock.now() + 60))
    chores = {chore.name: chore for chore in maintaining.chores}
    for chore in ("old keys", "expired credits", "old events"):
        assert await chores[chore].do() == 0
    clock.advance(4 * IDEMPOTENCY_S)
    for chore in ("old keys", "expired credits", "old events"):
        assert await chores[chore].do() == 1
    assert await rows(flow, "SELECT * FROM idempotency") == []
    assert await wallet(flow) == (98, 2)


async def test_chores_are_done_at_once_and_again_and_again_whatever_one_of_them_raises(
    flow: Flow, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[int] = []
    enough = asyncio.Event()

    async def fail_sometimes() -> int:
        done.append(len(done))
        if len(done) == 6:
            enough.set()
        if len(done) % 3 == 1:
            raise RuntimeError("a bug")
        if len(done) % 3 == 2:
            raise DatabaseUnavailableError("full")
        return 1

    maintaining = Maintenance(flow, extra=(Chore("mine", 0.0, fail_sometimes),))
    maintaining.start()
    async with asyncio.timeout(20):
        await enough.wait()
    await maintaining.stop()
    await flow.database.close()  # a unit that was begun goes on to its end, whoever has stopped
    assert len(asyncio.all_tasks()) == 1


async def test_stopping_before_the_start_is_harmless(flow: Flow) -> None:
    await Maintenance(flow).stop()
