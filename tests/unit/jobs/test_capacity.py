"""What providers may be asked over all processes: never more than the file says, and no less than it allows."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from penstock.jobs import capacity, queue
from penstock.jobs.flow import Claimed, Flow
from penstock.jobs.worker import Worker, claimed
from penstock.kit.clock import ManualClock
from penstock.kit.database import Transaction
from penstock.product.schema import Product
from penstock.product.schema_providers import ProviderLimits
from penstock.providers.route import BREAKER_OPEN_S
from penstock.providers.seam import Attempt, Finished, ProviderError, Request
from tests.support.flows import PATIENCE_S, PRODUCT, FakeProvider, fund, make_product, open_flow, rows, settled, working
from tests.unit.jobs.scene import Scene, bill, failing_with

EVERYTHING = {"echo", "twofold", "daring"}


def limited(**limits: int) -> Product:
    providers: dict[str, Any] = PRODUCT["providers"]
    return make_product(providers=providers | {"main": providers["main"] | {"limits": limits}})


@asynccontextmanager
async def opened(folder: Path, product: Product, *providers: FakeProvider) -> AsyncIterator[Scene]:
    clock = ManualClock()
    async with open_flow(folder, *providers, product=product, clock=clock) as flow:
        await fund(flow, "acc_1", 1_000)
        yield Scene(flow, clock, *providers)


async def states(flow: Flow) -> dict[str, int]:
    found = await rows(flow, "SELECT state, COUNT(*) AS many FROM jobs GROUP BY state")
    return {row["state"]: row["many"] for row in found}


async def test_no_more_requests_in_any_minute_than_the_file_says(tmp_path: Path) -> None:
    async with opened(tmp_path, limited(requests_per_minute=3), FakeProvider()) as scene:
        for _ in range(8):
            await scene.submit()
        sent_at: list[float] = []

        def act(_request: Request, _attempt: Attempt) -> Finished:
            sent_at.append(scene.clock.now())
            return Finished()

        scene.providers[0].act = act
        for _ in range(400):
            taken = await scene.flow.database.write(_claim_one, scene)
            if taken is not None:
                await scene.runner.run(taken)
            scene.clock.advance(1.0)

    assert len(sent_at) == 8
    assert all(later - earlier >= capacity.WINDOW_S for earlier, later in zip(sent_at, sent_at[3:], strict=False))
    assert sent_at[-1] - sent_at[0] < 3 * capacity.WINDOW_S  # and none was left unused


def _claim_one(tx: Transaction, scene: Scene) -> Claimed | None:
    """Claim as a worker does."""
    without = capacity.blocked(tx, scene.flow.products.current(), scene.flow.providers)
    found = queue.claim(tx, "wkr_1", 1, without)
    return claimed(scene.flow.products.current(), found[0]) if found else None


async def test_a_job_without_room_stays_ready_and_loses_no_try(tmp_path: Path) -> None:
    async with opened(tmp_path, limited(requests_per_minute=1), FakeProvider()) as scene:
        await scene.run()
        waiting = await scene.submit()
        row = await scene.again(waiting)  # claimed all the same, as by a worker that looked a moment too early
        assert (row["state"], row["attempts"]) == ("ready", 0)
        assert row["run_at"] == scene.clock.now() + capacity.WINDOW_S
        assert await scene.flow.database.write(_claim_one, scene) is None
        scene.clock.advance(capacity.WINDOW_S)
        assert (await scene.again(waiting))["state"] == "succeeded"


async def test_a_job_goes_to_the_next_provider_that_has_room(tmp_path: Path) -> None:
    main, spare = FakeProvider("main"), FakeProvider("spare")
    async with opened(tmp_path, limited(requests_per_minute=1), main, spare) as scene:
        for _ in range(3):
            assert (await scene.run("twofold"))["state"] == "succeeded"
    assert (len(main.sent), len(spare.sent)) == (1, 2)


async def test_two_processes_share_a_providers_concurrency(tmp_path: Path) -> None:
    now, most = 0, 0
    full = asyncio.Event()

    async def act(_request: Request, _attempt: Attempt) -> Finished:
        nonlocal now, most
        now += 1
        most = max(most, now)
        if now == 2:
            full.set()
        await full.wait()  # the first one is not done before the second has come
        for _ in range(5):
            await asyncio.sleep(0)
        now -= 1
        return Finished()

    async with open_flow(tmp_path, FakeProvider(act=act), product=limited(concurrency=2)) as flow:
        await fund(flow, "acc_1", 1_000)
        scene = Scene(flow, ManualClock())
        wanted = [await scene.submit() for _ in range(12)]
        async with working(flow, slots=6), working(flow, slots=6):
            for job_id in wanted:
                await settled(flow, job_id)
    assert most == 2


async def test_a_request_of_a_dead_worker_takes_no_room(tmp_path: Path) -> None:
    async with opened(tmp_path, limited(concurrency=1), bill(FakeProvider(), reattachable=False)) as scene:
        first = await scene.submit("daring")
        job = await scene.claim()
        await scene.flow.database.write(capacity.reserve, job.id, job.fence, "main", ProviderLimits(concurrency=1))
        assert await blocked(scene.flow) == EVERYTHING
        await scene.crash(job)
        assert await blocked(scene.flow) == set()
        assert (await scene.again(first))["state"] == "succeeded"


async def test_work_that_goes_on_at_a_provider_keeps_its_room(tmp_path: Path) -> None:
    provider = bill(FakeProvider(), reattachable=True)
    async with opened(tmp_path, limited(concurrency=1), provider) as scene:
        await scene.submit()
        job = await scene.claim()
        await scene.flow.database.write(capacity.reserve, job.id, job.fence, "main", ProviderLimits(concurrency=1))
        await scene.crash(job)
        again = await scene.claim()
        await scene.flow.database.write(capacity.carry_over, job.id, job.fence, again.fence, "main")
        assert await blocked(scene.flow) == EVERYTHING


async def blocked(flow: Flow) -> set[str]:
    return set(await flow.database.read(capacity.blocked, flow.products.current(), flow.providers))


async def test_too_many_stops_everybody_until_the_moment_it_names(tmp_path: Path) -> None:
    main, spare = FakeProvider("main"), FakeProvider("spare")
    async with opened(tmp_path, make_product(), main, spare) as scene:
        until = scene.clock.now() + 40
        main.act = failing_with(ProviderError("limited", "slow down", until=until))
        assert (await scene.run())["run_at"] >= until
        assert await blocked(scene.flow) == {"echo", "daring"}
        scene.clock.advance(41)
        assert await blocked(scene.flow) == set()


async def test_an_answer_that_used_up_what_is_left_stops_everybody_too(tmp_path: Path) -> None:
    main, spare = FakeProvider("main", billed=True), FakeProvider("spare")
    async with opened(tmp_path, make_product(), main, spare) as scene:
        until = scene.clock.now() + 4
        main.act = lambda *_: Finished(full_until=until)
        assert (await scene.run())["state"] == "succeeded"
        assert await blocked(scene.flow) == {"echo", "daring"}
        scene.clock.advance(5)
        assert await blocked(scene.flow) == set()


async def test_who_failed_too_often_counts_as_one_without_room(tmp_path: Path) -> None:
    main, spare = FakeProvider("main"), FakeProvider("spare")
    async with opened(tmp_path, make_product(), main, spare) as scene:
        main.act = failing_with(ProviderError("exhausted", "pay"))
        await scene.run()
        assert scene.runner.pausing() == {"main"}
        product = scene.flow.products.current()
        read = scene.flow.database.read
        assert set(await read(capacity.blocked, product, scene.flow.providers, {"main"})) == {"echo", "daring"}
        assert set(await read(capacity.blocked, product, scene.flow.providers, {"main", "spare"})) == EVERYTHING
        scene.clock.advance(BREAKER_OPEN_S)
        assert scene.runner.pausing() == set()


async def test_a_pause_is_never_shortened(tmp_path: Path) -> None:
    async with opened(tmp_path, make_product(), FakeProvider()) as scene:
        await scene.submit()
        job = await scene.claim()
        for pause_s in (100.0, 40.0):
            until = scene.clock.now() + pause_s
            await scene.flow.database.write(capacity.settle_up, job.id, job.fence, "main", None, until)
        scene.clock.advance(60)
        assert await blocked(scene.flow) == EVERYTHING


async def test_tokens_are_reserved_as_expected_and_corrected_to_what_was_used(tmp_path: Path) -> None:
    """Of few requests the next may use more than any, so what the file says counts until enough were measured."""
    product = limited(tokens_per_minute=1_000, tokens_each=400)
    async with opened(tmp_path, product, FakeProvider(act=lambda *_: Finished(tokens=40))) as scene:
        for _ in range(16):
            assert (await scene.run())["state"] == "succeeded"
        assert [row["tokens"] for row in await rows(scene.flow, "SELECT tokens FROM reservations")] == [40] * 16
        assert await blocked(scene.flow) == EVERYTHING  # 640 used: 400 more would be too many
        scene.clock.advance(capacity.WINDOW_S)
        for _ in range(8):
            assert (await scene.run())["state"] == "succeeded"
        scene.clock.advance(capacity.WINDOW_S)
        for _ in range(24):
            assert (await scene.run())["state"] == "succeeded"
        assert await blocked(scene.flow) == set()  # 960 used, and 40 are the most by now
        await scene.run()
        assert await blocked(scene.flow) == EVERYTHING


async def test_the_most_that_a_recent_request_used_is_reserved(tmp_path: Path) -> None:
    product, used = limited(tokens_per_minute=1_000, tokens_each=10), iter((100, 300, 200))
    async with opened(tmp_path, product, FakeProvider(act=lambda *_: Finished(tokens=next(used)))) as scene:
        for _ in range(3):
            await scene.run()
        scene.clock.advance(capacity.WINDOW_S)  # out of the window, not forgotten
        await scene.flow.database.write(capacity.forget_old)
        await scene.submit()
        job = await scene.claim()
        limits = ProviderLimits(tokens_per_minute=1_000, tokens_each=10)
        await scene.flow.database.write(capacity.reserve, job.id, job.fence, "main", limits)
        reserved = await rows(scene.flow, "SELECT tokens FROM reservations WHERE done_at IS NULL")
        assert [row["tokens"] for row in reserved] == [300]


async def test_a_request_larger_than_the_minute_goes_alone(tmp_path: Path) -> None:
    product = limited(tokens_per_minute=1_000, tokens_each=400)
    async with opened(tmp_path, product, FakeProvider(act=lambda *_: Finished(tokens=5_000))) as scene:
        assert (await scene.run())["state"] == "succeeded"
        waiting = await scene.submit()
        assert (await scene.again(waiting))["state"] == "ready"
        scene.clock.advance(capacity.WINDOW_S)
        assert (await scene.again(waiting))["state"] == "succeeded"


async def test_high_use_is_said_once_when_it_is_reached(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[tuple[str, dict[str, Any]]] = []
    log = SimpleNamespace(warning=lambda event, **about: said.append((event, about)))
    monkeypatch.setattr(capacity, "log", log)
    async with opened(tmp_path, limited(requests_per_minute=5), FakeProvider()) as scene:
        for _ in range(5):
            await scene.run()
    assert said == [("provider.capacity_high", {"provider": "main", "limit": "requests_per_minute", "share": 0.8})]


async def test_old_reservations_are_forgotten_but_not_what_is_under_way(tmp_path: Path) -> None:
    async with opened(tmp_path, limited(requests_per_minute=5), FakeProvider()) as scene:
        await scene.run()
        await scene.submit()
        job = await scene.claim()
        await scene.flow.database.write(capacity.reserve, job.id, job.fence, "main", ProviderLimits(concurrency=5))
        scene.clock.advance(capacity.KEPT_S + 1)
        assert await scene.flow.database.write(capacity.forget_old) == 1
        assert [row["job_id"] for row in await rows(scene.flow, "SELECT job_id FROM reservations")] == [job.id]


async def test_at_twice_the_capacity_the_provider_refuses_nobody(tmp_path: Path) -> None:
    """A provider that counts for itself, in a sliding minute, and two workers that want twice what it allows.

    Time stands still while a request is on its way: what takes long to arrive is another matter.
    """
    clock, chance, refused = ManualClock(), random.Random(7), 0
    seen: list[float] = []

    def act(_request: Request, _attempt: Attempt) -> Finished:
        nonlocal refused
        now = clock.now()
        refused += len([at for at in seen if at > now - 60]) >= 10
        seen.append(now)
        return Finished()

    def go_on(tx: Transaction, seconds: float) -> bool:
        arrived = int(tx.value("SELECT COUNT(*) FROM reservations")) == len(seen)
        if arrived:
            clock.advance(seconds)  # within a transaction: nobody reserves meanwhile
        return arrived

    async with open_flow(tmp_path, FakeProvider(act=act), product=limited(requests_per_minute=10), clock=clock) as flow:
        await fund(flow, "acc_1", 1_000)
        scene = Scene(flow, clock)
        workers = [Worker(flow, 4), Worker(flow, 4)]
        for worker in workers:
            await worker.start()
        for _ in range(60):
            await scene.submit()
            flow.ready.wake()
            async with asyncio.timeout(PATIENCE_S):
                while not await flow.database.write(go_on, chance.uniform(1, 5)):
                    pass
        for worker in workers:
            await worker.stop(grace_s=1)
    assert refused == 0
    assert len(seen) >= 25
