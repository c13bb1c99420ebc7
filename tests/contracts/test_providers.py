"""Every provider over HTTP keeps the same promises, whichever way its vendor speaks or fails.

Each adapter stands before a server that speaks its vendor's wire format; see `tests/support/vendors`.
"""

import asyncio
import io
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from PIL import Image
from tests.support.vendors.case import KEY_NAME, Arrange, Case, delivered, ended
from tests.support.vendors.cases import CASES
from tests.support.vendors.drawn import film
from tests.support.vendors.wire import KEY, Answer, StandIn, page

from penstock.kit.clock import ManualClock
from penstock.product.adapters import ADAPTERS
from penstock.providers import http
from penstock.providers.registry import FACTORIES
from penstock.providers.seam import Attempt, FailureKind, Provider, ProviderError, Request, Running, Submitted

PAUSE_S = 34.0


@dataclass
class Stage:
    """An adapter before its vendor."""

    case: Case
    vendor: StandIn
    provider: Provider
    request: Request
    clock: ManualClock

    async def failure(self, number: int = 1) -> ProviderError:
        with pytest.raises(ProviderError) as caught:
            await delivered(self.provider, self.request, number)
        assert KEY not in f"{caught.value}{caught.value.detail}{caught.value.__cause__}{caught.value.__context__}"
        return caught.value


@pytest.fixture(params=CASES, ids=lambda case: case.label)
async def stage(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Stage]:
    case: Case = request.param
    clock = ManualClock()
    async with case.stand_in() as vendor:
        provider = case.provider(vendor.url, clock=clock)
        yield Stage(case, vendor, provider, case.request(tmp_path), clock)
        await provider.close()


def each(moods: str) -> pytest.MarkDecorator:
    """Run a test for every way of one sort that any vendor has."""
    ways = [(case, name, arrange) for case in CASES for name, arrange in getattr(case, moods).items()]
    return pytest.mark.parametrize(
        ("stage", "arrange"),
        [pytest.param(case, arrange, id=f"{case.label}: {name}") for case, name, arrange in ways],
        indirect=["stage"],
    )


def test_every_adapter_that_is_built_has_its_factory_and_stands_here() -> None:
    built = {name for name, adapter in ADAPTERS.items() if adapter.built}
    assert built == set(FACTORIES)
    assert {case.adapter for case in CASES} == built - {"local", "onnx"}


async def test_it_can_do_what_the_product_file_may_ask_of_it(stage: Stage) -> None:
    assert stage.provider.tasks == ADAPTERS[stage.case.adapter].tasks
    assert stage.provider.billed


# ---- it goes well -------------------------------------------------------------------------------------------------


async def test_the_work_is_done_for_one_charge(stage: Stage) -> None:
    finished = await delivered(stage.provider, stage.request)
    assert (len(stage.vendor.orders), stage.vendor.billed) == (1, 1)
    assert (finished.cost_microdollars, finished.cost_estimated) == stage.case.cost
    assert finished.tokens == stage.case.tokens
    if stage.case.makes == "picture":
        (output,) = finished.outputs
        assert (output.name, output.path.parent) == ("full", stage.request.folder)
        with Image.open(output.path) as image:
            assert Image.MIME[str(image.format)] == output.media_type
    elif stage.case.makes == "video":
        (output,) = finished.outputs
        assert (output.name, output.media_type, output.path.parent) == ("full", "video/mp4", stage.request.folder)
        assert output.path.read_bytes() == film()
    else:
        assert set(finished.values) <= {"text", "mermaid"}
        assert all(finished.values.values())


async def test_an_answer_that_used_up_a_limit_says_so(stage: Stage) -> None:
    stage.vendor.says = {"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "2s"}
    finished = await delivered(stage.provider, stage.request)
    tells = stage.case.adapter in {"openai_chat", "openai_images", "anthropic"}  # of the others none sends such headers
    assert (
        finished.full_until == stage.clock.now() + 2 if tells else finished.full_until in {None, stage.clock.now() + 2}
    )


async def test_every_task_can_be_done(stage: Stage, tmp_path: Path) -> None:
    for task in sorted(stage.case.tasks or stage.provider.tasks):
        folder = tmp_path / task
        folder.mkdir()
        provider = stage.case.provider(stage.vendor.url, **stage.case.task_settings.get(task, {}))
        finished = await delivered(provider, stage.case.request(folder, task))
        assert finished.outputs or finished.values, task
        await provider.close()


async def test_a_connection_is_never_used_for_two_orders(stage: Stage, tmp_path: Path) -> None:
    await delivered(stage.provider, stage.request)
    await delivered(stage.provider, stage.request)
    assert {order.headers["connection"] for order in stage.vendor.orders} == {"close"}


async def test_its_health_is_told_for_nothing(stage: Stage) -> None:
    assert (await stage.provider.health()).ok
    assert stage.vendor.billed == 0


# ---- the operator has to do something -----------------------------------------------------------------------------


async def test_a_wrong_key_is_told_to_the_operator_by_the_name_of_its_variable(stage: Stage) -> None:
    provider = stage.case.provider(stage.vendor.url, key="another-key")
    with pytest.raises(ProviderError) as caught:
        await delivered(provider, stage.request)
    assert caught.value.kind == "broken"
    assert KEY_NAME in caught.value.detail
    health = await provider.health()
    assert not health.ok
    assert KEY_NAME in health.detail
    assert "another-key" not in f"{caught.value}{health}"
    await provider.close()


async def test_a_key_with_a_slip_in_it_is_not_shown(stage: Stage) -> None:
    provider = stage.case.provider(stage.vendor.url, key="sk-secret\nstill-secret")
    with pytest.raises(ProviderError) as caught:
        await delivered(provider, stage.request)
    assert caught.value.kind == "broken"
    assert "secret" not in f"{caught.value}{caught.value.__cause__}"
    await provider.close()


@each("used_up")
async def test_what_is_used_up_says_so(stage: Stage, arrange: Arrange) -> None:
    arrange(stage.vendor)
    assert (await stage.failure()).kind == "exhausted"


# ---- it passes ----------------------------------------------------------------------------------------------------


async def test_too_many_requests_with_a_pause(stage: Stage) -> None:
    stage.case.limited(stage.vendor)
    failure = await stage.failure()
    assert (failure.kind, failure.until) == ("limited", stage.clock.now() + PAUSE_S)


async def test_too_many_requests_without_one(stage: Stage) -> None:
    stage.case.limited_silently(stage.vendor)
    failure = await stage.failure()
    pause = stage.case.silent_pause_s
    assert (failure.kind, failure.until) == ("limited", None if pause is None else stage.clock.now() + pause)


@each("overloaded")
async def test_a_passing_fault_is_one(stage: Stage, arrange: Arrange) -> None:
    arrange(stage.vendor)
    assert (await stage.failure()).kind == "transient"
    assert len(stage.vendor.orders) == 1, "the one retry loop is the job's"


async def test_nobody_there_is_a_passing_fault(stage: Stage) -> None:
    await stage.vendor.__aexit__()
    assert (await stage.failure()).kind == "transient"
    assert not (await stage.provider.health()).ok


# ---- it refuses ---------------------------------------------------------------------------------------------------


@each("refusals")
async def test_a_refusal_is_one_in_every_dress(stage: Stage, arrange: Arrange) -> None:
    arrange(stage.vendor)
    assert (await stage.failure()).kind == "refused"


# ---- perhaps billed -----------------------------------------------------------------------------------------------


async def test_a_connection_that_dies_after_the_order_leaves_everything_open(stage: Stage) -> None:
    stage.vendor.faults.append("cut")
    assert (await stage.failure()).kind == "unknown"
    assert (len(stage.vendor.orders), stage.vendor.billed) == (1, 1)


async def test_so_does_an_answer_that_breaks_off(stage: Stage) -> None:
    stage.vendor.faults.append("half")
    assert (await stage.failure()).kind == "unknown"
    assert len(stage.vendor.orders) == 1


async def test_so_does_silence(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Time begins to run when the order has come, however long it was on its way."""
    stage.vendor.faults.append("silent")
    asking = asyncio.create_task(stage.provider.submit(stage.request, Attempt(1, "key", 60.0)))
    await stage.vendor.held.wait()
    loop, passed = asyncio.get_running_loop(), 0.0
    time = loop.time
    monkeypatch.setattr(loop, "time", lambda: time() + passed)
    while not asking.done() and passed < 300:
        passed += 1
        await asyncio.sleep(0)
    asking.cancel()
    await asyncio.wait([asking])
    assert not asking.cancelled(), "it waits longer than it was told"
    with pytest.raises(ProviderError) as caught:
        await asking
    assert caught.value.kind == "unknown"
    assert len(stage.vendor.orders) == 1


@pytest.mark.parametrize("status", [502, 504, 524])
async def test_so_does_a_proxy_that_gave_up(stage: Stage, status: int) -> None:
    stage.vendor.faults.append(page(status))
    assert (await stage.failure()).kind == "unknown"


@each("lost")
async def test_so_does_what_the_vendor_has_lost(stage: Stage, arrange: Arrange) -> None:
    arrange(stage.vendor)
    assert (await stage.failure()).kind == "unknown"


async def test_giving_up_closes_the_connection(stage: Stage) -> None:
    stage.vendor.faults.append("silent")
    asking = asyncio.create_task(stage.provider.submit(stage.request, Attempt(1, "key", 60.0)))
    await stage.vendor.held.wait()
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking


# ---- nonsense -----------------------------------------------------------------------------------------------------


async def test_a_page_for_people_is_no_answer(stage: Stage) -> None:
    stage.vendor.faults.append(page())
    assert (await stage.failure()).kind == "broken"


async def test_an_answer_without_end_is_cut_off(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "MAX_REPLY_BYTES", 2_000)
    stage.vendor.faults.append(Answer(200, b" " * 100_000, {"content-type": "application/json"}))
    assert (await stage.failure()).kind == "broken"


@pytest.mark.parametrize(
    "said", [b"[]", b"null", b"7", b'"no"', b"[" * 100_000, b"{}", b'{"error": null}', b"\xff\xfe"]
)
async def test_an_answer_of_another_shape_ends_in_a_kind_of_failure(stage: Stage, said: bytes) -> None:
    for status in (200, 400, 500):
        stage.vendor.faults.append(Answer(status, said, {"content-type": "application/json"}))
        kinds: set[FailureKind] = {"broken", "transient"}
        assert (await stage.failure(number=2)).kind in kinds


@each("damaged")
async def test_a_damaged_picture_is_the_providers_failure(stage: Stage, arrange: Arrange) -> None:
    arrange(stage.vendor)
    failure = await stage.failure()
    assert failure.kind == "broken"


# ---- work that goes on without us ---------------------------------------------------------------------------------


async def test_what_can_be_found_again_is(stage: Stage) -> None:
    if stage.case.endless is None:
        with pytest.raises(ProviderError) as caught:
            await stage.provider.poll("anything", stage.request)
        assert (caught.value.kind, caught.value.final) == ("unknown", True)
        await stage.provider.cancel("anything")
        return
    assert stage.provider.reattachable
    submitted = await stage.provider.submit(stage.request, Attempt(1, "key", 20.0))
    assert isinstance(submitted, Submitted)
    after_the_crash = stage.case.provider(stage.vendor.url)
    assert (await ended(after_the_crash, submitted.reference, stage.request)).outputs
    assert stage.vendor.billed == 1
    await after_the_crash.close()


def long_work() -> pytest.MarkDecorator:
    cases = [pytest.param(case, id=case.label) for case in CASES if case.endless is not None]
    return pytest.mark.parametrize("stage", cases, indirect=True)


@long_work()
async def test_work_without_end_is_looked_at_again_and_again(stage: Stage) -> None:
    assert stage.case.endless is not None
    stage.case.endless(stage.vendor)
    submitted = await stage.provider.submit(stage.request, Attempt(1, "key", 20.0))
    assert isinstance(submitted, Submitted)
    for _ in range(5):
        state = await stage.provider.poll(submitted.reference, stage.request)
        assert isinstance(state, Running)
        assert state.stage
        assert state.pause_s == stage.case.pause_s
    assert stage.vendor.billed == 1
    await stage.provider.cancel(submitted.reference)
    assert getattr(stage.vendor, "cancelled", [submitted.reference]) == [submitted.reference]


@long_work()
@pytest.mark.parametrize("answer", [page(), page(502), page(500), Answer(401), Answer(403), Answer(400), Answer(429)])
async def test_a_look_that_fails_says_nothing_about_the_work(stage: Stage, answer: Answer) -> None:
    submitted = await stage.provider.submit(stage.request, Attempt(1, "key", 20.0))
    assert isinstance(submitted, Submitted)
    stage.vendor.looks.append(answer)
    with pytest.raises(ProviderError) as caught:
        await stage.provider.poll(submitted.reference, stage.request)
    assert caught.value.kind in {"transient", "limited", "unknown"}, "else it would be paid for elsewhere"
    assert not caught.value.final
    assert (await ended(stage.provider, submitted.reference, stage.request)).outputs


@long_work()
async def test_a_look_at_what_was_never_ordered_is_final(stage: Stage) -> None:
    with pytest.raises(ProviderError) as caught:
        await stage.provider.poll("../../health", stage.request)
    assert (caught.value.kind, caught.value.final) == ("unknown", True)


@long_work()
async def test_what_ended_badly_is_not_looked_at_again(stage: Stage) -> None:
    for arrange in (*stage.case.overloaded.values(), *stage.case.lost.values()):
        arrange(stage.vendor)
        try:
            submitted = await stage.provider.submit(stage.request, Attempt(1, "key", 20.0))
        except ProviderError:
            continue  # it never began
        assert isinstance(submitted, Submitted)
        with pytest.raises(ProviderError) as caught:
            await ended(stage.provider, submitted.reference, stage.request)
        assert caught.value.final


async def test_pictures_go_out_as_they_are(stage: Stage) -> None:
    if not stage.request.pictures:
        pytest.skip("this adapter is given no pictures")
    await delivered(stage.provider, stage.request)
    sent = stage.request.pictures["picture"].read_bytes()
    assert stage.case.carries(stage.vendor, sent), "the vendor was given other bytes than the job's"
    with Image.open(io.BytesIO(sent)) as image:
        image.verify()
