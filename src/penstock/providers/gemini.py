"""Google Gemini's pictures: generate, and edit with one or several pictures, by `generateContent`.

The call can't be found again after a crash and knows no idempotency key. A refusal is a 200 like a success; a model
that thinks sends its drafts before the picture. Where and how is in `docs/providers.md`.
"""

import asyncio
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from penstock.providers import replies
from penstock.providers.documents import count, table, tables, text
from penstock.providers.http import Reply, shortened
from penstock.providers.pictures import decoded, read_pictures, written
from penstock.providers.prices import Tokens
from penstock.providers.seam import Attempt, FailureKind, Finished, ProviderError, Request
from penstock.providers.vendor import JSON, Vendor, packed
from penstock.providers.words import instructions, shape_of

MAX_PICTURE_BYTES = 14_000_000  # 20 MB is the vendor's limit for a request, and base64 adds a third

_REFUSED = frozenset(
    {
        *("SAFETY", "IMAGE_SAFETY", "PROHIBITED_CONTENT", "IMAGE_PROHIBITED_CONTENT", "RECITATION"),
        *("IMAGE_RECITATION", "BLOCKLIST", "SPII", "ESCALATION", "MODEL_ARMOR", "JAILBREAK"),
    }
)
_INVALID = frozenset({"MAX_TOKENS", "LANGUAGE"})
_ABOUT_THE_PICTURE = ("input image", "provided image")
_KEY_INVALID = "API_KEY_INVALID"  # said with a 400
_ACCOUNT_LIMITED = "PUP_LIMITED_DISABLED"


class GeminiProvider(Vendor):
    """Speaks `models/MODEL:generateContent`."""

    tasks = frozenset({"restore", "colourise", "restore_colourise", "edit", "generate"})
    base_url = "https://generativelanguage.googleapis.com/v1"
    priced_as = "google"

    def _headers(self, key: str) -> Mapping[str, str]:
        return {"x-goog-api-key": key}

    def _health_path(self) -> str:
        return f"/models/{self._model}"

    async def submit(self, request: Request, attempt: Attempt) -> Finished:
        """Make the picture. Errors: ProviderError."""
        body = await asyncio.to_thread(self._body, request)
        attempt.report("waiting for the picture", None)
        reply = await self._http.order(
            f"/models/{self._model}:generateContent", timeout_s=attempt.timeout_s, content=body, headers=JSON
        )
        if not reply.ok:
            raise self._failure(reply)
        return await asyncio.to_thread(self._finished, reply, request.folder, attempt.number)

    def _body(self, request: Request) -> bytes:
        parts: list[dict[str, Any]] = [{"text": instructions(request)}]
        pictures = read_pictures(request.pictures, MAX_PICTURE_BYTES)
        parts += [{"inlineData": {"mimeType": each.media_type, "data": each.base64()}} for each in pictures]
        image = dict(self._settings.parameters)
        if (shape := shape_of(request)) is not None:
            image["aspectRatio"] = shape
        settings: dict[str, Any] = {"responseModalities": ["TEXT", "IMAGE"]}
        if image:
            settings["imageConfig"] = image
        return packed({"contents": [{"role": "user", "parts": parts}], "generationConfig": settings})

    def _finished(self, reply: Reply, folder: Path, number: int) -> Finished:
        document = self._document(reply)
        bill = self._token_bill(reply, _tokens(document))
        with bill.attached():
            return bill.finished(written(decoded(_picture(document, number)), folder))

    def _failure(self, reply: Reply) -> ProviderError:
        error = table((reply.document() or {}).get("error"))
        details = tables(error.get("details"))
        now = self._clock.now()
        waits = [replies.span(str(each.get("retryDelay"))) for each in details]
        pause = max((wait for wait in waits if wait is not None), default=None)
        until = None if pause is None else now + pause
        failure = replies.failure(reply, now, kind=_kind(reply.status, error, details), until=until)
        wrong_key = reply.status == 400 and _KEY_INVALID in {each.get("reason") for each in details}
        return self._explained(401 if wrong_key else reply.status, failure)


def _kind(status: int, error: Mapping[str, Any], details: list[dict[str, Any]]) -> FailureKind | None:
    """Return what Google's own words say; None where the status says it all."""
    if status == 429:
        quotas = [str(each.get("quotaId")) for detail in details for each in tables(detail.get("violations"))]
        return "exhausted" if any("PerDay" in quota for quota in quotas) else "limited"
    if error.get("status") == "FAILED_PRECONDITION":
        return "exhausted"
    if status == 400 and any(words in text(error.get("message")).lower() for words in _ABOUT_THE_PICTURE):
        return "invalid"
    return None


def _picture(document: Mapping[str, Any], number: int) -> object:
    """Return the picture of an answer as base64. Errors: ProviderError, whatever is there instead."""
    blocked = table(document.get("promptFeedback")).get("blockReason")
    if blocked:
        raise ProviderError("refused", f"blocked before it began: {blocked}")
    candidate = next(iter(tables(document.get("candidates"))), {})
    reason = str(candidate.get("finishReason", "STOP"))
    parts = tables(table(candidate.get("content")).get("parts"))
    said = shortened(" ".join([text(candidate.get("finishMessage")), *(text(part.get("text")) for part in parts)]))
    detail = f"no picture, {reason}: {said}" if said else f"no picture, {reason}"
    if reason in _REFUSED:
        raise ProviderError("refused", detail)
    if reason in _INVALID:
        raise ProviderError("invalid", detail)
    if reason == _ACCOUNT_LIMITED:
        raise ProviderError("exhausted", f"Google has limited this account: {detail}")
    drawn = list(_drawn(parts))
    if not drawn:
        # Chance decides whether there is a picture next time; each try is billed, so one more is enough.
        raise ProviderError("transient" if number <= 1 else "broken", detail)
    return drawn[-1]


def _drawn(parts: list[dict[str, Any]]) -> Iterator[object]:
    """Yield the pictures of an answer that are no drafts, the final one last."""
    for part in parts:
        inline = table(part.get("inlineData", part.get("inline_data")))
        if inline and part.get("thought") is not True:
            yield inline.get("data")


def _tokens(document: Mapping[str, Any]) -> Tokens | None:
    """Return the tokens that the answer reports; the details of texts may be missing, those of pictures are there."""
    usage = table(document.get("usageMetadata"))
    if not usage:
        return None
    return Tokens(
        read=count(usage.get("promptTokenCount")),
        written=count(usage.get("candidatesTokenCount")) + count(usage.get("thoughtsTokenCount")),
        images_in=_of_images(usage.get("promptTokensDetails")),
        images_out=_of_images(usage.get("candidatesTokensDetails")),
    )


def _of_images(details: object) -> int:
    return sum(count(each.get("tokenCount")) for each in tables(details) if each.get("modality") == "IMAGE")
