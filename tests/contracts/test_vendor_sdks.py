"""The vendors' own clients before the same stand-ins: what they get out of the bytes is what our adapters get.

So the stand-ins are no fiction of ours: a client that its vendor wrote and knows nothing of us works with them.
"""

import base64
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.support.vendors import anthropic, google, openai, replicate
from tests.support.vendors.anthropic import AnthropicStandIn
from tests.support.vendors.case import delivered
from tests.support.vendors.google import GoogleStandIn
from tests.support.vendors.openai import OpenAiStandIn
from tests.support.vendors.replicate import ReplicateStandIn
from tests.support.vendors.wire import KEY

from penstock.kit.signed_webhooks import signed_id
from penstock.providers.anthropic import VERSION
from penstock.providers.seam import WebhookSigner

# Clients warn of what is none of ours: deprecations in what they are built on.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


async def test_google_reads_the_same_picture_and_the_same_usage(tmp_path: Path) -> None:
    genai = pytest.importorskip("google.genai")
    types = genai.types
    async with GoogleStandIn() as vendor:
        provider, request = google.CASE.provider(vendor.url), google.CASE.request(tmp_path)
        ours = await delivered(provider, request)
        client = genai.Client(
            api_key=KEY,
            http_options=types.HttpOptions(base_url=vendor.url, retry_options=types.HttpRetryOptions(attempts=1)),
        )
        picture = types.Part.from_bytes(data=request.pictures["picture"].read_bytes(), mime_type="image/png")
        config = types.GenerateContentConfig(response_modalities=["TEXT", "IMAGE"])
        theirs = await client.aio.models.generate_content(
            model=google.MODEL, contents=["Colourise this.", picture], config=config
        )
        parts = theirs.candidates[0].content.parts
        final = [part.inline_data.data for part in parts if part.inline_data and not part.thought][-1]
        assert final == ours.outputs[0].path.read_bytes()
        assert theirs.usage_metadata.total_token_count == ours.tokens
        first, second = (order.json() for order in vendor.orders)
        assert _meaning(first) == _meaning(second), "they ask in the same words"
        assert vendor.orders[0].path == vendor.orders[1].path
        await client.aio.aclose()
        await provider.close()


async def test_google_calls_a_refusal_and_a_limit_what_we_call_them(tmp_path: Path) -> None:
    genai = pytest.importorskip("google.genai")
    types = genai.types
    options = types.HttpRetryOptions(attempts=1)
    async with GoogleStandIn() as vendor:
        client = genai.Client(api_key=KEY, http_options=types.HttpOptions(base_url=vendor.url, retry_options=options))
        vendor.faults += [google.limited("34s"), google.blocked("SAFETY"), vendor.answered([], reason="IMAGE_SAFETY")]
        with pytest.raises(genai.errors.ClientError) as caught:
            await client.aio.models.generate_content(model=google.MODEL, contents="a cat")
        assert (caught.value.code, caught.value.status) == (429, "RESOURCE_EXHAUSTED")
        blocked = await client.aio.models.generate_content(model=google.MODEL, contents="a cat")
        assert blocked.prompt_feedback.block_reason == types.BlockedReason.SAFETY
        ended = await client.aio.models.generate_content(model=google.MODEL, contents="a cat")
        assert ended.candidates[0].finish_reason == types.FinishReason.IMAGE_SAFETY
        await client.aio.aclose()


async def test_openai_reads_the_same_picture_and_the_same_usage(tmp_path: Path) -> None:
    sdk = pytest.importorskip("openai")
    async with OpenAiStandIn() as vendor, _client(sdk.AsyncOpenAI, f"{vendor.url}/v1") as client:
        provider, request = openai.IMAGES.provider(vendor.url), openai.IMAGES.request(tmp_path)
        ours = await delivered(provider, request)
        sent = request.pictures["picture"].read_bytes()
        theirs = await client.images.edit(
            model=openai.IMAGE_MODEL,
            prompt="Colourise this.",
            n=1,
            size="1536x1024",
            quality="low",
            image=("picture.png", sent, "image/png"),
        )
        assert base64.b64decode(theirs.data[0].b64_json) == ours.outputs[0].path.read_bytes()
        assert theirs.usage.total_tokens == ours.tokens
        first, second = (order.form() for order in vendor.orders)
        assert (first.fields, first.files) == (second.fields, second.files), "they ask in the same words"
        words = openai.IMAGES.request(tmp_path, "generate", shape="wide")
        drawn = await delivered(provider, words)
        again = await client.images.generate(
            model=openai.IMAGE_MODEL, prompt="a field under a wide sky", n=1, size="1536x864", quality="low"
        )
        assert base64.b64decode(again.data[0].b64_json) == drawn.outputs[0].path.read_bytes()
        assert vendor.orders[2].json() == vendor.orders[3].json()
        await provider.close()


async def test_openai_writes_the_same_text_and_names_the_same_failures(tmp_path: Path) -> None:
    sdk = pytest.importorskip("openai")
    async with OpenAiStandIn() as vendor, _client(sdk.AsyncOpenAI, f"{vendor.url}/v1") as client:
        provider = openai.CHAT.provider(vendor.url)
        ours = await delivered(provider, openai.CHAT.request(tmp_path))
        ask = {"model": openai.CHAT_MODEL, "messages": [{"role": "user", "content": "a field under a wide sky"}]}
        theirs = await client.chat.completions.create(**ask)
        assert {"text": theirs.choices[0].message.content} == ours.values
        assert theirs.usage.total_tokens == ours.tokens
        assert vendor.orders[0].json() == vendor.orders[1].json()
        for arrange, error in ((openai.CHAT.limited, sdk.RateLimitError), (_overloaded, sdk.InternalServerError)):
            arrange(vendor)
            with pytest.raises(error):
                await client.chat.completions.create(**ask)
        await provider.close()


async def test_anthropic_writes_the_same_text_and_names_the_same_failures(tmp_path: Path) -> None:
    sdk = pytest.importorskip("anthropic")
    async with AnthropicStandIn() as vendor, _client(sdk.AsyncAnthropic, vendor.url) as client:
        provider = anthropic.CASE.provider(vendor.url)
        ours = await delivered(provider, anthropic.CASE.request(tmp_path))
        ask = {
            "model": anthropic.MODEL,
            "max_tokens": 4_096,
            "messages": [{"role": "user", "content": "a field under a wide sky"}],
        }
        theirs = await client.messages.create(**ask)
        assert {"text": theirs.content[0].text} == ours.values
        used = theirs.usage
        assert used.input_tokens + used.cache_read_input_tokens + used.output_tokens == ours.tokens
        assert vendor.orders[0].json() == vendor.orders[1].json()
        versions = {order.headers["anthropic-version"] for order in vendor.orders}
        assert versions == {VERSION}, "the version that the vendor's own client speaks"
        vendor.faults.append(anthropic.said_so("", "refusal", {"type": "refusal", "category": "bio"}))
        refused = await client.messages.create(**ask)
        assert (refused.stop_reason, refused.stop_details.category) == ("refusal", "bio")
        anthropic.CASE.limited(vendor)
        with pytest.raises(sdk.RateLimitError):
            await client.messages.create(**ask)
        await provider.close()


async def test_replicate_finds_the_same_prediction(tmp_path: Path) -> None:
    sdk = pytest.importorskip("replicate")
    async with ReplicateStandIn() as vendor:
        provider, request = replicate.CASE.provider(vendor.url), replicate.CASE.request(tmp_path)
        ours = await delivered(provider, request)
        client = sdk.Client(api_token=KEY, base_url=vendor.url)
        given = vendor.orders[0].json()["input"]
        theirs = await client.models.predictions.async_create(model=replicate.MODEL, input=given)
        while theirs.status in {"starting", "processing"}:
            await theirs.async_reload()
        assert theirs.status == "succeeded"
        name = theirs.output[0].rpartition("/")[2]
        assert vendor.files[name] == ours.outputs[0].path.read_bytes()
        assert vendor.orders[0].json() == vendor.orders[1].json()
        assert vendor.orders[0].path == vendor.orders[1].path
        assert (await client.predictions.async_get(theirs.id)).metrics == {"predict_time": 2.5}
        again = await client.models.predictions.async_create(model=replicate.MODEL, input=given)
        await again.async_cancel()
        assert vendor.cancelled == [again.id]
        await client._async_client.aclose()  # it offers no way of its own
        await provider.close()


async def test_replicates_own_library_agrees_on_signatures_of_webhooks(tmp_path: Path) -> None:
    validate = pytest.importorskip("replicate.webhook").Webhooks.validate
    secret = pytest.importorskip("replicate.webhook").WebhookSigningSecret(key=replicate.SIGNING_SECRET)
    body, now = '{"id": "p1"}', time.time()
    async with ReplicateStandIn() as vendor:
        headers = vendor.signature(body.encode(), now)
        provider = replicate.CASE.provider(vendor.url)
        assert isinstance(provider, WebhookSigner)
        read = [await provider.webhook_secret() for _ in range(2)]
        await provider.close()
        assert len(vendor.asked) == 1, "the secret is asked for once"

    validate(headers=headers, body=body, secret=secret)
    assert read == [secret.key] * 2
    assert signed_id(headers, body.encode(), read[0], now, vendor="Replicate") == "msg_1"


def _overloaded(vendor: OpenAiStandIn) -> None:
    vendor.faults.append(openai.error(500, "The server had an error."))


@asynccontextmanager
async def _client(kind: Any, url: str) -> AsyncIterator[Any]:
    """Open a vendor's client that sends nothing twice by itself."""
    async with kind(api_key=KEY, base_url=url, max_retries=0) as client:
        yield client


def _meaning(body: dict[str, object]) -> tuple[list[object], object]:
    """Return a request without the freedoms of its spelling: in case of names, and in where parts may stand."""
    contents = body["contents"]
    assert isinstance(contents, list)
    parts = [part for content in contents for part in content["parts"]]
    inline = [part.get("inlineData") or part.get("inline_data") or part["text"] for part in parts]
    plain = [(each["data"].translate(str.maketrans("-_", "+/")) if isinstance(each, dict) else each) for each in inline]
    return plain, body["generationConfig"]
