"""Run: route, attempts, resuming. What a provider may do, it does here, and nothing is paid for twice."""

import asyncio
import json
import random
from collections.abc import Mapping
from pathlib import Path

import pytest

from penstock.jobs.flow import Claimed, Delivery
from penstock.jobs.run import fill
from penstock.kit.clock import ManualClock
from penstock.providers.route import BREAKER_CALLS, BREAKER_OPEN_S
from penstock.providers.seam import (
    Attempt,
    FailureKind,
    Finished,
    Output,
    ProviderError,
    Request,
    Running,
)
from tests.support.flows import (
    PRODUCT,
    FakeProvider,
    NoFiles,
    heard,
    make_product,
    open_flow,
    wallet,
)
from tests.unit.jobs.scene import DONE, Scene, bill, failing, failing_with

# ---- the route ----------------------------------------------------------------------------------------------------


async def test_a_job_is_done_by_the_first_of_its_route(scene: Scene) -> None:
    row = await scene.run("twofold", words="hello")
    assert (row["state"], row["provider"], row["output"]) == ("succeeded", "main", '{"said": {"words": "hello"}}')
    assert await scene.attempts() == [], "what costs nothing leaves no row"
    assert await wallet(scene.flow) == (997, 0)


@pytest.mark.parametrize("kind", ["transient", "limited", "exhausted", "broken"])
async def test_what_another_may_mend_goes_to_the_next(scene: Scene, kind: FailureKind) -> None:
    main, spare = scene.providers
    main.act = failing(kind)
    row = await scene.run("twofold")
    assert (row["state"], row["provider"]) == ("succeeded", "spare")
    assert (main.sent, spare.sent) == ([row["id"]], [row["id"]])
    assert await scene.attempts() == [("main", "failed", kind, None)]


@pytest.mark.parametrize("kind", ["refused", "invalid"])
async def test_what_would_only_be_repeated_elsewhere_ends_the_job(scene: Scene, kind: FailureKind) -> None:
    main, spare = scene.providers
    main.act = failing(kind, message="Please choose another picture.")
    row = await scene.run("twofold")
    assert row["state"] == "failed"
    assert "Please choose another picture." in row["error"]
    assert spare.sent == []
    assert await wallet(scene.flow) == (1_000, 0)


async def test_an_adapter_with_a_bug_is_passed_over(scene: Scene) -> None:
    main, _ = scene.providers
    main.act = failing_with(KeyError("missing"))
    row = await scene.run("twofold")
    assert (row["state"], row["provider"]) == ("succeeded", "spare")
    assert await scene.attempts() == [("main", "failed", "broken", None)]


async def test_a_passing_fault_is_tried_again_later(scene: Scene) -> None:
    main, _ = scene.providers
    main.act = failing("transient")
    row = await scene.run()
    assert (row["state"], row["attempts"]) == ("ready", 1)
    assert row["run_at"] >= scene.clock.now()
    assert await wallet(scene.flow) == (998, 2)
    assert await heard(scene.flow, row["id"], "job.retrying")


async def test_tries_end(scene: Scene) -> None:
    main, _ = scene.providers
    main.act = failing("transient")
    row = await scene.run()
    for _ in range(2):
        scene.clock.advance(300)
        row = await scene.again(row["id"])
    assert (row["state"], row["attempts"], len(main.sent)) == ("failed", 3, 3)
    assert await wallet(scene.flow) == (1_000, 0)


async def test_waiting_for_capacity_costs_no_try(scene: Scene) -> None:
    main, _ = scene.providers
    main.act = failing("limited", until=scene.clock.now() + 90)
    row = await scene.run()
    for _ in range(5):
        assert (row["state"], row["attempts"], row["run_at"]) == ("ready", 0, scene.clock.now() + 90)
        scene.clock.advance(90)
        main.act = failing("limited", until=scene.clock.now() + 90)
        row = await scene.again(row["id"])


async def test_what_may_pass_is_waited_for_though_another_is_beyond_repair(scene: Scene) -> None:
    main, spare = scene.providers
    main.act, spare.act = failing("transient"), failing("exhausted")
    assert (await scene.run("twofold"))["state"] == "ready"


async def test_a_provider_that_keeps_failing_is_left_alone_and_the_job_waits_without_losing_tries(
    scene: Scene,
) -> None:
    main, _ = scene.providers
    main.act = failing("transient")
    for _ in range(BREAKER_CALLS):
        await scene.run()
        await scene.flow.database.write(lambda tx: tx.run("UPDATE jobs SET run_at = 1e12"))
    asked = len(main.sent)
    row = await scene.run()
    assert len(main.sent) == asked, "its breaker is open"
    assert (row["state"], row["attempts"]) == ("ready", 0)
    assert row["run_at"] == scene.clock.now() + BREAKER_OPEN_S
    scene.clock.advance(BREAKER_OPEN_S)
    main.act = lambda *_: DONE
    assert (await scene.again(row["id"]))["state"] == "succeeded"
    assert (await scene.run())["state"] == "succeeded", "closed again"


async def test_while_one_call_is_tried_after_the_pause_nobody_else_is_let_through(scene: Scene) -> None:
    main, _ = scene.providers
    main.act = failing("exhausted")
    await scene.run()
    scene.clock.advance(BREAKER_OPEN_S)
    main.gate = asyncio.Event()
    main.entered.clear()
    first = await scene.submit()
    trying = asyncio.create_task(scene.again(first))
    await main.entered.wait()
    second = await scene.run()
    assert second["state"] == "ready"
    main.act = lambda *_: DONE
    main.gate.set()
    assert (await trying)["state"] == "succeeded"


async def test_with_every_provider_off_the_credits_go_back(scene: Scene) -> None:
    job_id = await scene.submit()
    scene.flow.providers = {}
    row = await scene.again(job_id)
    assert row["state"] == "failed"
    assert '"code": "exhausted"' in row["error"]


async def test_a_bad_result_goes_to_the_next_provider(scene: Scene) -> None:
    class Picky(NoFiles):
        async def finish(self, job: Claimed, finished: Finished, folder: Path) -> Delivery:
            if finished.values == {"said": "nonsense"}:
                raise ProviderError("broken", "a blank picture")
            return Delivery(output=finished.values)

    scene.flow.studio = Picky()
    main, _ = scene.providers
    bill(main).act = lambda *_: Finished(values={"said": "nonsense"}, cost_microdollars=5)
    assert (await scene.run("twofold"))["provider"] == "spare"
    assert await scene.attempts() == [("main", "failed", "broken", 5)], "what it cost is not forgotten"


async def test_a_good_result_that_cannot_be_stored_is_not_bought_elsewhere(scene: Scene) -> None:
    class Full(NoFiles):
        async def finish(self, job: Claimed, finished: Finished, folder: Path) -> Delivery:
            raise ProviderError("transient", "the disk is full")

    scene.flow.studio = Full()
    main, spare = scene.providers
    bill(main)
    row = await scene.run("twofold")
    assert (row["state"], len(main.sent), spare.sent) == ("ready", 1, [])
    scene.clock.advance(300)
    scene.flow.studio = NoFiles()
    row = await scene.again(row["id"])
    assert (row["state"], len(main.sent), spare.sent) == ("failed", 1, [])
    assert await wallet(scene.flow) == (1_000, 0)


# ---- why ----------------------------------------------------------------------------------------------------------


async def test_where_nobody_is_skipped_there_is_nothing_to_tell(scene: Scene) -> None:
    assert (await scene.run("twofold"))["route_why"] is None


async def test_the_job_says_whom_its_route_skipped_and_why(scene: Scene) -> None:
    main, spare = scene.providers
    main.act = failing("broken")
    row = await scene.run("twofold")
    assert json.loads(row["route_why"]) == [{"provider": "spare", "skipped": {"main": "failed in this try"}}]
    spare.act = failing("transient")
    row = await scene.run("twofold")
    both = {"main": "failed in this try", "spare": "failed in this try"}
    told = [{"provider": "spare", "skipped": {"main": "failed in this try"}}, {"provider": None, "skipped": both}]
    assert (row["state"], json.loads(row["route_why"])) == ("ready", told)
    spare.act = failing("exhausted")
    scene.clock.advance(300)
    row = await scene.again(row["id"])
    assert (row["state"], json.loads(row["route_why"])) == ("failed", told)


async def test_a_provider_that_is_off_is_told_of_too(scene: Scene) -> None:
    scene.flow.providers = {"spare": scene.providers[1]}
    row = await scene.run("twofold")
    assert json.loads(row["route_why"]) == [{"provider": "spare", "skipped": {"main": "off"}}]


async def test_a_try_that_skips_nobody_leaves_what_the_last_one_said(scene: Scene) -> None:
    main, spare = scene.providers
    main.act, spare.act = failing("transient"), failing("transient")
    row = await scene.run("twofold")
    main.act = lambda *_: DONE
    scene.clock.advance(300)
    again = await scene.again(row["id"])
    assert (again["state"], again["route_why"]) == ("succeeded", row["route_why"])


# ---- weights ------------------------------------------------------------------------------------------------------


def weigh(scene: Scene, main: int, spare: int) -> None:
    """Let the providers of `twofold` share its work."""
    route = [{"provider": "main", "weight": main}, {"provider": "spare", "weight": spare}]
    operations = {**PRODUCT["operations"], "twofold": {**PRODUCT["operations"]["twofold"], "route": route}}
    scene.flow.products.product = make_product(operations=operations)  # type: ignore[attr-defined]
    scene.flow.chance = random.Random(3)


async def test_work_is_shared_by_weight(scene: Scene) -> None:
    weigh(scene, 3, 1)
    for _ in range(60):
        await scene.run("twofold")
    main, spare = scene.providers
    assert len(main.sent) + len(spare.sent) == 60
    assert 5 <= len(spare.sent) <= 25


async def test_who_shares_the_work_stands_in_for_the_others(scene: Scene) -> None:
    weigh(scene, 1, 1)
    main, spare = scene.providers
    main.act = failing("broken")
    assert {(await scene.run("twofold"))["provider"] for _ in range(20)} == {"spare"}
    assert 0 < len(main.sent) < 20
    assert len(spare.sent) == 20


# ---- the breaker --------------------------------------------------------------------------------------------------


async def test_ten_minutes_of_failure_cost_few_sends_and_the_return_is_seen_at_once(scene: Scene) -> None:
    main, _ = scene.providers
    main.act = failing("transient")
    started = scene.clock.now()
    while scene.clock.now() < started + 600:
        assert (await scene.run("twofold"))["provider"] == "spare"
        scene.clock.advance(2)
    assert len(main.sent) <= BREAKER_CALLS + 600 / BREAKER_OPEN_S
    main.act = lambda *_: DONE
    scene.clock.advance(BREAKER_OPEN_S)
    assert (await scene.run("twofold"))["provider"] == "main"


async def test_an_answer_that_could_not_be_stored_says_that_the_provider_works(scene: Scene) -> None:
    class Full(NoFiles):
        async def finish(self, job: Claimed, finished: Finished, folder: Path) -> Delivery:
            raise ProviderError("transient", "the disk is full")

    main, _ = scene.providers
    main.act = failing("exhausted")
    await scene.run("twofold")
    scene.clock.advance(BREAKER_OPEN_S)
    main.act, scene.flow.studio = lambda *_: DONE, Full()
    await scene.run("twofold")
    scene.flow.studio = NoFiles()
    assert (await scene.run("twofold"))["provider"] == "main", "its breaker is closed"


# ---- time and capacity --------------------------------------------------------------------------------------------


def impatient(scene: Scene, *operations: str) -> None:
    """Let attempts of these operations time out as soon as they wait."""
    product = scene.flow.products.current()
    changed = {name: product.operations[name].model_copy(update={"timeout_s": 0.01}) for name in operations}
    hurried = product.model_copy(update={"operations": {**product.operations, **changed}})
    scene.flow.products.product = hurried  # type: ignore[attr-defined]


async def test_no_answer_in_time_is_a_passing_fault(scene: Scene) -> None:
    main, _ = scene.providers
    main.gate = asyncio.Event()
    impatient(scene, "twofold")
    row = await scene.run("twofold")
    assert (row["state"], row["provider"]) == ("succeeded", "spare")
    assert await scene.attempts() == [("main", "failed", "transient", None)]


async def test_no_answer_in_time_from_one_that_bills_is_not_tried_again(scene: Scene) -> None:
    main, spare = scene.providers
    bill(main).gate = asyncio.Event()
    impatient(scene, "twofold")
    row = await scene.run("twofold")
    assert (row["state"], spare.sent) == ("failed", [])
    assert await scene.attempts() == [("main", "failed", "unknown", None)]
    assert await wallet(scene.flow) == (1_000, 0)


async def test_no_answer_in_time_is_tried_again_where_a_second_charge_is_allowed(scene: Scene) -> None:
    main, _ = scene.providers
    bill(main).gate = asyncio.Event()
    impatient(scene, "daring")
    row = await scene.run("daring")
    assert row["state"] == "ready"
    main.gate = None
    scene.clock.advance(300)
    assert (await scene.again(row["id"]))["state"] == "succeeded"
    assert len(main.sent) == 2


async def test_work_that_takes_too_long_is_stopped_at_the_provider(scene: Scene) -> None:
    main, _ = scene.providers
    bill(main, reattachable=True)
    main.looks = [Running("working")] * 100_000
    impatient(scene, "echo")
    row = await scene.run()
    assert row["state"] == "failed"
    assert main.cancelled == [f"ref-{row['id']}-1"]


async def test_a_provider_gets_no_more_at_one_time_than_the_file_says(scene: Scene) -> None:
    product = scene.flow.products.current()
    one = product.providers["main"].model_copy(update={"concurrency": 1})
    changed = product.model_copy(update={"providers": {**product.providers, "main": one}})
    scene.flow.products.product = changed  # type: ignore[attr-defined]
    main, _ = scene.providers
    bill(main).gate = gate = asyncio.Event()
    jobs = [await scene.submit() for _ in range(3)]
    running = [asyncio.create_task(scene.runner.run(await scene.claim())) for _ in jobs]
    await main.entered.wait()
    for _ in range(20):
        await scene.flow.database.read(lambda tx: None)
    assert len(main.sent) == 1
    assert len(await scene.attempts()) == 1, "what waits for its turn was not sent, and no crash may take it for that"
    gate.set()
    await asyncio.gather(*running)
    assert len(main.sent) == 3


# ---- what a provider is given, and what is left behind ------------------------------------------------------------


async def test_a_provider_is_given_what_it_needs(scene: Scene) -> None:
    seen: list[tuple[Request, Attempt]] = []

    def look(request: Request, attempt: Attempt) -> Finished:
        seen.append((request, attempt))
        return DONE

    scene.providers[0].act = look
    row = await scene.run(words="hello")
    request, attempt = seen[0]
    assert (request.job_id, request.task, request.texts, request.prompt) == (
        row["id"],
        "echo",
        {"words": "hello"},
        None,
    )
    assert (attempt.number, attempt.key, attempt.timeout_s) == (1, f"{row['id']}-1", 300)


async def test_progress_of_the_provider_is_the_middle_part_of_the_whole(scene: Scene) -> None:
    gate = asyncio.Event()

    async def work(request: Request, attempt: Attempt) -> Finished:
        attempt.report("working", 0.5)
        await gate.wait()
        return DONE

    scene.providers[0].act = work
    job_id = await scene.submit()
    running = asyncio.create_task(scene.again(job_id))
    event = await heard(scene.flow, job_id, "job.progress")
    assert event["data"] == {"stage": "working", "progress": 0.5}
    gate.set()
    await running


@pytest.mark.parametrize("ending", ["done", "failed", "cancelled"])
async def test_temporary_files_go_whatever_happens(scene: Scene, ending: str) -> None:
    class Messy(NoFiles):
        async def prepare(self, job: Claimed, folder: Path) -> Mapping[str, Path]:
            folder.mkdir(parents=True)
            (folder / "left").write_text("behind")
            return {"picture": folder / "left"}

    scene.flow.studio = Messy()
    main, _ = scene.providers
    main.act = failing("refused") if ending == "failed" else lambda *_: Finished((Output("full", Path("x"), "a/b"),))
    main.gate = asyncio.Event()
    await scene.submit()
    running = asyncio.create_task(scene.runner.run(await scene.claim()))
    await main.entered.wait()
    if ending == "cancelled":
        running.cancel()
    main.gate.set()
    await asyncio.wait([running])
    assert list(scene.flow.folder.iterdir()) == []


def test_a_prompt_is_filled_once() -> None:
    texts = {"a": "an apple", "b": "{a} and {c}", "unset": ""}
    assert fill("{a}, {b}, {unset}, {other}, {", texts) == "an apple, {a} and {c}, , {other}, {"


async def test_a_prompt_has_no_holes_where_nothing_was_written(tmp_path: Path) -> None:
    prompts: list[str | None] = []

    def look(request: Request, attempt: Attempt) -> Finished:
        prompts.append(request.prompt)
        return DONE

    provider = FakeProvider(act=look)
    operation = {
        "title": "Draw",
        "description": "Draws",
        "task": "draw",
        "inputs": {
            "what": {"kind": "text", "title": "What"},
            "how": {"kind": "text", "title": "How", "required": False},
        },
        "options": {
            "style": {
                "kind": "choice",
                "title": "Style",
                "choices": [{"value": "oil", "title": "Oil"}, {"value": "ink", "title": "Ink"}],
            },
            "tone": {"kind": "range", "title": "Tone", "min": 0, "max": 1, "default": 0.5},
        },
        "prompt": "Draw {what} in {style}, {tone}. {how}",
        "price": 0,
        "route": ["main"],
    }
    async with open_flow(tmp_path, provider, product=make_product(operations={"draw": operation})) as flow:
        scene = Scene(flow, ManualClock(), provider)
        await scene.run("draw", what="a {how}")
    assert prompts == ["Draw a {how} in oil, 0.5. "]
