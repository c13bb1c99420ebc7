"""Live events: every one, once, in order, whatever comes between."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path

import pytest

from penstock.kit.clock import ManualClock
from penstock.kit.database import Transaction
from penstock.kit.sqlite import SqliteDatabase
from penstock.notify import live
from penstock.notify.live import KEEP_EVENTS_S, Event, Hub, events_after, last_event, sweep_events
from tests.support.flows import PATIENCE_S, make_schema


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
async def database(tmp_path: Path, clock: ManualClock) -> AsyncIterator[SqliteDatabase]:
    make_schema(tmp_path / "test.sqlite3")
    opened = SqliteDatabase(tmp_path / "test.sqlite3", clock=clock, durability="normal")
    yield opened
    await opened.close()


@pytest.fixture
def hub() -> Hub:
    return Hub()


async def emit(database: SqliteDatabase, hub: Hub, nth: int, account: str = "acc_1", job: str = "job_1") -> None:
    await database.write(lambda tx: hub.emit(tx, account, job, "job.progress", {"nth": nth}))


async def take(hub: Hub, database: SqliteDatabase, count: int, after: int = 0, job: str | None = None) -> list[Event]:
    found: list[Event] = []
    async with asyncio.timeout(PATIENCE_S), aclosing(hub.follow(database, "acc_1", after, job)) as events:
        async for event in events:
            found.append(event)
            if len(found) == count:
                break
    return found


def nths(events: list[Event]) -> list[int]:
    return [event["data"]["nth"] for event in events]


async def test_what_happened_before_and_what_happens_later_come_in_order(database: SqliteDatabase, hub: Hub) -> None:
    await emit(database, hub, 1)
    following = asyncio.create_task(take(hub, database, 5))
    for nth in range(2, 6):
        await emit(database, hub, nth)
    assert nths(await following) == [1, 2, 3, 4, 5]


async def test_a_listener_resumes_where_it_left_off(database: SqliteDatabase, hub: Hub) -> None:
    for nth in range(6):
        await emit(database, hub, nth)
    first = await take(hub, database, 2)
    assert nths(await take(hub, database, 4, after=first[-1]["id"])) == [2, 3, 4, 5]


async def test_more_than_a_page_is_read_page_by_page(
    database: SqliteDatabase, hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "EVENT_PAGE", 3)
    for nth in range(10):
        await emit(database, hub, nth)
    assert nths(await take(hub, database, 10)) == list(range(10))


async def test_others_are_not_heard(database: SqliteDatabase, hub: Hub) -> None:
    await emit(database, hub, 1, account="acc_2")
    await emit(database, hub, 2, job="job_2")
    await emit(database, hub, 3)
    assert nths(await take(hub, database, 2)) == [2, 3]
    assert nths(await take(hub, database, 1, job="job_1")) == [3]


async def test_a_listener_is_woken_at_once(database: SqliteDatabase, hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    """With no poll beneath: an event committed while the listener reads, or just before it rests, is not lost."""
    monkeypatch.setattr(live, "POLL_S", None)
    following = asyncio.create_task(take(hub, database, 50))
    for nth in range(50):
        await emit(database, hub, nth)
        if nth % 7 == 0:
            await asyncio.sleep(0)
    assert nths(await following) == list(range(50))


async def test_what_another_process_wrote_is_found_by_the_poll(
    database: SqliteDatabase, hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "POLL_S", 0.001)
    following = asyncio.create_task(take(hub, database, 1))
    await asyncio.sleep(0)
    await emit(database, Hub(), 1)
    assert nths(await following) == [1]


async def test_what_is_rolled_back_was_never_said(database: SqliteDatabase, hub: Hub) -> None:
    woken = hub.listen("acc_1")

    def fail(tx: Transaction) -> None:
        hub.emit(tx, "acc_1", "job_1", "job.failed", {})
        raise KeyError

    with pytest.raises(KeyError):
        await database.write(fail)
    assert not woken.is_set()
    assert await database.read(events_after, "acc_1", 0) == []


async def test_nobody_is_remembered_who_left(database: SqliteDatabase, hub: Hub) -> None:
    await emit(database, hub, 1)
    await take(hub, database, 1)
    assert hub.followed() == []

    following = asyncio.create_task(take(hub, database, 2))
    while not hub.followed():
        await asyncio.sleep(0)
    following.cancel()
    await asyncio.wait([following])
    assert hub.followed() == []


async def test_two_listeners_of_one_account_hear_the_same(database: SqliteDatabase, hub: Hub) -> None:
    both = asyncio.gather(take(hub, database, 3), take(hub, database, 3))
    for nth in range(3):
        await emit(database, hub, nth)
    first, second = await both
    assert first == second


async def test_old_events_are_swept_in_batches_and_ids_are_never_used_again(
    database: SqliteDatabase, hub: Hub, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "SWEEP_EVENTS", 2)
    for nth in range(5):
        await emit(database, hub, nth)
    newest = await database.read(last_event, "acc_1")
    clock.advance(KEEP_EVENTS_S + 1)
    await emit(database, hub, 5)
    assert [await database.write(sweep_events) for _ in range(4)] == [2, 2, 1, 0]
    clock.advance(KEEP_EVENTS_S + 1)
    await database.write(sweep_events)
    assert await database.read(events_after, "acc_1", 0) == []
    await emit(database, hub, 6)
    assert (await database.read(events_after, "acc_1", 0))[0]["id"] == newest + 2
