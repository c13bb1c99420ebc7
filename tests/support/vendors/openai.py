"""A stand-in for OpenAI, and for what is compatible with it: pictures and chat."""

import base64
from collections.abc import Callable, Mapping
from typing import Any

from tests.support.vendors.case import Arrange, Case, next_order
from tests.support.vendors.drawn import landscape, tinted
from tests.support.vendors.wire import KEY, Answer, Asked, StandIn

IMAGE_MODEL, CHAT_MODEL = "gpt-image-2.5-flare", "gpt-5-mini"
REFUSALS = ("moderation_blocked", "content_policy_violation")


class OpenAiStandIn(StandIn):
    """Edits by tinting, generates a landscape, writes a line or a diagram. `keyless`: like a model of one's own."""

    keyless = False

    def is_order(self, asked: Asked) -> bool:
        return asked.method == "POST"

    def admitted(self, asked: Asked) -> Answer | None:
        if self.keyless or asked.headers.get("authorization") == f"Bearer {KEY}":
            return None
        return error(401, "Incorrect API key provided: another-key.", "invalid_api_key", "invalid_request_error")

    def look(self, asked: Asked) -> Answer:
        if asked.path == "/v1/models":
            models = [{"id": name, "object": "model"} for name in (IMAGE_MODEL, CHAT_MODEL)]
            return Answer.json({"object": "list", "data": models})
        return Answer(200, self.kept[asked.path], {"content-type": "image/png"}) if asked.path in self.kept else _gone()

    def __init__(self) -> None:
        super().__init__()
        self.kept: dict[str, bytes] = {}

    def work(self, asked: Asked) -> Answer:
        if asked.path == "/v1/images/generations":
            return self._generated(asked.json())
        if asked.path == "/v1/images/edits":
            form = asked.form()
            return self._edited(form.fields, form.files)
        if asked.path == "/v1/chat/completions":
            return self._written(asked.json())
        return error(404, f"Invalid URL (POST {asked.path})", None, "invalid_request_error")

    def _generated(self, body: Mapping[str, Any]) -> Answer:
        if body["model"] != IMAGE_MODEL:
            return error(404, f"The model {body['model']} does not exist", "model_not_found", "invalid_request_error")
        if "response_format" in body or not body.get("prompt"):
            return error(400, "Unknown parameter: 'response_format'.", "unknown_parameter", "invalid_request_error")
        width, height = (int(side) for side in body.get("size", "96x64").split("x"))
        return pictured(landscape(width // 16, height // 16))

    def _edited(self, fields: Mapping[str, str], files: list[tuple[str, str, bytes]]) -> Answer:
        pictures = [content for name, _, content in files if name in {"image", "image[]"}]
        if not pictures or fields["model"] != IMAGE_MODEL or not fields["prompt"]:
            return error(400, "Missing required parameter: 'image'.", "missing", "invalid_request_error")
        return pictured(tinted(pictures[0]))

    def _written(self, body: Mapping[str, Any]) -> Answer:
        if body["model"] != CHAT_MODEL:
            return error(404, f"The model {body['model']} does not exist", "model_not_found", "invalid_request_error")
        wants_diagram = any("Mermaid" in each["content"] for each in body["messages"] if each["role"] == "system")
        said = body["messages"][-1]["content"]
        return said_so("flowchart TD\n  a --> b" if wants_diagram else f"You said: {said}")


def pictured(content: bytes, *, usage: bool = True) -> Answer:
    """Return a picture as OpenAI does."""
    document: dict[str, Any] = {"created": 1, "data": [{"b64_json": base64.b64encode(content).decode()}]}
    if usage:
        document["usage"] = {
            "input_tokens": 50,
            "input_tokens_details": {"image_tokens": 40, "text_tokens": 10},
            "output_tokens": 4_160,
            "output_tokens_details": {"image_tokens": 4_160, "text_tokens": 0},
            "total_tokens": 4_210,
        }
    return Answer.json(document)


def said_so(content: object, reason: str = "stop", **message: Any) -> Answer:
    """Return a text as OpenAI does."""
    choice = {
        "index": 0,
        "finish_reason": reason,
        "message": {"role": "assistant", "content": content, **message},
    }
    usage = {
        "prompt_tokens": 100,
        "completion_tokens": 20,
        "total_tokens": 120,
        "prompt_tokens_details": {"cached_tokens": 0},
    }
    document = {"id": "c-1", "object": "chat.completion", "created": 1, "model": CHAT_MODEL, "choices": [choice]}
    return Answer.json({**document, "usage": usage})


def error(status: int, message: str, code: str | None = None, kind: str = "server_error", **headers: str) -> Answer:
    """Return an error as OpenAI words it."""
    said = {"message": message, "type": kind, "param": None, "code": code}
    return Answer.json({"error": said}, status, **headers)


def _gone() -> Answer:
    return error(404, "Not found")


def _spoilt(spoil: Callable[[bytes], object]) -> Arrange:
    document = {"created": 1, "data": [{"b64_json": spoil(landscape())}]}
    return next_order(Answer.json(document))


_LIMITED = next_order(error(429, "Rate limit reached.", "rate_limit_exceeded", "requests", retry_after="34"))
_SILENTLY = next_order(error(429, "Rate limit reached.", "rate_limit_exceeded", "requests"))
_USED_UP = {
    "quota": next_order(error(429, "You exceeded your quota.", "insufficient_quota", "insufficient_quota")),
    "a hard limit": next_order(error(400, "Billing hard limit.", "billing_hard_limit_reached", "image_error")),
}
_OVERLOADED = {
    "server error": next_order(error(500, "The server had an error.")),
    "overloaded": next_order(error(503, "The engine is overloaded.")),
    "conflict": next_order(error(409, "Try again.")),
}

IMAGES = Case(
    adapter="openai_images",
    stand_in=OpenAiStandIn,
    settings={"model": IMAGE_MODEL, "parameters": {"quality": "low"}},
    base="/v1",
    task="colourise",
    makes="picture",
    cost=(50 + 320 + 124_800, False),  # 10 tokens of words at 5, 40 of pictures at 8, 4,160 at 30 dollars for a million
    tokens=4_210,
    limited=_LIMITED,
    limited_silently=_SILENTLY,
    used_up=_USED_UP,
    overloaded=_OVERLOADED,
    refusals={code: next_order(error(400, "Blocked.", code, "image_generation_user_error")) for code in REFUSALS},
    damaged={
        "half of the base64": _spoilt(lambda picture: base64.b64encode(picture).decode()[:-3]),
        "no picture at all": _spoilt(lambda _: base64.b64encode(b"<svg/>").decode()),
        "nothing": next_order(Answer.json({"created": 1, "data": []})),
    },
    lost={
        "a result that vanished": lambda vendor: vendor.faults.append(
            Answer.json({"created": 1, "data": [{"url": f"{vendor.url}/v1/files/gone.png"}]})
        )
    },
)

CHAT = Case(
    adapter="openai_chat",
    stand_in=OpenAiStandIn,
    settings={"model": CHAT_MODEL},
    base="/v1",
    task="chat",
    makes="text",
    cost=(25 + 40, False),  # 100 tokens at 0.25, 20 at 2 US dollars for a million
    tokens=120,
    limited=_LIMITED,
    limited_silently=_SILENTLY,
    used_up=_USED_UP,
    overloaded=_OVERLOADED,
    refusals={
        "in words": next_order(said_so(None, refusal="I can't help with that.")),
        "filtered": next_order(said_so("", "content_filter")),
        "blocked": next_order(error(400, "Blocked.", "content_policy_violation")),
    },
    damaged={
        "nothing": next_order(said_so("")),
        "only thoughts": next_order(said_so("<think>Well.</think>  ")),
        "cut off": next_order(said_so("And then", "length")),
        "endless": next_order(said_so("x" * 100_001)),
    },
)
