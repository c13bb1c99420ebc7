"""Turns: each chore is done by one process at a time, again when it is due, and by another where one dies at it."""

import asyncio
from collections.abc import Callable

import pytest

from penstock.jobs import turns
from penstock.jobs.flow import Flow
from penstock.jobs.maintenance import Chore, Maintenance
from penstock.kit.database import Transaction
from tests.support.flows import PATIENCE_S, rows
from tests.support.sandbox import Sandbox

HOUR = 3_600.0


def later(box: Sandbox, seconds: float) -> None:
    """Let time pass for the database's clock."""
    box.run("UPDATE chores SET due_at = due_at - :seconds, done_at = done_at - :seconds", seconds=seconds)


def test_one_takes_the_turn_and_the_others_see_when_it_is_due(box: Sandbox) -> None:
    assert box.do(turns.due_in, "sweep") == 0
    assert box.do(turns.take, "sweep", "one", HOUR)
    assert not box.do(turns.take, "sweep", "two", HOUR)
    assert box.do(turns.due_in, "sweep") == pytest.approx(turns.TURN_S, abs=5)
    assert box.do(turns.take, "other", "two", HOUR), "each chore has its own"

    box.do(turns.finish, "sweep", "one", HOUR, 7)
    assert box.do(turns.due_in, "sweep") == pytest.approx(HOUR, abs=5)
    assert not box.do(turns.take, "sweep", "two", HOUR)
    assert box.do(turns.last_found, "sweep") == 7

    later(box, HOUR)
    assert box.do(turns.due_in, "sweep") <= 0
    assert box.do(turns.take, "sweep", "two", HOUR)


def test_the_turn_of_one_that_died_runs_out(box: Sandbox) -> None:
    box.do(turns.take, "sweep", "dead", HOUR)
    later(box, turns.TURN_S - 5)
    assert not box.do(turns.take, "sweep", "two", HOUR)
    later(box, 5)
    assert box.do(turns.take, "sweep", "two", HOUR)
    assert not box.do(turns.keep, "sweep", "dead"), "it was not dead after all, and hears that it has lost its turn"
    box.do(turns.finish, "sweep", "dead", 0, 1)
    assert not box.do(turns.take, "sweep", "three", HOUR), "nor does it give away what is not its own"


def test_whoever_takes_long_keeps_the_turn(box: Sandbox) -> None:
    box.do(turns.take, "sweep", "one", HOUR)
    for _ in range(5):
        later(box, turns.TURN_S - 5)
        assert box.do(turns.keep, "sweep", "one")
        assert not box.do(turns.take, "sweep", "two", HOUR)


def test_one_that_came_to_no_end_leaves_what_was_found_before(box: Sandbox) -> None:
    box.do(turns.take, "sweep", "one", HOUR)
    box.do(turns.finish, "sweep", "one", 0, 3)
    [before] = box.rows("SELECT done_at FROM chores")
    box.do(turns.take, "sweep", "one", HOUR)
    box.do(turns.finish, "sweep", "one", HOUR, None)
    assert box.do(turns.last_found, "sweep") == 3
    assert box.rows("SELECT done_at FROM chores") == [before]


def test_a_clock_that_was_set_back_stops_no_chore(box: Sandbox) -> None:
    box.do(turns.take, "sweep", "one", HOUR)
    box.do(turns.finish, "sweep", "one", HOUR, 0)
    later(box, -1_000_000)
    assert box.do(turns.take, "sweep", "two", HOUR)


# ---- as maintenance takes them ------------------------------------------------------------------------------------


class Counted:
    """A chore that counts how often it is done, and by how many at one time."""

    def __init__(self) -> None:
        self.done = self.at_it = self.most = 0
        self.gate: asyncio.Event | None = None
        self.news = asyncio.Event()

    async def do(self) -> int:
        self.at_it += 1
        self.most = max(self.most, self.at_it)
        self.news.set()
        try:
            if self.gate is not None:
                await self.gate.wait()
            await asyncio.sleep(0)
            self.done += 1
            self.news.set()
        finally:
            self.at_it -= 1
        return 0

    async def until(self, holds: Callable[[], bool]) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while not holds():
                self.news.clear()
                await self.news.wait()


def maintained(flow: Flow, chore: Chore, count: int) -> list[Maintenance]:
    """As many maintenances as there would be processes, with one chore each."""
    made = [Maintenance(flow) for _ in range(count)]
    for each in made:
        each.chores = (chore,)
    return made


async def test_many_processes_do_a_chore_once(flow: Flow) -> None:
    counted = Counted()
    processes = maintained(flow, Chore("sweep", HOUR, counted.do), 5)
    pauses = [await each._turn(Chore("sweep", HOUR, counted.do)) for each in processes]
    assert counted.done == 1
    assert pauses == [pytest.approx(HOUR, abs=5)] * 5


async def test_never_two_at_one_time(flow: Flow) -> None:
    counted = Counted()
    processes = maintained(flow, Chore("sweep", 0.0, counted.do), 4)
    for each in processes:
        each.start()
    await counted.until(lambda: counted.done >= 10)
    await asyncio.gather(*(each.stop() for each in processes))
    assert counted.most == 1


async def test_one_that_stops_hands_over_at_once(flow: Flow) -> None:
    counted = Counted()
    counted.gate = asyncio.Event()
    first, second = maintained(flow, Chore("sweep", HOUR, counted.do), 2)
    first.start()
    await counted.until(lambda: counted.at_it == 1)
    await first.stop()
    counted.gate.set()
    second.start()
    await counted.until(lambda: counted.done == 1)
    await second.stop()


async def test_a_long_chore_keeps_its_turn_and_one_that_lost_it_stops(
    flow: Flow, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turns, "TURN_S", 0.03)
    kept = 0
    lost = asyncio.Event()
    keep = turns.keep

    def count(tx: Transaction, name: str, holder: str) -> bool:
        nonlocal kept
        kept += 1
        return keep(tx, name, holder) and kept < 4

    monkeypatch.setattr(turns, "keep", count)

    async def endless() -> int:
        try:
            await asyncio.Event().wait()
        finally:
            lost.set()
        return 1

    [one] = maintained(flow, Chore("sweep", HOUR, endless), 1)
    async with asyncio.timeout(PATIENCE_S):
        await one._turn(Chore("sweep", HOUR, endless))
    assert (kept, lost.is_set()) == (4, True)


async def test_a_process_that_only_serves_does_only_its_own(flow: Flow) -> None:
    mine, all_of_us = Counted(), Counted()
    maintaining = Maintenance(flow)
    maintaining.chores = (
        Chore("mine", HOUR, mine.do, everywhere=True),
        Chore("all of us", HOUR, all_of_us.do),
    )
    maintaining.start(shared=False)
    assert [task.get_name() for task in maintaining._tasks] == ["mine"]
    await mine.until(lambda: mine.done == 1)
    await maintaining.stop()
    assert all_of_us.done == 0
    assert await rows(flow, "SELECT name FROM chores") == []
