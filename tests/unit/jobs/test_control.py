"""Cancel and retry, as a customer may ask for them at any moment."""

import pytest

from penstock.jobs.control import cancel, retry
from penstock.jobs.flow import Flow
from penstock.jobs.submit import submit
from penstock.kit.caller import Caller
from penstock.kit.errors import Problem
from tests.support.flows import fund, job_row, order, wallet

CALLER = Caller("acc_1", "free")


async def make_it(flow: Flow, job_id: str, state: str) -> None:
    lease = "lease_until = 1," if state == "running" else ""
    await flow.database.write(
        lambda tx: tx.run(f"UPDATE jobs SET {lease} state = :state WHERE id = :id", state=state, id=job_id)
    )


async def test_a_queued_job_is_cancelled_at_once(flow: Flow) -> None:
    ready, waiting = [(await submit(flow, order(flow))).job_id for _ in range(2)]
    await cancel(flow, "acc_1", waiting)
    await cancel(flow, "acc_1", ready)
    assert [(await job_row(flow, job))["state"] for job in (ready, waiting)] == ["cancelled", "cancelled"]
    assert await wallet(flow) == (100, 0)


async def test_a_running_job_is_asked_to_stop_and_its_worker_told(flow: Flow) -> None:
    told: list[str | None] = []
    flow.cancelled.append(told.append)
    job = (await submit(flow, order(flow))).job_id
    await make_it(flow, job, "running")
    await cancel(flow, "acc_1", job)
    row = await job_row(flow, job)
    assert (row["state"], row["cancel_requested"]) == ("running", 1)
    assert told == [job]


async def test_cancelling_twice_is_cancelling_once(flow: Flow) -> None:
    job = (await submit(flow, order(flow))).job_id
    await cancel(flow, "acc_1", job)
    await cancel(flow, "acc_1", job)
    assert await wallet(flow) == (100, 0)


@pytest.mark.parametrize("state", ["succeeded", "failed", "expired"])
async def test_what_has_ended_is_not_cancelled(flow: Flow, state: str) -> None:
    job = (await submit(flow, order(flow))).job_id
    await make_it(flow, job, state)
    with pytest.raises(Problem, match=state) as caught:
        await cancel(flow, "acc_1", job)
    assert caught.value.code == "wrong_state"


async def test_somebody_elses_job_is_not_there(flow: Flow) -> None:
    await fund(flow, "acc_2", 5)
    job = (await submit(flow, order(flow))).job_id
    for attempt in (cancel(flow, "acc_2", job), cancel(flow, "acc_1", "job_none")):
        with pytest.raises(Problem) as caught:
            await attempt
        assert caught.value.code == "not_found"
    with pytest.raises(Problem) as caught:
        await retry(flow, Caller("acc_2", "free"), job, None)
    assert caught.value.code == "not_found"
    assert (await job_row(flow, job))["state"] == "ready"


@pytest.mark.parametrize("state", ["failed", "expired"])
async def test_a_retry_is_a_new_job_with_the_same_wishes(flow: Flow, state: str) -> None:
    old = (await submit(flow, order(flow, words="hello"))).job_id
    await make_it(flow, old, state)
    new = await retry(flow, CALLER, old, "again")
    assert new.job_id != old
    assert (await job_row(flow, new.job_id))["inputs"] == (await job_row(flow, old))["inputs"]
    assert (await retry(flow, CALLER, old, "again")).job_id == new.job_id


@pytest.mark.parametrize("state", ["ready", "running", "succeeded"])
async def test_only_what_came_to_nothing_is_tried_again(flow: Flow, state: str) -> None:
    job = (await submit(flow, order(flow))).job_id
    await make_it(flow, job, state)
    with pytest.raises(Problem) as caught:
        await retry(flow, CALLER, job, None)
    assert caught.value.code == "wrong_state"
