"""The queue's statements: order, lease and fence, each seen to hold and to refuse."""

import json

import pytest

from penstock.jobs import queue
from penstock.jobs.states import State
from penstock.kit.database import Row, Transaction
from penstock.ledger import service as ledger
from tests.support.sandbox import Sandbox

WORKER = "wkr_1"


@pytest.fixture
def box(box: Sandbox) -> Sandbox:
    box.do(ledger.open_wallet, "acc_1")
    return box


def insert(box: Sandbox, job_id: str, *, rank: float = 0.0, state: State = "ready", account: str = "acc_1") -> None:
    box.run(
        queue.INSERT_JOB,
        id=job_id,
        account_id=account,
        operation="echo",
        plan="free",
        product_version="v1",
        price=0,
        inputs=json.dumps({}),
        options=json.dumps({}),
        state=state,
        rank=rank,
        predicted_wait_s=None,
        cache_key=None,
        cached_from=None,
        now=box.clock.now(),
    )


def claim(box: Sandbox, slots: int = 10, worker: str = WORKER) -> list[str]:
    return [row["id"] for row in box.do(queue.claim, worker, slots)]


def finish(box: Sandbox, fence: int, ending: State) -> bool:
    return box.do(lambda tx: queue.finish(tx, "job_1", fence, ending)) is not None


def state(box: Sandbox, job_id: str) -> State:
    found: State = box.rows("SELECT state FROM jobs WHERE id = :id", id=job_id)[0]["state"]
    return found


def test_claims_come_by_rank_and_no_more_than_asked_for(box: Sandbox) -> None:
    for rank in (3, 1, 2, 5, 4):
        insert(box, f"job_{rank}", rank=rank)
    assert claim(box, 2) == ["job_1", "job_2"]
    assert claim(box, 9) == ["job_3", "job_4", "job_5"]
    assert claim(box) == []


def test_only_ready_jobs_are_claimed_and_not_before_their_time(box: Sandbox) -> None:
    insert(box, "job_waiting", state="waiting")
    insert(box, "job_later")
    insert(box, "job_now", rank=9)
    box.run("UPDATE jobs SET run_at = :at WHERE id = 'job_later'", at=box.clock.now() + 5)
    assert claim(box) == ["job_now"]
    box.clock.advance(5)
    assert claim(box) == ["job_later"]


def test_a_claim_carries_a_lease_and_a_fence_that_grows(box: Sandbox) -> None:
    insert(box, "job_1")
    first = box.do(queue.claim, WORKER, 1)[0]
    assert (first["fence"], first["attempts"], first["started_at"]) == (1, 1, box.clock.now())
    box.clock.advance(3)
    assert box.do(queue.requeue, "job_1", 1, run_at=box.clock.now())
    second = box.do(queue.claim, "wkr_2", 1)[0]
    assert (second["fence"], second["attempts"]) == (2, 2)
    assert second["started_at"] == first["started_at"]
    row = box.rows("SELECT worker, lease_until FROM jobs")[0]
    assert row == {"worker": "wkr_2", "lease_until": box.clock.now() + queue.LEASE_S}


def test_a_worker_that_lost_its_job_changes_nothing(box: Sandbox) -> None:
    insert(box, "job_1")
    claim(box)
    box.do(queue.requeue, "job_1", 1, run_at=box.clock.now())
    claim(box, worker="wkr_2")
    before = box.rows("SELECT * FROM jobs")

    assert not finish(box, 1, "succeeded")
    assert not box.do(queue.requeue, "job_1", 1, run_at=0.0)
    assert not box.do(queue.still_held, "job_1", 1)
    assert box.do(queue.renew, WORKER, [("job_1", 1)]) == {}
    assert box.run(queue.PROGRESS, id="job_1", fence=1, stage="x", progress=1.0, provider=None) == 0
    assert box.rows("SELECT * FROM jobs") == before

    assert box.do(queue.still_held, "job_1", 2)
    assert box.do(queue.renew, "wkr_2", [("job_1", 2)]) == {("job_1", 2): False}
    assert finish(box, 2, "succeeded")


def test_a_job_that_has_ended_is_not_ended_again(box: Sandbox) -> None:
    insert(box, "job_1")
    claim(box)
    assert finish(box, 1, "failed")
    for attempt in (
        lambda tx: queue.finish(tx, "job_1", 1, "succeeded"),
        lambda tx: queue.requeue(tx, "job_1", 1, run_at=0.0),
        lambda tx: queue.leave_queue(tx, "job_1", "cancelled", None),
        lambda tx: queue.still_held(tx, "job_1", 1),
    ):
        assert not box.do(attempt)
    assert state(box, "job_1") == "failed"
    assert claim(box) == []


def test_a_try_that_does_not_count_is_given_back(box: Sandbox) -> None:
    insert(box, "job_1", rank=7)
    for spent, attempts in ((False, 0), (True, 1), (True, 2), (False, 2)):
        claim(box)
        fence = box.rows("SELECT fence FROM jobs")[0]["fence"]
        assert box.do(queue.requeue, "job_1", fence, run_at=box.clock.now(), spent=spent)
        row = box.rows("SELECT state, attempts, rank, worker, lease_until FROM jobs")[0]
        assert row == {"state": "ready", "attempts": attempts, "rank": 7, "worker": None, "lease_until": None}


def test_a_job_whose_only_try_does_not_count_has_not_started(box: Sandbox) -> None:
    insert(box, "job_1")
    started = []
    for spent in (False, True, False):
        claim(box)
        began = box.clock.now()
        fence = box.rows("SELECT fence FROM jobs")[0]["fence"]
        box.do(queue.requeue, "job_1", fence, run_at=began, spent=spent)
        started.append(box.rows("SELECT started_at FROM jobs")[0]["started_at"])
        box.clock.advance(60)
    assert started == [None, began - 60, began - 60]


def test_a_job_that_is_to_be_stopped_is_not_given_back(box: Sandbox) -> None:
    insert(box, "job_1")
    claim(box)
    assert box.run(queue.REQUEST_CANCEL, id="job_1") == 1
    assert not box.do(queue.requeue, "job_1", 1, run_at=0.0)
    assert box.do(queue.renew, WORKER, [("job_1", 1)]) == {("job_1", 1): True}
    assert state(box, "job_1") == "running"


def test_a_queued_job_leaves_and_a_running_one_does_not(box: Sandbox) -> None:
    insert(box, "job_ready")
    insert(box, "job_waiting", state="waiting")
    assert box.do(queue.leave_queue, "job_waiting", "cancelled", None)
    claim(box)
    assert not box.do(queue.leave_queue, "job_ready", "cancelled", None)


def test_leases_that_ran_out_are_found_the_longest_lost_first(box: Sandbox) -> None:
    for nth in range(3):
        insert(box, f"job_{nth}")
        claim(box)
        box.clock.advance(1)
    box.clock.advance(queue.LEASE_S - 3)
    assert [row["id"] for row in box.do(queue.lost)] == []
    box.clock.advance(1.5)
    assert [row["id"] for row in box.do(queue.lost)] == ["job_0", "job_1"]
    box.do(queue.renew, WORKER, [("job_0", 1)])
    assert [row["id"] for row in box.do(queue.lost)] == ["job_1"]


def test_ended_leases_are_all_lost(box: Sandbox) -> None:
    for nth in range(3):
        insert(box, f"job_{nth}")
    claim(box, 2)
    assert box.do(queue.end_leases) == 2
    assert {row["id"] for row in box.do(queue.lost)} == {"job_0", "job_1"}


def test_as_many_are_promoted_as_there_is_room_for(box: Sandbox) -> None:
    insert(box, "job_ready")
    for nth in range(4):
        insert(box, f"job_{nth}", state="waiting", rank=10 - nth)
    insert(box, "job_other", state="waiting", account="acc_2")
    assert box.do(queue.promote, "acc_1", 1) == 0
    assert box.do(queue.promote, "acc_1", 3) == 2
    assert [state(box, f"job_{nth}") for nth in range(4)] == ["waiting", "waiting", "ready", "ready"]
    assert state(box, "job_other") == "waiting"


def test_the_table_itself_refuses_a_running_job_without_a_lease(box: Sandbox) -> None:
    insert(box, "job_1")
    for statement in ("UPDATE jobs SET state = 'running'", "UPDATE jobs SET lease_until = 1"):
        with pytest.raises(Exception, match=r"(?i)check constraint"):
            box.run(statement)


def test_the_claim_reads_its_index_in_order_and_stops(box: Sandbox) -> None:
    """Blocked work costs a claim nothing: the plan walks the partial index of ready jobs and sorts nothing.

    Not even where nearly every job was ready when the database last looked, and the index of all queued ones seems as
    good: it is not, once one customer has many that wait.
    """
    job = {"operation": "echo", "plan": "open", "product_version": "v1", "price": 1, "inputs": "{}", "options": "{}"}
    job |= {"predicted_wait_s": None, "cache_key": None, "cached_from": None, "state": "ready", "now": 0.0}
    queued = [job | {"id": f"job_{nth}", "account_id": f"acc_{nth}", "rank": float(nth)} for nth in range(1_000)]
    text = queue._FIRST_READY.replace(":now", "1").replace(":without", "','").replace(":slots", "1")

    def plan(tx: Transaction) -> list[Row]:
        tx.many(queue.INSERT_JOB, queued)
        tx.run("ANALYZE")
        return tx.all({"sqlite": "EXPLAIN QUERY PLAN", "postgresql": "EXPLAIN"}[tx.dialect] + text)

    told = " ".join(str(row.get("detail", row.get("QUERY PLAN"))) for row in box.do(plan))
    assert "ix_jobs_ready" in told
    assert "TEMP B-TREE" not in told
    assert "Sort" not in told
