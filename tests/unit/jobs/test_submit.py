"""Submit: hold, job and key in one transaction, or nothing at all."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from penstock.admission.plan_limits import DAY_S
from penstock.jobs import queue
from penstock.jobs import submit as submitting
from penstock.jobs.flow import Flow
from penstock.jobs.submit import submit
from penstock.kit.clock import ManualClock
from penstock.kit.errors import Problem
from tests.support.flows import OneProduct, fund, heard, job_row, make_product, order, rows, wallet


async def refused(flow: Flow, code: str, **asked: Any) -> Problem:
    with pytest.raises(Problem) as caught:
        await submit(flow, order(flow, **asked))
    assert caught.value.code == code
    return caught.value


async def test_a_job_is_accepted_with_its_credits_held(flow: Flow, clock: ManualClock) -> None:
    accepted = await submit(flow, order(flow, words="hello"))
    job = await job_row(flow, accepted.job_id)
    assert accepted.fresh
    assert (job["state"], job["price"], job["plan"], job["product_version"]) == ("ready", 2, "free", "v1")
    assert job["rank"] == job["created_at"] == clock.now()
    assert await wallet(flow) == (98, 2)
    assert (await heard(flow, accepted.job_id, "job.queued"))["data"] == {"operation": "echo"}


async def test_what_is_over_the_limit_waits(flow: Flow) -> None:
    states = [(await job_row(flow, (await submit(flow, order(flow))).job_id))["state"] for _ in range(3)]
    assert states == ["ready", "waiting", "waiting"]
    assert await wallet(flow) == (94, 6)


async def test_jobs_of_one_customer_are_spaced_and_a_better_plan_starts_ahead(flow: Flow, clock: ManualClock) -> None:
    spacing = flow.products.current().plans["free"].spacing_s
    ranks = [(await job_row(flow, (await submit(flow, order(flow))).job_id))["rank"] for _ in range(3)]
    assert ranks == [clock.now(), clock.now() + spacing, clock.now() + 2 * spacing]
    await fund(flow, "acc_2", 5)
    paid = await submit(flow, order(flow, "acc_2", plan="paid"))
    assert (await job_row(flow, paid.job_id))["rank"] == clock.now() - 60


async def test_too_few_credits_leave_nothing_behind(flow: Flow) -> None:
    await fund(flow, "acc_2", 1)
    problem = await refused(flow, "insufficient_credits", account_id="acc_2")
    assert "costs 2 credits and you have 1" in problem.detail
    assert {action.kind for action in problem.actions} == {"top_up", "upgrade"}
    assert await rows(flow, "SELECT id FROM jobs") == []
    assert await wallet(flow, "acc_2") == (1, 0)


async def test_a_visitor_without_credits_is_invited(flow: Flow) -> None:
    with pytest.raises(Problem) as caught:
        await submit(flow, replace(order(flow, "acc_new"), visitor=True))
    assert caught.value.code == "insufficient_credits"
    assert [action.kind for action in caught.value.actions] == ["sign_in"]


async def test_the_same_key_is_the_same_job(flow: Flow, clock: ManualClock) -> None:
    first = await submit(flow, order(flow, key="k", words="hello"))
    clock.advance(60)
    again = await submit(flow, order(flow, key="k", words="hello"))
    assert (again.job_id, again.fresh) == (first.job_id, False)
    assert await wallet(flow) == (98, 2)
    assert len(await rows(flow, "SELECT id FROM events WHERE type = 'job.queued'")) == 1


async def test_the_same_key_at_one_time_is_one_job(flow: Flow) -> None:
    accepted = await asyncio.gather(*(submit(flow, order(flow, key="k")) for _ in range(8)))
    assert len({each.job_id for each in accepted}) == 1
    assert sum(each.fresh for each in accepted) == 1


async def test_the_same_key_for_another_request_is_refused(flow: Flow) -> None:
    await submit(flow, order(flow, key="k", words="hello"))
    await refused(flow, "idempotency_mismatch", key="k", words="bye")
    assert await wallet(flow) == (98, 2)


async def test_a_key_belongs_to_its_customer(flow: Flow) -> None:
    await fund(flow, "acc_2", 5)
    first = await submit(flow, order(flow, key="k"))
    second = await submit(flow, order(flow, "acc_2", key="k"))
    assert first.job_id != second.job_id


async def test_a_key_is_answered_before_any_limit(flow: Flow) -> None:
    first = await submit(flow, order(flow, key="k"))
    for _ in range(9):
        await submit(flow, order(flow))
    await refused(flow, "plan_limit")
    assert (await submit(flow, order(flow, key="k"))).job_id == first.job_id


async def test_a_days_allowance_comes_back_when_the_first_is_a_day_old(flow: Flow, clock: ManualClock) -> None:
    for _ in range(10):
        await submit(flow, order(flow))
        clock.advance(60)
    problem = await refused(flow, "plan_limit")
    assert problem.retry_after_s == DAY_S - 600
    clock.advance(DAY_S - 600)
    await submit(flow, order(flow))
    await refused(flow, "plan_limit")


async def test_what_failed_does_not_count(flow: Flow) -> None:
    accepted = [await submit(flow, order(flow)) for _ in range(10)]
    await flow.database.write(
        lambda tx: tx.run("UPDATE jobs SET state = 'failed' WHERE id = :id", id=accepted[0].job_id)
    )
    await submit(flow, order(flow))


async def test_many_at_one_time_keep_the_allowance_exactly(flow: Flow) -> None:
    outcomes = await asyncio.gather(*(submit(flow, order(flow)) for _ in range(15)), return_exceptions=True)
    assert sum(isinstance(outcome, Problem) for outcome in outcomes) == 5
    assert len(await rows(flow, "SELECT id FROM jobs WHERE state = 'ready'")) == 1
    assert await wallet(flow) == (80, 20)


async def test_an_order_read_before_the_file_changed_is_not_taken(flow: Flow) -> None:
    old = order(flow)
    dearer = make_product()
    operation = dearer.operations["echo"].model_copy(update={"price": 50})
    flow.products = OneProduct(dearer.model_copy(update={"operations": {**dearer.operations, "echo": operation}}))
    with pytest.raises(Problem) as caught:
        await submit(flow, old)
    assert caught.value.code == "unavailable"
    assert caught.value.retry_after_s == 1.0
    assert await wallet(flow) == (100, 0)
    flow.products = OneProduct(make_product())
    await submit(flow, old)
    assert await wallet(flow) == (98, 2)


async def test_a_failure_half_way_leaves_nothing(flow: Flow, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(label: str) -> None:
        if label == "submit.keyed":
            raise RuntimeError(label)

    monkeypatch.setattr(submitting, "checkpoint", fail)
    with pytest.raises(RuntimeError):
        await submit(flow, order(flow, key="k"))
    assert await wallet(flow) == (100, 0)
    for table in ("jobs", "idempotency", "holds", "events"):
        assert await rows(flow, f"SELECT * FROM {table}") == []


async def test_workers_are_woken_by_a_job_that_is_ready_only(flow: Flow) -> None:
    woken = flow.ready.listen()
    await submit(flow, order(flow))
    assert woken.is_set()
    woken.clear()
    await submit(flow, order(flow))
    assert not woken.is_set()


async def test_a_ready_job_counts_against_the_limit_until_it_ends(flow: Flow) -> None:
    await submit(flow, order(flow))
    assert await flow.database.read(queue.active, "acc_1", 10) == 1
