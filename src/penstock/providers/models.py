"""Models that anybody may publish (RunPod, Replicate): a free form in, whatever the model likes out.

    in    prompt, pictures by the names of the operation's inputs, options, the provider's parameters
    out   a picture or video: an address or base64, alone, in a list, or under one of the usual names

`names` in the product file says what the model calls an input or an option where that differs.
"""

import re
from collections.abc import Mapping
from typing import Any

from penstock.product.adapters import comes_to
from penstock.product.schema_providers import Provider as Settings
from penstock.providers.documents import text
from penstock.providers.http import shortened
from penstock.providers.seam import FailureKind, ProviderError, Request

PROMPT = "prompt"
_PLACES = ("video_url", "video", "videos", "image_url", "image", "images", "s3_url", "url", "output", "result")
_MAX_DEPTH = 4

# Models say in words what went wrong; these are looked for loosely, in this order.
_REFUSED = r"nsfw|sensitive|E005|content policy|moderation|safety (?:check|filter|system)"
_PASSING = r"out of memory|CUDA|interrupted|worker|timed? ?out|unavailable|connection"
_KINDS: tuple[tuple[FailureKind, re.Pattern[str]], ...] = (
    ("refused", re.compile(_REFUSED, re.IGNORECASE)),
    ("transient", re.compile(_PASSING, re.IGNORECASE)),
)


def form(request: Request, settings: Settings, pictures: Mapping[str, str]) -> dict[str, Any]:
    """Return what a model is given.

    Args:
        pictures: how each picture travels, by input name: an address or a data URL.
    """
    fields: dict[str, Any] = {**pictures}
    said = request.prompt or "\n\n".join(filter(None, request.texts.values()))
    if said:  # there are models that take no words
        fields[PROMPT] = said
    fields |= {name: value for name, value in request.options.items() if value is not None and name != "corners"}
    filled: dict[str, Any] = {}
    for name, value in fields.items():
        called = settings.names.get(name, name)
        if called.endswith("[]"):
            filled.setdefault(called.removesuffix("[]"), []).append(value)
        else:
            filled[called] = value
    return {**filled, **settings.parameters}


def file_in(output: object, depth: int = 0) -> str | None:
    """Return the address or the base64 of the first picture or video in what a model gave; None if there is none."""
    if isinstance(output, str):
        return output or None
    if depth >= _MAX_DEPTH:
        return None
    if isinstance(output, list):
        inner = output[:1]
    else:
        inner = [output[name] for name in _PLACES if name in output] if isinstance(output, dict) else []
    return next((found for each in inner if (found := file_in(each, depth + 1)) is not None), None)


def nothing_in(output: object, task: str) -> ProviderError:
    """Return what it means that finished work holds no file: it was thrown away, or it is something else."""
    if output is None:
        return ProviderError("unknown", "its result is gone", final=True)
    return ProviderError("broken", f"its output holds no {comes_to(task)}: {shortened(str(output)[:1_000])}")


def failed(said: object) -> ProviderError:
    """Return what it means that a model failed with these words."""
    words = text(said) or "it failed without a word"
    kinds = (kind for kind, pattern in _KINDS if pattern.search(words))
    return ProviderError(next(kinds, "broken"), shortened(words), final=True)
