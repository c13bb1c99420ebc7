"""Attempts: what bills is written down before it is sent, found again after a crash, and never paid twice."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from penstock.jobs.attempts import note_reference, open_attempt
from penstock.jobs.flow import Claimed, Delivery
from penstock.jobs.queue import FencedError
from penstock.providers.seam import (
    Attempt,
    FailureKind,
    Finished,
    ProviderError,
    Request,
    Running,
)
from tests.support.flows import (
    NoFiles,
    rows,
    wallet,
)
from tests.unit.jobs.scene import DONE, Scene, bill, failing

# ---- attempts and resuming ----------------------------------------------------------------------------------------


async def test_what_bills_is_written_down_before_it_is_sent(scene: Scene) -> None:
    main, _ = scene.providers
    seen: list[Any] = []

    async def look(request: Request, attempt: Attempt) -> Finished:
        seen.extend(await scene.attempts())
        return DONE

    bill(main).act = look
    await scene.run()
    assert seen == [("main", "sending", None, None)]
    assert await scene.attempts() == [("main", "finished", None, 700)]


async def test_what_a_failure_cost_is_written_down_too(scene: Scene) -> None:
    main, _ = scene.providers
    bill(main).act = failing("refused", cost_microdollars=340, cost_estimated=True, tokens=12)
    await scene.run()
    (row,) = await rows(scene.flow, "SELECT * FROM attempts")
    assert (row["state"], row["cost_microdollars"], bool(row["cost_estimated"]), row["tokens"]) == (
        "failed",
        340,
        True,
        12,
    )


async def test_a_result_that_proves_bad_keeps_what_it_cost(scene: Scene) -> None:
    class Picky(NoFiles):
        async def finish(self, job: Claimed, finished: Finished, folder: Path) -> Delivery:
            raise ProviderError("broken", "a blank picture")

    scene.flow.studio = Picky()
    main, _ = scene.providers
    bill(main).act = lambda *_: Finished(cost_microdollars=5, cost_estimated=True, tokens=7)
    await scene.run()
    (row,) = await rows(scene.flow, "SELECT * FROM attempts")
    assert (row["failure"], row["cost_microdollars"], bool(row["cost_estimated"]), row["tokens"]) == (
        "broken",
        5,
        True,
        7,
    )


async def test_work_that_is_gone_is_not_looked_for_again_nor_sent_again(scene: Scene) -> None:
    main, spare = scene.providers
    bill(main, reattachable=True)
    main.looks = [ProviderError("transient", "a blip"), ProviderError("unknown", "gone", final=True)]
    row = await scene.run("twofold")
    assert (row["state"], len(main.sent), spare.sent, len(main.polled)) == ("failed", 1, [], 2)
    assert await scene.attempts() == [("main", "failed", "unknown", None)]
    assert await wallet(scene.flow) == (1_000, 0)


async def test_a_provider_that_wants_to_be_left_alone_is(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    paused: list[float] = []

    async def sleep(seconds: float) -> None:
        paused.append(seconds)

    monkeypatch.setattr("penstock.jobs.run.asyncio.sleep", sleep)
    main, _ = scene.providers
    bill(main, reattachable=True)
    busy = ProviderError("limited", "slowly", until=scene.clock.now() + 7)
    main.looks = [Running("rendering", pause_s=10.0), busy, DONE]
    assert (await scene.run())["state"] == "succeeded"
    assert [seconds for seconds in paused if seconds > 1] == [10.0, 7.0]


async def test_whoever_lost_the_job_does_not_send_it(scene: Scene) -> None:
    main, _ = scene.providers
    bill(main)
    await scene.submit()
    old = await scene.claim()
    await scene.crash(old)
    await scene.claim()
    with pytest.raises(FencedError):
        await scene.runner.run(old)
    assert main.sent == []


async def test_work_that_was_handed_over_is_polled_and_not_sent_again(scene: Scene) -> None:
    main, _ = scene.providers
    bill(main, reattachable=True)
    main.looks = [Running("rendering", 0.5)] * 3
    row = await scene.run()
    assert row["state"] == "succeeded"
    assert main.polled == [f"ref-{row['id']}-1"] * 4


@pytest.mark.parametrize("kind", ["transient", "limited", "unknown"])
async def test_a_look_that_fails_in_passing_is_repeated(scene: Scene, kind: FailureKind) -> None:
    main, spare = scene.providers
    bill(main, reattachable=True)
    main.looks = [ProviderError(kind, "a blip"), Running("rendering"), ProviderError(kind, "another"), DONE]
    row = await scene.run("twofold")
    assert (row["state"], len(main.sent), spare.sent) == ("succeeded", 1, [])


async def test_a_look_that_says_it_failed_ends_the_attempt(scene: Scene) -> None:
    main, _ = scene.providers
    bill(main, reattachable=True)
    main.looks = [ProviderError("broken", "out of memory")]
    row = await scene.run("twofold")
    assert (row["state"], row["provider"]) == ("succeeded", "spare")
    assert await scene.attempts() == [("main", "failed", "broken", None)]


async def interrupted(scene: Scene, operation: str = "echo") -> str:
    """Let the worker die while the provider is at work; returns the job."""
    main = scene.providers[0]
    job_id = await scene.submit(operation)
    job = await scene.claim()
    main.gate = asyncio.Event()
    running = asyncio.create_task(scene.runner.run(job))
    await main.entered.wait()
    running.cancel()
    await asyncio.wait([running])
    main.gate = None
    await scene.crash(job)
    return job_id


async def test_after_a_crash_what_bills_nothing_is_simply_sent_again(scene: Scene) -> None:
    job_id = await interrupted(scene)
    assert (await scene.again(job_id))["state"] == "succeeded"
    assert len(scene.providers[0].sent) == 2


async def test_after_a_crash_what_was_perhaps_billed_is_not_sent_again(scene: Scene) -> None:
    bill(scene.providers[0])
    row = await scene.again(await interrupted(scene))
    assert row["state"] == "failed"
    assert '"code": "unknown"' in row["error"]
    assert len(scene.providers[0].sent) == 1
    assert await scene.attempts() == [("main", "failed", "unknown", None)]
    assert await wallet(scene.flow) == (1_000, 0)


async def test_after_a_crash_a_second_charge_is_made_where_it_is_allowed(scene: Scene) -> None:
    bill(scene.providers[0])
    row = await scene.again(await interrupted(scene, "daring"))
    assert row["state"] == "succeeded"
    assert await scene.attempts() == [("main", "failed", "unknown", None), ("main", "finished", None, 700)]


@pytest.mark.parametrize("operation", ["echo", "twofold"])
async def test_the_outcome_stays_unknown_when_the_next_worker_dies_too(scene: Scene, operation: str) -> None:
    """The row that says so was committed; the job's end was not. Nobody takes that for a failure that costs nothing."""
    main, spare = scene.providers
    bill(main)
    job_id = await interrupted(scene, operation)
    job = await scene.claim()
    with pytest.raises(ProviderError):
        await scene.runner._resume(job, Path("unused"), progress=None)  # type: ignore[arg-type]
    await scene.crash(job)
    assert (await scene.again(job_id))["state"] == "failed"
    assert (len(main.sent), spare.sent) == (1, [])


async def test_after_a_crash_work_with_a_reference_is_found_again(scene: Scene) -> None:
    main, _ = scene.providers
    bill(main, reattachable=True)
    job_id = await scene.submit()
    job = await scene.claim()
    main.looks = [Running("rendering")] * 100_000
    running = asyncio.create_task(scene.runner.run(job))
    while not main.polled:
        await asyncio.sleep(0)
    running.cancel()
    await asyncio.wait([running])
    await scene.crash(job)
    main.looks = [Running("rendering"), DONE]
    row = await scene.again(job_id)
    assert (row["state"], row["provider"], len(main.sent)) == ("succeeded", "main", 1)
    assert set(main.polled) == {f"ref-{job_id}-1"}
    assert await scene.attempts() == [("main", "finished", None, 700)]


@pytest.mark.parametrize("reattachable", [True, False])
async def test_work_that_ended_just_before_the_crash_is_not_bought_again(scene: Scene, reattachable: bool) -> None:
    main, _ = scene.providers
    bill(main, reattachable=reattachable)
    main.answers = {}
    job_id = await scene.submit()
    job = await scene.claim()
    settling, scene.flow.studio = scene.flow.studio, Dying()
    with pytest.raises(MemoryError):
        await scene.runner.run(job)
    scene.flow.studio = settling
    await scene.crash(job)
    row = await scene.again(job_id)
    assert (row["state"], len(main.sent)) == ("succeeded" if reattachable else "failed", 1)


class Dying(NoFiles):
    """Stands in for a process that dies when the answer is there and nothing is settled."""

    async def finish(self, job: Claimed, finished: Finished, folder: Path) -> Delivery:
        raise MemoryError


async def test_what_a_provider_that_is_off_by_now_began_is_not_bought_elsewhere(scene: Scene) -> None:
    bill(scene.providers[0])
    job_id = await interrupted(scene, "twofold")
    scene.flow.providers = {"spare": scene.providers[1]}
    row = await scene.again(job_id)
    assert (row["state"], scene.providers[1].sent) == ("failed", [])
    assert await wallet(scene.flow) == (1_000, 0)


async def test_a_failure_found_after_a_crash_ends_the_attempt(scene: Scene) -> None:
    main, _ = scene.providers
    bill(main, reattachable=True)
    job_id = await scene.submit()
    job = await scene.claim()
    main.looks = [Running("rendering")] * 100_000
    running = asyncio.create_task(scene.runner.run(job))
    while not main.polled:
        await asyncio.sleep(0)
    running.cancel()
    await asyncio.wait([running])
    await scene.crash(job)
    main.looks = [ProviderError("refused", "policy")]
    assert (await scene.again(job_id))["state"] == "failed"
    assert await scene.attempts() == [("main", "failed", "refused", None)]


async def test_what_takes_too_long_after_a_crash_is_stopped_and_not_found_again(scene: Scene) -> None:
    main, _ = scene.providers
    bill(main, reattachable=True)
    job_id = await scene.submit("daring")
    job = await scene.claim()
    await scene.flow.database.write(open_attempt, job, "main")
    await scene.flow.database.write(note_reference, job, "main", "ref-lost")
    await scene.crash(job)
    main.looks = [Running("rendering")] * 100_000
    product = scene.flow.products.current()
    hurried = product.operations["daring"].model_copy(update={"timeout_s": 0.01})
    changed = product.model_copy(update={"operations": {**product.operations, "daring": hurried}})
    scene.flow.products.product = changed  # type: ignore[attr-defined]
    assert (await scene.again(job_id))["state"] == "ready"
    assert main.cancelled == ["ref-lost"]
    assert await scene.attempts() == [("main", "failed", "unknown", None)]
    scene.flow.products.product = product  # type: ignore[attr-defined]
    main.looks = []
    scene.clock.advance(300)
    assert (await scene.again(job_id))["state"] == "succeeded"
    assert main.polled[-1] == f"ref-{job_id}-3", "and not what was stopped"
