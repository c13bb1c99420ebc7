"""Stability AI v2beta: pictures from words, inpainting, upscaling; creative upscaling on its own time.

A picture that its filter has blurred comes as a success with `finish_reason` CONTENT_FILTERED. There are no headers
about rates: the vendor allows 150 requests in 10 s and then shuts everybody out for a minute.
"""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from penstock.providers import replies
from penstock.providers.documents import items, text
from penstock.providers.http import Reply
from penstock.providers.pictures import decoded, read_pictures, written
from penstock.providers.prices import flat_bill
from penstock.providers.seam import (
    Attempt,
    FailureKind,
    Finished,
    Health,
    ProviderError,
    Request,
    Running,
    Submitted,
)
from penstock.providers.vendor import Vendor
from penstock.providers.words import instructions, shape_of

MAX_PICTURE_BYTES = 9_500_000  # 10 MiB is the vendor's limit for a request
SHUT_OUT_S = 60.0
LOOK_EVERY_S = 10.0  # the vendor's limit for one piece of work
STRENGTH = "0.6"  # how much of a picture may change where there is no mask, 0..1; unless the parameters say
MASK = "mask"

_KINDS: dict[str, FailureKind] = {
    "content_moderation": "refused",
    "public_figure": "refused",
    "invalid_language": "invalid",
    "payload_too_large": "invalid",
    "payment_required": "exhausted",
    "rate_limit_exceeded": "limited",
}
_THE_CUSTOMERS = ("prompt", "image", "mask")


class StabilityProvider(Vendor):
    """Speaks `stable-image/…` and `results/ID`."""

    tasks = frozenset({"edit", "generate", "upscale"})
    reattachable = True
    base_url = "https://api.stability.ai"

    def _headers(self, key: str) -> Mapping[str, str]:
        return {"authorization": f"Bearer {key}", "accept": "application/json"}

    async def submit(self, request: Request, attempt: Attempt) -> Submitted | Finished:
        """Make the picture, or hand the work over. Errors: ProviderError."""
        pictures = await asyncio.to_thread(read_pictures, request.pictures, MAX_PICTURE_BYTES)
        path, fields = self._call(request)
        files = [
            (MASK if each.name == MASK else "image", (each.filename, each.content, each.media_type))
            for each in pictures
        ]
        if not files:
            files = [("none", ("none", b"", "application/octet-stream"))]  # the vendor takes forms with files alone
        attempt.report("waiting for the picture", None)
        reply = await self._http.order(
            f"/v2beta/stable-image/{path}", timeout_s=attempt.timeout_s, fields=fields, files=files
        )
        if not reply.ok:
            raise self._failure(reply)
        reference = text(self._document(reply).get("id"))
        if reference:
            return Submitted(reference)
        return await asyncio.to_thread(self._finished, reply, request.folder)

    async def poll(self, reference: str, request: Request) -> Running | Finished:
        """Look after work that was handed over. Errors: ProviderError."""
        reply = await self._http.look(f"/v2beta/results/{quote(reference, safe='')}")
        if reply.status == 202:
            return Running("working", pause_s=LOOK_EVERY_S)
        if reply.status == 403 and (refused := self._failure(reply)).kind == "refused":
            raise refused
        if not reply.ok or reply.document() is None:
            raise self._lost(reply)
        return await asyncio.to_thread(self._finished, reply, request.folder)

    def _health_path(self) -> str:
        return "/v1/user/balance"

    def _healthy(self, reply: Reply) -> Health:
        left = (reply.document() or {}).get("credits")
        used_up = isinstance(left, int | float) and left <= 0
        return Health(not used_up, f"{left} credits left", "Buy credits at the vendor." if used_up else None)

    def _call(self, request: Request) -> tuple[str, dict[str, str]]:
        """Return the path and the fields of a task."""
        fields = {"output_format": "png"}
        if self._model != "fast":  # which takes no words
            fields["prompt"] = instructions(request)
        if request.task == "upscale":
            return f"upscale/{self._model}", {**fields, **self._parameters()}
        if MASK in request.pictures:
            return "edit/inpaint", {**fields, **self._parameters()}
        if request.pictures:
            fields |= {"strength": STRENGTH}
        elif (shape := shape_of(request)) is not None:
            fields["aspect_ratio"] = _RATIOS.get(shape, shape)
        if not self._model.startswith("sd3"):
            return f"generate/{self._model}", {**fields, **self._parameters()}
        mode = "image-to-image" if request.pictures else "text-to-image"
        return "generate/sd3", {**fields, "model": self._model, "mode": mode, **self._parameters()}

    def _parameters(self) -> dict[str, str]:
        parameters = self._settings.parameters.items()
        return {name: str(value).lower() if isinstance(value, bool) else str(value) for name, value in parameters}

    def _finished(self, reply: Reply, folder: Path) -> Finished:
        document = self._document(reply)
        bill = flat_bill(self._settings)
        with bill.attached():
            if document.get("finish_reason") == "CONTENT_FILTERED":
                raise ProviderError("refused", "the picture was blurred by the vendor's filter")
            return bill.finished(written(decoded(document.get("image") or document.get("result")), folder))

    def _failure(self, reply: Reply) -> ProviderError:
        now = self._clock.now()
        failure = replies.failure(reply, now, kind=_kind(reply))
        if failure.kind == "limited" and failure.until is None:
            failure.until = now + SHUT_OUT_S
        if reply.status == 403 and failure.kind == "refused":
            return failure
        return self._explained(reply.status, failure)


# The vendor knows no 3:4.
_RATIOS: Mapping[str, str] = {"3:4": "4:5", "4:3": "5:4"}


def _kind(reply: Reply) -> FailureKind | None:
    """Return what the vendor's own words say; None where the status says it all."""
    document: dict[str, Any] = reply.document() or {}
    known = _KINDS.get(text(document.get("name")))
    if known is not None or reply.status != 400:
        return known
    about = [text(each) for each in items(document.get("errors"))]
    return "invalid" if any(each.startswith(_THE_CUSTOMERS) for each in about) else None
