"""A stand-in for Google's `generateContent` with an image model."""

import base64
import re
from collections.abc import Callable
from typing import Any

from tests.support.vendors.case import Arrange, Case, next_order
from tests.support.vendors.drawn import landscape, tinted
from tests.support.vendors.wire import KEY, Answer, Asked, StandIn

MODEL = "gemini-nano-banana-2.1"
_MODEL_PATH = re.compile(r"/v1(?:beta)?/models/([^/:]+)(:generateContent)?")
IMAGE_TOKENS, PROMPT_TOKENS = 1_120, 260

_STANDARD = str.maketrans("-_", "+/")  # Google takes both alphabets of base64, and its own client writes the other
BLOCK_REASONS = ("SAFETY", "OTHER", "BLOCKLIST", "PROHIBITED_CONTENT", "IMAGE_SAFETY", "JAILBREAK", "MODEL_ARMOR")
REFUSING = (
    *("SAFETY", "IMAGE_SAFETY", "PROHIBITED_CONTENT", "IMAGE_PROHIBITED_CONTENT", "RECITATION"),
    *("IMAGE_RECITATION", "BLOCKLIST", "SPII", "ESCALATION", "MODEL_ARMOR"),
)


class GoogleStandIn(StandIn):
    """Edits by tinting, generates a landscape; sends drafts before the picture, as models that think do."""

    def is_order(self, asked: Asked) -> bool:
        return asked.method == "POST"

    def admitted(self, asked: Asked) -> Answer | None:
        if KEY in {asked.headers.get("x-goog-api-key"), asked.query.get("key")}:
            return None
        reason = {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID"}
        return error(400, "INVALID_ARGUMENT", "API key not valid. Please pass a valid API key.", reason)

    def look(self, asked: Asked) -> Answer:
        found = _MODEL_PATH.fullmatch(asked.path)
        if found is None or found[1] != MODEL:
            return error(404, "NOT_FOUND", f"{asked.path} is not found")
        return Answer.json({"name": f"models/{MODEL}", "supportedGenerationMethods": ["generateContent"]})

    def work(self, asked: Asked) -> Answer:
        found = _MODEL_PATH.fullmatch(asked.path)
        if found is None or found[1] != MODEL or found[2] is None:
            return error(404, "NOT_FOUND", f"models/{found and found[1]} is not found for API version v1")
        body = asked.json()
        parts = [part for content in body["contents"] for part in content["parts"]]
        if not any(part.get("text") for part in parts):
            return error(400, "INVALID_ARGUMENT", "Unable to submit request because it must have a text parameter.")
        if "IMAGE" not in body["generationConfig"]["responseModalities"]:
            return self.answered([{"text": "I can only talk."}])
        sent = [part.get("inlineData") or part.get("inline_data") for part in parts]
        pictures = [base64.b64decode(inline["data"].translate(_STANDARD)) for inline in sent if inline]
        return self.with_picture(tinted(pictures[0]) if pictures else landscape(), len(pictures))

    def with_picture(self, content: bytes, pictures_in: int = 1, media_type: str = "image/png") -> Answer:
        """Return a success with a draft, some words and the picture."""
        draft = {"inlineData": {"mimeType": "image/png", "data": _text(landscape(16, 16))}, "thought": True}
        final = {"inlineData": {"mimeType": media_type, "data": _text(content)}, "thoughtSignature": "c2ln"}
        return self.answered(
            [{"text": "Thinking.", "thought": True}, draft, {"text": "Here it is."}, final], pictures_in
        )

    def answered(self, parts: list[dict[str, Any]], pictures_in: int = 0, reason: str = "STOP") -> Answer:
        """Return a 200 with these parts."""
        candidate: dict[str, Any] = {"index": 0, "finishReason": reason}
        if parts:
            candidate["content"] = {"role": "model", "parts": parts}
        images = 560 * pictures_in
        usage = {
            "promptTokenCount": PROMPT_TOKENS + images,
            "candidatesTokenCount": IMAGE_TOKENS + 10,
            "thoughtsTokenCount": 30,
            "totalTokenCount": PROMPT_TOKENS + images + IMAGE_TOKENS + 40,
            "promptTokensDetails": [
                {"modality": "TEXT", "tokenCount": PROMPT_TOKENS},
                {"modality": "IMAGE", "tokenCount": images},
            ],
            "candidatesTokensDetails": [{"modality": "IMAGE", "tokenCount": IMAGE_TOKENS}],
        }
        document = {"candidates": [candidate], "usageMetadata": usage, "modelVersion": MODEL, "responseId": "r-1"}
        return Answer.json(document)


def blocked(reason: str) -> Answer:
    """Return a 200 that refuses before anything was made."""
    return Answer.json({"promptFeedback": {"blockReason": reason}, "usageMetadata": {"promptTokenCount": 5}})


def limited(pause: str | None, quota: str = "GenerateRequestsPerMinutePerProjectPerModel") -> Answer:
    """Return a 429; `pause` as Google writes it, such as `34s`."""
    details: list[dict[str, Any]] = [
        {"@type": "type.googleapis.com/google.rpc.QuotaFailure", "violations": [{"quotaId": quota}]}
    ]
    if pause is not None:
        details.append({"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": pause})
    return error(429, "RESOURCE_EXHAUSTED", "You exceeded your current quota.", *details)


def error(code: int, status: str, message: str, *details: dict[str, Any]) -> Answer:
    """Return an error as Google words it."""
    said: dict[str, Any] = {"code": code, "message": message, "status": status}
    if details:
        said["details"] = list(details)
    return Answer.json({"error": said}, code)


def _text(content: bytes) -> str:
    return base64.b64encode(content).decode()


def _ending(reason: str) -> Arrange:
    return lambda vendor: vendor.faults.append(vendor.answered([], reason=reason))


def _damaged(spoil: Callable[[bytes], object]) -> Arrange:
    part = {"inlineData": {"mimeType": "image/png", "data": spoil(landscape())}}
    return lambda vendor: vendor.faults.append(vendor.answered([part]))


CASE = Case(
    adapter="gemini",
    stand_in=GoogleStandIn,
    settings={"model": MODEL},
    base="/v1",
    task="colourise",
    makes="picture",
    # 820 tokens in at 1.50, 1,120 of pictures at 30 and 40 of words at 7.50 US dollars for a million
    cost=(1_230 + 33_600 + 300, False),
    tokens=PROMPT_TOKENS + 560 + IMAGE_TOKENS + 40,
    limited=next_order(limited("34s")),
    limited_silently=next_order(error(429, "RESOURCE_EXHAUSTED", "Too many.")),
    used_up={
        "a day's quota": next_order(limited("34s", "GenerateRequestsPerDayPerProjectPerModel")),
        "billing": next_order(error(400, "FAILED_PRECONDITION", "Enable billing.")),
        "payment": next_order(error(402, "PAYMENT_REQUIRED", "Pay.")),
        "a limited account": lambda vendor: vendor.faults.append(vendor.answered([], reason="PUP_LIMITED_DISABLED")),
    },
    overloaded={
        "unavailable": next_order(error(503, "UNAVAILABLE", "The model is overloaded.")),
        "internal": next_order(error(500, "INTERNAL", "An internal error has occurred.")),
        "deadline": next_order(error(504, "DEADLINE_EXCEEDED", "Deadline expired.")),
        "no picture": lambda vendor: vendor.faults.append(vendor.answered([], reason="NO_IMAGE")),
        "only words": lambda vendor: vendor.faults.append(vendor.answered([{"text": "I can't."}])),
        "no candidate": next_order(Answer.json({"usageMetadata": {"promptTokenCount": 5}})),
    },
    refusals={
        **{f"blocked: {reason}": next_order(blocked(reason)) for reason in BLOCK_REASONS},
        **{f"finished: {reason}": _ending(reason) for reason in REFUSING},
    },
    damaged={
        "half of the base64": _damaged(lambda picture: _text(picture)[:-3]),
        "no picture at all": _damaged(lambda _: _text(b"<svg/>")),
        "a number for a picture": _damaged(lambda _: 7),
    },
)
