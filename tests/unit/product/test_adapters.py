"""What the product file says about providers, and what follows for whether they are on."""

from pathlib import Path

import pytest

from penstock.product.availability import availability
from tests.unit.product.samples import changed, load, mistakes

STABILITY = (
    ('task = "colourise"\nprompt = "Colourise this."', 'task = "upscale"'),
    ('adapter = "gemini"', 'adapter = "stability"'),
    ('["local", "gemini"]', '["local"]'),
)
CHAT = (
    ('["local", "gemini"]', '["local"]'),
    ('task = "colourise"', 'task = "chat"\noutput = "text"'),
    (
        'inputs.picture = { kind = "picture", title = "Your photograph" }\n\n[plans',
        'inputs.q = { kind = "text", title = "Q" }\n\n[plans',
    ),
    ('adapter = "gemini"', 'adapter = "openai_chat"'),
)
OWN = 'base_url = "http://127.0.0.1:11434/v1"'


def test_a_model_must_be_able_to_do_the_task(tmp_path: Path) -> None:
    model = "gemini-nano-banana-2.1"
    (mistake,) = mistakes(tmp_path, changed(*STABILITY, (model, "ultra")))
    assert mistake.reason == 'the provider "gemini" (model "ultra") can\'t do the task "upscale"'
    assert mistake.suggestion == 'It needs the model "fast", "conservative" or "creative".'
    assert mistakes(tmp_path, changed(*STABILITY, (model, "creative"))) == ()


def test_a_text_must_be_called_one(tmp_path: Path) -> None:
    assert mistakes(tmp_path, changed(*CHAT)) == ()
    (mistake,) = mistakes(tmp_path, changed(*CHAT, ('output = "text"\n', "")))
    assert mistake.suggestion == 'Write output = "text".'


@pytest.mark.parametrize(
    ("key_env", "own", "key", "right", "on"),
    [
        (False, True, False, True, True),  # a model of one's own needs no key
        (True, True, False, True, False),  # but where one is named, it must be there
        (True, True, True, True, True),
        (False, False, False, False, False),
    ],
)
def test_a_model_of_ones_own_needs_no_key(
    tmp_path: Path, key_env: bool, own: bool, key: bool, right: bool, on: bool
) -> None:
    lines = [*(['key_env = "GEMINI_API_KEY"'] if key_env else []), *([OWN] if own else [])]
    text = changed(*CHAT, ('key_env = "GEMINI_API_KEY"', "\n".join(lines)))
    assert (mistakes(tmp_path, text) == ()) is right
    if right:
        states = availability(load(tmp_path, text).product, {"GEMINI_API_KEY": "k"} if key else {})
        assert ("gemini" in states.usable) is on


def test_a_model_that_anybody_published_takes_every_option(tmp_path: Path) -> None:
    wanted = ('adapter = "gemini"', 'adapter = "replicate"\nnames = { picture = "images[]" }')
    option = (
        'prompt = "Colourise this."',
        'prompt = "Colourise this."\noptions.seed = { kind = "range", title = "Seed", min = 0, max = 9 }',
    )
    assert mistakes(tmp_path, changed(wanted, option)) == ()
    (mistake,) = mistakes(tmp_path, changed(option))
    assert "no provider in the route takes this option" in mistake.reason
