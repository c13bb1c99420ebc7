"""Settle: state, money, result and event together, once, and only by whoever holds the job."""

from typing import Any

import pytest

from penstock.jobs import queue, settle
from penstock.jobs.flow import Claimed, Delivery, Flow
from penstock.jobs.settle import Ending, settle_failure, settle_success
from penstock.jobs.submit import submit
from penstock.jobs.worker import claimed
from penstock.kit.clock import ManualClock
from penstock.kit.database import Transaction
from penstock.ledger import service as ledger
from tests.support.flows import NoFiles, job_row, order, rows, wallet

DELIVERY = Delivery(output={"said": "hello"})


async def take(flow: Flow, worker: str = "wkr_1") -> list[Claimed]:
    """Claim everything that is ready."""
    found = await flow.database.write(queue.claim, worker, 10)
    return [claimed(flow.products.current(), row) for row in found]


async def one_running(flow: Flow, **asked: Any) -> Claimed:
    await submit(flow, order(flow, **asked))
    return (await take(flow))[0]


async def told(flow: Flow, job_id: str) -> list[str]:
    return [
        row["type"] for row in await rows(flow, "SELECT type FROM events WHERE job_id = :id ORDER BY id", id=job_id)
    ]


async def test_a_success_is_paid_and_told(flow: Flow, clock: ManualClock) -> None:
    job = await one_running(flow)
    clock.advance(4)
    assert await settle_success(flow, job, DELIVERY, "main")
    row = await job_row(flow, job.id)
    assert (row["state"], row["provider"], row["output"]) == ("succeeded", "main", '{"said": "hello"}')
    assert (row["finished_at"], row["lease_until"]) == (clock.now(), None)
    assert await wallet(flow) == (98, 0)
    assert await told(flow, job.id) == ["job.queued", "job.succeeded"]


@pytest.mark.parametrize("state", ["failed", "cancelled"])
async def test_a_failure_gives_the_credits_back(flow: Flow, state: str) -> None:
    job = await one_running(flow)
    assert await settle_failure(flow, job, Ending(state, {"code": "broken"}))
    row = await job_row(flow, job.id)
    assert (row["state"], row["error"]) == (state, '{"code": "broken"}')
    assert await wallet(flow) == (100, 0)
    assert await told(flow, job.id) == ["job.queued", f"job.{state}"]


async def test_a_job_ends_once(flow: Flow) -> None:
    job = await one_running(flow)
    assert await settle_success(flow, job, DELIVERY, "main")
    assert not await settle_success(flow, job, DELIVERY, "main")
    assert not await settle_failure(flow, job, Ending("failed", None))
    assert not await flow.database.write(back, flow, job)
    assert await wallet(flow) == (98, 0)
    assert await told(flow, job.id) == ["job.queued", "job.succeeded"]


def back(tx: Transaction, flow: Flow, job: Claimed, *, spent: bool = True) -> bool:
    return settle.give_back(
        tx, flow, job.id, job.account_id, job.fence, attempts=job.attempts, run_at=tx.now, spent=spent
    )


async def test_whoever_lost_the_job_settles_nothing_and_keeps_no_result(flow: Flow) -> None:
    class Shelf(NoFiles):
        def deliver(self, tx: Transaction, job: Claimed, delivery: Delivery) -> str | None:
            tx.run(
                "INSERT INTO events (account_id, job_id, type, data, created_at) VALUES ('x', :id, 'r', '{}', 0)",
                id=job.id,
            )
            return "res_1"

    flow.studio = Shelf()
    old = await one_running(flow)
    await flow.database.write(back, flow, old)
    new = (await take(flow, "wkr_2"))[0]

    assert not await settle_success(flow, old, DELIVERY, "main")
    assert not await settle_failure(flow, old, Ending("failed", None))
    assert (await job_row(flow, old.id))["state"] == "running"
    assert await rows(flow, "SELECT * FROM events WHERE account_id = 'x'") == [], "the result went with its transaction"
    assert await wallet(flow) == (98, 2)

    assert await settle_success(flow, new, DELIVERY, "main")
    assert (await job_row(flow, old.id))["result_id"] == "res_1"


async def test_the_end_of_one_lets_the_customers_next_in(flow: Flow) -> None:
    job = await one_running(flow)
    second = await submit(flow, order(flow))
    third = await submit(flow, order(flow))
    assert await take(flow) == []
    woken = flow.ready.listen()
    await settle_success(flow, job, DELIVERY, "main")
    assert woken.is_set()
    assert (await job_row(flow, second.job_id))["state"] == "ready"
    assert (await job_row(flow, third.job_id))["state"] == "waiting"


async def test_a_job_that_leaves_the_queue_lets_the_next_in(flow: Flow) -> None:
    first = await submit(flow, order(flow))
    second = await submit(flow, order(flow))
    assert await flow.database.write(settle.leave, flow, first.job_id, "acc_1", Ending("cancelled", None))
    assert not await flow.database.write(settle.leave, flow, first.job_id, "acc_1", Ending("expired", None))
    assert (await job_row(flow, second.job_id))["state"] == "ready"
    assert await wallet(flow) == (98, 2)


async def test_the_limit_of_the_next_jobs_plan_counts(flow: Flow) -> None:
    """A customer with a better plan by now: the jobs of the old plan go in as its limit allows."""
    await submit(flow, order(flow, plan="paid"))
    await submit(flow, order(flow, plan="paid"))
    waiting = await submit(flow, order(flow, plan="free"))
    first, second = await take(flow)
    await settle_success(flow, first, DELIVERY, "main")
    assert (await job_row(flow, waiting.job_id))["state"] == "waiting"
    await settle_success(flow, second, DELIVERY, "main")
    assert (await job_row(flow, waiting.job_id))["state"] == "ready"


async def test_a_job_given_back_keeps_its_hold_and_its_place(flow: Flow, clock: ManualClock) -> None:
    job = await one_running(flow)
    rank = (await job_row(flow, job.id))["rank"]
    clock.advance(9)
    assert await flow.database.write(back, flow, job)
    row = await job_row(flow, job.id)
    assert (row["state"], row["rank"], row["attempts"]) == ("ready", rank, 1)
    assert await wallet(flow) == (98, 2)
    assert (await told(flow, job.id))[-1] == "job.retrying"


@pytest.mark.parametrize("spent", [True, False])
async def test_a_job_that_is_to_be_stopped_ends_instead_of_going_back(flow: Flow, spent: bool) -> None:
    job = await one_running(flow)
    await flow.database.write(lambda tx: tx.run(queue.REQUEST_CANCEL, id=job.id))
    assert await flow.database.write(back, flow, job, spent=spent)
    assert (await job_row(flow, job.id))["state"] == "cancelled"
    assert await wallet(flow) == (100, 0)
    assert (await told(flow, job.id))[-1] == "job.cancelled"


async def test_a_failure_in_the_middle_undoes_all_of_it(flow: Flow, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError

    job = await one_running(flow)
    for name in ("capture", "release"):
        monkeypatch.setattr(ledger, name, fail)
    with pytest.raises(RuntimeError):
        await settle_success(flow, job, DELIVERY, "main")
    with pytest.raises(RuntimeError):
        await settle_failure(flow, job, Ending("failed", None))
    assert (await job_row(flow, job.id))["state"] == "running"
    assert await wallet(flow) == (98, 2)
    assert await told(flow, job.id) == ["job.queued"]
