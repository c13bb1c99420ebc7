"""A second opinion on the vendors' formats: @copilotkit/aimock, written by people who know nothing of us.

What it covers of ours: OpenAI's chat and pictures, Anthropic's messages. Our adapters must make of its answers what
they make of those of our own stand-ins.
"""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from tests.support.aimock_server import ANSWER, LIMITED, PAUSE_S, REFUSED, WORKS, aimock_server
from tests.support.vendors import anthropic, openai
from tests.support.vendors.case import Case, delivered
from tests.support.vendors.drawn import landscape

from penstock.kit.clock import ManualClock
from penstock.providers.seam import Finished, ProviderError

DRAWING = replace(openai.IMAGES, task="generate")
TALKING = {"openai_chat": openai.CHAT, "anthropic": anthropic.CASE}


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with aimock_server() as found:
        yield found


async def _asked(case: Case, url: str, folder: Path, words: str, clock: ManualClock | None = None) -> Finished:
    provider = case.provider(url, clock=clock)
    task = "chat" if case.makes == "text" else "generate"
    try:
        return await delivered(provider, replace(case.request(folder, task), texts={"what": words}, prompt=None))
    finally:
        await provider.close()


@pytest.mark.parametrize("name", TALKING)
async def test_a_text_is_what_was_said(url: str, tmp_path: Path, name: str) -> None:
    finished = await _asked(TALKING[name], url, tmp_path, WORKS)
    assert finished.values == {"text": ANSWER}
    assert finished.cost_microdollars is not None


async def test_a_picture_is_the_bytes_that_were_given(url: str, tmp_path: Path) -> None:
    finished = await _asked(DRAWING, url, tmp_path, WORKS)
    assert finished.outputs[0].path.read_bytes() == landscape()
    assert finished.cost_estimated, "it reports no usage of pictures"


@pytest.mark.parametrize("case", [*TALKING.values(), DRAWING], ids=[*TALKING, "openai_images"])
async def test_a_limit_says_when_to_come_back(url: str, tmp_path: Path, case: Case) -> None:
    clock = ManualClock()
    with pytest.raises(ProviderError) as failed:
        await _asked(case, url, tmp_path, LIMITED, clock)
    assert failed.value.kind == "limited"
    assert failed.value.until == pytest.approx(clock.now() + PAUSE_S, abs=1)


@pytest.mark.parametrize("case", [openai.CHAT, DRAWING], ids=["openai_chat", "openai_images"])
async def test_moderation_is_a_refusal(url: str, tmp_path: Path, case: Case) -> None:
    with pytest.raises(ProviderError) as failed:
        await _asked(case, url, tmp_path, REFUSED)
    assert failed.value.kind == "refused"


async def test_a_model_that_is_not_there_is_ours_to_mend(url: str, tmp_path: Path) -> None:
    with pytest.raises(ProviderError) as failed:
        await _asked(openai.CHAT, url, tmp_path, "something that nobody prepared")
    assert failed.value.kind in {"broken", "transient"}, failed.value.detail
