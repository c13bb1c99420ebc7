"""Gemini's own ways, beside what every provider promises (`tests/contracts/test_providers.py`)."""

import base64
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from penstock.providers import gemini
from penstock.providers.seam import Attempt, Finished, Provider, ProviderError, Request
from tests.support.vendors.drawn import landscape, tinted
from tests.support.vendors.google import CASE, GoogleStandIn, error
from tests.support.vendors.wire import Answer

ATTEMPT = Attempt(1, "key", 20.0)


@pytest.fixture
async def vendor() -> AsyncIterator[GoogleStandIn]:
    async with GoogleStandIn() as opened:
        yield opened


@pytest.fixture
async def provider(vendor: GoogleStandIn) -> AsyncIterator[Provider]:
    opened = CASE.provider(vendor.url)
    yield opened
    await opened.close()


def inline(content: bytes, media_type: str = "image/png", **more: Any) -> dict[str, Any]:
    return {"inlineData": {"mimeType": media_type, "data": base64.b64encode(content).decode()}, **more}


async def submitted(provider: Provider, request: Request, attempt: Attempt = ATTEMPT) -> Finished:
    finished = await provider.submit(request, attempt)
    assert isinstance(finished, Finished)
    return finished


def sent(vendor: GoogleStandIn) -> dict[str, Any]:
    return vendor.orders[-1].json()


async def test_the_request_is_as_the_vendor_wants_it(vendor: GoogleStandIn, provider: Provider, tmp_path: Path) -> None:
    request = CASE.request(tmp_path)
    await submitted(provider, request)
    (order,) = vendor.orders
    assert order.path == "/v1/models/gemini-nano-banana-2.1:generateContent"
    assert order.headers["content-type"] == "application/json"
    picture = request.pictures["picture"].read_bytes()
    assert sent(vendor) == {
        "contents": [{"role": "user", "parts": [{"text": "Colourise this."}, inline(picture)]}],
        "generationConfig": {"responseModalities": ["TEXT", "IMAGE"]},
    }


async def test_several_pictures_go_in_the_order_of_the_inputs(
    vendor: GoogleStandIn, provider: Provider, tmp_path: Path
) -> None:
    paths = {name: tmp_path / name for name in ("zebra", "apple")}
    paths["zebra"].write_bytes(landscape(80, 64))
    paths["apple"].write_bytes(landscape(64, 80, "image/jpeg"))
    request = Request("job_1", "edit", paths, {}, {}, "Put the second into the first.", tmp_path)
    finished = await submitted(provider, request)
    parts = sent(vendor)["contents"][0]["parts"][1:]
    assert parts == [inline(landscape(80, 64)), inline(landscape(64, 80, "image/jpeg"), "image/jpeg")]
    assert finished.outputs[0].path.read_bytes() == tinted(landscape(80, 64))


async def test_the_last_picture_that_is_no_draft_is_the_result(
    vendor: GoogleStandIn, provider: Provider, tmp_path: Path
) -> None:
    first, last = landscape(40, 40), landscape(50, 40)
    parts = [inline(first), {"text": "Better:"}, inline(last), inline(landscape(9, 9), thought=True)]
    vendor.faults.append(vendor.answered(parts))
    finished = await submitted(provider, CASE.request(tmp_path))
    assert finished.outputs[0].path.read_bytes() == last


async def test_what_a_picture_is_its_bytes_say(vendor: GoogleStandIn, provider: Provider, tmp_path: Path) -> None:
    for media_type, extension in (("image/jpeg", "jpg"), ("image/webp", "webp"), ("image/png", "png")):
        vendor.faults.append(vendor.with_picture(landscape(media_type=media_type), media_type="image/gif"))
        (output,) = (await submitted(provider, CASE.request(tmp_path))).outputs
        assert (output.media_type, output.path.suffix) == (media_type, f".{extension}")


async def test_the_other_spelling_is_read_too(vendor: GoogleStandIn, provider: Provider, tmp_path: Path) -> None:
    part = {"inline_data": {"mime_type": "image/png", "data": base64.b64encode(landscape()).decode()}}
    vendor.faults.append(vendor.answered([part]))
    assert (await submitted(provider, CASE.request(tmp_path))).outputs


async def test_shape_and_parameters_reach_the_model(vendor: GoogleStandIn, tmp_path: Path) -> None:
    provider = CASE.provider(vendor.url, parameters={"imageSize": "2K"})
    await submitted(provider, CASE.request(tmp_path, "generate", shape="tall"))
    assert sent(vendor)["generationConfig"]["imageConfig"] == {"imageSize": "2K", "aspectRatio": "9:16"}
    await provider.close()


@pytest.mark.parametrize("task", ["restore", "colourise", "restore_colourise"])
async def test_a_task_without_a_prompt_speaks_for_itself(
    vendor: GoogleStandIn, provider: Provider, tmp_path: Path, task: str
) -> None:
    request = CASE.request(tmp_path, task)
    await submitted(provider, Request(**{**vars(request), "prompt": None}))
    assert len(sent(vendor)["contents"][0]["parts"][0]["text"]) > 50


async def test_words_are_needed_where_the_task_says_too_little(
    vendor: GoogleStandIn, provider: Provider, tmp_path: Path
) -> None:
    request = Request(**{**vars(CASE.request(tmp_path, "edit")), "prompt": None})
    with pytest.raises(ProviderError, match="no prompt"):
        await provider.submit(request, ATTEMPT)
    assert vendor.orders == []


async def test_pictures_over_the_vendors_limit_are_not_sent(
    vendor: GoogleStandIn, provider: Provider, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gemini, "MAX_PICTURE_BYTES", 100)
    with pytest.raises(ProviderError) as caught:
        await provider.submit(CASE.request(tmp_path), ATTEMPT)
    assert caught.value.kind == "invalid"
    assert caught.value.message is not None
    assert vendor.orders == []


async def test_no_picture_is_worth_one_more_try_and_not_two(
    vendor: GoogleStandIn, provider: Provider, tmp_path: Path
) -> None:
    vendor.faults += [vendor.answered([{"text": "I would rather not."}])] * 2
    kinds = []
    for number in (1, 2):
        with pytest.raises(ProviderError, match="I would rather not") as caught:
            await provider.submit(CASE.request(tmp_path), Attempt(number, "key", 20.0))
        kinds.append(caught.value.kind)
    assert kinds == ["transient", "broken"]


async def test_an_answer_without_a_picture_has_its_price_all_the_same(
    vendor: GoogleStandIn, provider: Provider, tmp_path: Path
) -> None:
    vendor.faults.append(vendor.answered([], reason="IMAGE_SAFETY"))
    with pytest.raises(ProviderError) as caught:
        await provider.submit(CASE.request(tmp_path), ATTEMPT)
    assert (caught.value.kind, caught.value.cost_microdollars) == ("refused", 390 + 33_600 + 300)
    assert not caught.value.cost_estimated
    assert caught.value.tokens == 260 + 1_160


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        ("Unable to process input image. Please retry.", "invalid"),
        ("Provided image is not valid.", "invalid"),
        ("Invalid value at 'generation_config.image_config.image_size'", "broken"),
    ],
)
async def test_a_bad_request_is_the_customers_only_if_it_is_about_the_picture(
    vendor: GoogleStandIn, provider: Provider, tmp_path: Path, said: str, kind: str
) -> None:
    vendor.faults.append(error(400, "INVALID_ARGUMENT", said))
    with pytest.raises(ProviderError) as caught:
        await provider.submit(CASE.request(tmp_path), ATTEMPT)
    assert caught.value.kind == kind


async def test_no_usage_is_an_estimate(vendor: GoogleStandIn, provider: Provider, tmp_path: Path) -> None:
    document = json.loads(vendor.with_picture(landscape()).body)
    del document["usageMetadata"]
    vendor.faults.append(Answer.json(document))
    finished = await submitted(provider, CASE.request(tmp_path))
    assert (finished.cost_microdollars, finished.cost_estimated, finished.tokens) == (250_000, True, None)


async def test_an_unknown_model_is_told_by_name(vendor: GoogleStandIn, tmp_path: Path) -> None:
    provider = CASE.provider(vendor.url, model="gemini-nano-kiwi")
    with pytest.raises(ProviderError, match="no model gemini-nano-kiwi"):
        await provider.submit(CASE.request(tmp_path), ATTEMPT)
    health = await provider.health()
    assert "gemini-nano-kiwi" in health.detail
    await provider.close()


async def test_an_error_in_a_list_is_read_too(vendor: GoogleStandIn, provider: Provider, tmp_path: Path) -> None:
    told = error(429, "RESOURCE_EXHAUSTED", "Slowly.", {"retryDelay": "7.5s"})
    vendor.faults.append(Answer(429, b"[" + told.body + b"]", told.headers))
    with pytest.raises(ProviderError) as caught:
        await provider.submit(CASE.request(tmp_path), ATTEMPT)
    assert (caught.value.kind, caught.value.until) == ("limited", 1_800_000_007.5)
