"""The roster: who works is seen, who ends is gone, who dies is silent and then forgotten."""

import os
import socket

from penstock.jobs import queue, roster
from penstock.jobs.flow import Flow
from penstock.jobs.worker import Worker
from penstock.kit.clock import ManualClock
from tests.support.flows import FakeProvider, working
from tests.unit.jobs.test_worker import asked, entered, shut


async def everybody(flow: Flow) -> list[roster.Entry]:
    return await flow.database.read(roster.everybody)


async def test_a_worker_is_listed_while_it_works(flow: Flow, provider: FakeProvider, clock: ManualClock) -> None:
    gate = shut(provider)
    async with working(flow, slots=3) as worker:
        [begun] = await everybody(flow)
        await asked(flow, 2)
        await entered(provider, 2)
        clock.advance(5)
        await worker.heartbeat()
        [seen] = await everybody(flow)
        gate.set()
    assert (begun.name, begun.host, begun.pid) == (worker.name, socket.gethostname(), os.getpid())
    assert (begun.slots, begun.running, begun.state) == (3, 0, "working")
    assert (seen.running, seen.seen_at - seen.started_at) == (2, 5)
    assert await everybody(flow) == [], "who ends takes its row away"


async def test_one_that_gives_back_its_work_is_draining(flow: Flow, provider: FakeProvider) -> None:
    shut(provider)
    worker = Worker(flow, 1)
    await worker.start()
    worker.draining = True
    await worker.heartbeat()
    [entry] = await everybody(flow)
    alive = await flow.database.read(roster.alive)
    await worker.stop(grace_s=0)
    assert (entry.state, alive) == ("draining", roster.Alive(0, 0))


async def test_one_that_dies_is_silent_and_then_forgotten(flow: Flow, clock: ManualClock) -> None:
    await flow.database.write(roster.seen, "wkr_dead", 4, 4, draining=False)
    clock.advance(queue.LEASE_S)
    await flow.database.write(roster.seen, "wkr_lives", 2, 0, draining=False)
    assert [entry.state for entry in await everybody(flow)] == ["silent", "working"]
    assert await flow.database.read(roster.alive) == roster.Alive(1, 2)
    assert await flow.database.write(roster.forget_silent) == 0
    clock.advance(roster.FORGET_S - queue.LEASE_S + 1)
    assert await flow.database.write(roster.forget_silent) == 1
    assert [entry.name for entry in await everybody(flow)] == ["wkr_lives"]


async def test_a_pool_grows_with_the_queue_and_the_roster_tells(
    flow: Flow, provider: FakeProvider, clock: ManualClock
) -> None:
    gate = shut(provider)
    worker = Worker(flow, 8, 1)
    jobs = await asked(flow, 8)
    await worker.start()
    began = worker.slots
    for running in (2, 4, 8):
        await entered(provider, running)
        clock.advance(1)
        flow.ready.wake()
    await worker.heartbeat()
    [entry] = await everybody(flow)
    gate.set()
    await worker.stop(grace_s=20)
    assert began <= 2
    assert (entry.slots, entry.running) == (8, 8)
    assert sorted(provider.sent) == sorted(jobs)
