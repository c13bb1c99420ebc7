"""What the tables say of a wait: jobs ahead, workers, durations, who comes, what providers can take."""

from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest

from penstock.jobs import capacity, estimate, roster
from penstock.jobs.estimate import SAMPLE_EVERY_S, SHORT_QUEUE, UNKNOWN_DURATION_S, Estimator, Waiter
from penstock.jobs.states import State
from penstock.ledger import service as ledger
from penstock.product.schema import Product
from tests.support.flows import PRODUCT, make_product
from tests.support.sandbox import Sandbox
from tests.unit.jobs.test_queue import insert

PROVIDERS = ("main", "spare")
LATE = 1e12  # a rank behind everybody


def product(slots: int = 1, **limits: int) -> Product:
    providers: dict[str, Any] = PRODUCT["providers"]
    main = providers["main"] | ({"limits": limits} if limits else {})
    return make_product(workers={"slots": slots}, providers=providers | {"main": main})


@pytest.fixture
def box() -> Iterator[Sandbox]:
    with Sandbox() as sandbox:
        for account in ("acc_1", "acc_2"):
            sandbox.do(ledger.open_wallet, account)
        yield sandbox


def expected(
    box: Sandbox, offer: Product, *, operation: str = "echo", plan: str = "open", estimator: Estimator | None = None
) -> float | None:
    waiter = Waiter("acc_2", operation, plan, LATE)
    found: float | None = box.do((estimator or Estimator()).expected, offer, PROVIDERS, waiter)
    return found


def queued(box: Sandbox, count: int, *, state: State = "ready", **columns: Any) -> None:
    """Queue jobs of somebody else, so long ago that their coming says nothing about what will come."""
    start = len(box.do(lambda tx: tx.all("SELECT 1 FROM jobs")))
    for nth in range(start, start + count):
        insert(box, f"job_{nth:05}", rank=float(nth), state=state)
        box.run("UPDATE jobs SET created_at = :at WHERE id = :id", id=f"job_{nth:05}", at=box.clock.now() - 1e9)
        for column, value in columns.items():
            box.run(f"UPDATE jobs SET {column} = :value WHERE id = :id", id=f"job_{nth:05}", value=value)


def running(box: Sandbox, count: int, worker: str) -> None:
    queued(box, count)
    box.run(
        "UPDATE jobs SET state = 'running', worker = :worker, lease_until = 1e12 WHERE state = 'ready'", worker=worker
    )


def came_true(box: Sandbox, count: int, *, predicted: float, waited: float, took: float, worker: str = "w1") -> None:
    now = box.clock.now()
    for nth in range(count):
        insert(box, f"job_old_{nth}", rank=-1.0)
        started = now - took - nth * 1_000
        box.run(
            "UPDATE jobs SET state = 'succeeded', predicted_wait_s = :predicted, created_at = :created, "
            "started_at = :started, finished_at = :finished, worker = :worker WHERE id = :id",
            id=f"job_old_{nth}",
            predicted=predicted,
            created=started - waited,
            started=started,
            finished=started + took,
            worker=worker,
        )


def test_an_empty_queue_is_no_wait(box: Sandbox) -> None:
    assert expected(box, product()) == 0.0


def test_what_is_ahead_is_waited_for(box: Sandbox) -> None:
    running(box, 2, "w1")
    queued(box, 3)
    queued(box, 3, state="waiting")
    assert expected(box, product(slots=2)) == pytest.approx(7 * UNKNOWN_DURATION_S / 2)


def test_every_worker_that_lives_brings_its_slots(box: Sandbox) -> None:
    box.do(partial(roster.seen, draining=False), "w1", 3, 0)
    box.do(partial(roster.seen, draining=False), "w2", 1, 0)
    box.do(partial(roster.seen, draining=True), "w3", 4, 0)
    running(box, 4, "w1")
    queued(box, 3)
    assert expected(box, product(slots=2)) == pytest.approx(4 * UNKNOWN_DURATION_S / 4)


def test_durations_are_learnt(box: Sandbox) -> None:
    came_true(box, 5, predicted=10, waited=10, took=3)
    queued(box, 4)
    assert expected(box, product()) == pytest.approx(4 * 3, rel=0.05)


def test_those_who_come_meanwhile_and_go_ahead_are_waited_for(box: Sandbox) -> None:
    queued(box, 4)
    assert expected(box, product()) == pytest.approx(40)
    for nth in range(45):
        insert(box, f"job_new_{nth}", rank=LATE)
    assert expected(box, product()) == pytest.approx(40 / (1 - 45 / estimate.ARRIVALS_S * UNKNOWN_DURATION_S))


def test_the_own_jobs_at_the_limit_are_waited_for(box: Sandbox) -> None:
    queued(box, 3, account_id="acc_2")
    assert expected(box, product(slots=50), plan="free") == pytest.approx(3 * UNKNOWN_DURATION_S)
    assert expected(box, product(slots=50), plan="paid") == pytest.approx(2 * UNKNOWN_DURATION_S / 2)


def test_a_provider_over_its_limit_is_waited_for_by_those_who_need_it(box: Sandbox) -> None:
    queued(box, 4)
    limited = product(slots=50, requests_per_minute=2)
    assert expected(box, limited) == pytest.approx(3 * capacity.WINDOW_S / 2)
    assert expected(box, limited, operation="twofold") == 0.0  # another one in its route has no limit


def test_room_in_tokens_is_what_requests_use_and_what_is_reserved_while_they_run(box: Sandbox) -> None:
    came_true(box, 10, predicted=5, waited=5, took=30.5)  # half of the window
    for nth, tokens in enumerate((200, 600)):
        box.run(capacity.RESERVE, job_id=f"job_old_{nth}", fence=1, provider="main", now=0.0, tokens=tokens)
        box.run(
            capacity.SETTLE_UP,
            job_id=f"job_old_{nth}",
            fence=1,
            provider="main",
            now=1.0,
            tokens=tokens,
            measured=True,
        )
    queued(box, 100)
    each = (400 + 600) / 2  # half of the time the 400 of the mean, half of the time the most, 600
    at_once, per_s = 10, (6_000 - 600 / 2) / each / capacity.WINDOW_S
    limited = product(slots=50, tokens_per_minute=6_000, tokens_each=500)
    assert expected(box, limited) == pytest.approx((101 - at_once) / per_s, rel=0.02)


def test_a_provider_that_pauses_is_waited_for(box: Sandbox) -> None:
    box.run(capacity.PAUSE, provider="main", until=box.clock.now() + 90)
    assert expected(box, product(slots=50)) == pytest.approx(90)
    assert expected(box, product(slots=50), operation="twofold") == 0.0


def test_a_range_is_learnt_from_how_predictions_came_true(box: Sandbox) -> None:
    came_true(box, 100, predicted=20, waited=40, took=5)
    low, high = box.do(Estimator().range, product(), PROVIDERS, Waiter("acc_2", "echo", "open", LATE), 4)
    assert low == pytest.approx(40, rel=0.05)
    assert high == pytest.approx(40, rel=0.05)


def test_what_was_learnt_is_used_for_a_while(box: Sandbox) -> None:
    estimator, waiter = Estimator(), Waiter("acc_2", "echo", "open", LATE)
    first = box.do(estimator.range, product(), PROVIDERS, waiter, 4)
    came_true(box, 30, predicted=10, waited=20, took=5)
    box.clock.advance(estimate.REFRESH_S - 0.1)
    assert box.do(estimator.range, product(), PROVIDERS, waiter, 4) == first
    box.clock.advance(0.2)
    assert box.do(estimator.range, product(), PROVIDERS, waiter, 4) != first


def test_of_a_long_queue_one_submit_a_second_counts(box: Sandbox) -> None:
    queued(box, SHORT_QUEUE + 1)
    estimator = Estimator()
    asked = [expected(box, product(), estimator=estimator) for _ in range(20)]
    assert [each is not None for each in asked] == [True] + [False] * 19
    box.clock.advance(SAMPLE_EVERY_S)
    assert expected(box, product(), estimator=estimator) is not None


def test_counting_stops_somewhere(box: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(estimate, "AHEAD_LIMIT", 3)
    queued(box, 9)
    assert expected(box, product()) == pytest.approx(3 * UNKNOWN_DURATION_S)


def test_a_plan_or_operation_that_is_gone_is_no_trouble(box: Sandbox) -> None:
    assert expected(box, product(), operation="gone", plan="gone") == 0.0
