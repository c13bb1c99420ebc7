"""Replicate: predictions by models that anybody publishes; found again after a crash by their id.

Nothing is waited for in the order itself, so that the id is known, and written down, as early as can be. Results are
kept for an hour. `aborted` is a state that the vendor's own client does not know.
"""

import asyncio
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from penstock.product.adapters import FILMS
from penstock.product.schema_providers import Provider as Settings
from penstock.providers import replies
from penstock.providers.documents import table, text
from penstock.providers.http import Reply
from penstock.providers.models import failed, file_in, form, nothing_in
from penstock.providers.pictures import Picture, read_pictures, written
from penstock.providers.prices import timed_bill
from penstock.providers.seam import Attempt, FailureKind, Finished, Output, ProviderError, Request, Running, Submitted
from penstock.providers.surroundings import Surroundings
from penstock.providers.vendor import JSON, Vendor, packed

MAX_PICTURE_BYTES = 50_000_000
MAX_DATA_URL_BYTES = 190_000  # 256 kB is the vendor's limit for a data URL, and base64 adds a third
SECRET_S = 3_600.0  # for which the secret of webhooks is not asked for again
MIN_DEADLINE_S = 5  # the least that `Cancel-After` takes

_RESETS_IN = re.compile(r"resets in ~?(\d+(?:\.\d+)?)s")


class ReplicateProvider(Vendor):
    """Speaks `predictions`. The model is `owner/name`, or `owner/name:version`."""

    tasks = frozenset({"restore", "colourise", "restore_colourise", "edit", "generate", "upscale"}) | FILMS
    reattachable = True
    base_url = "https://api.replicate.com/v1"

    def __init__(self, name: str, settings: Settings, around: Surroundings) -> None:
        """Answer to `name`; the key comes from the environment."""
        super().__init__(name, settings, around)
        self._reading_secret = asyncio.Lock()
        self._secret: str | None = None
        self._secret_read_at = 0.0

    def _health_path(self) -> str:
        return f"/models/{self._model.partition(':')[0]}"

    async def submit(self, request: Request, attempt: Attempt) -> Submitted:
        """Hand the work over. Errors: ProviderError."""
        pictures = await asyncio.to_thread(read_pictures, request.pictures, MAX_PICTURE_BYTES)
        given = form(request, self._settings, {each.name: await self._address(each) for each in pictures})
        path, body = self._call(given)
        if attempt.webhook_url is not None:
            body |= {"webhook": attempt.webhook_url, "webhook_events_filter": ["completed"]}
        # Should we die and never come back, the vendor stops by itself.
        deadline = f"{max(MIN_DEADLINE_S, round(attempt.timeout_s))}s"
        reply = await self._http.order(
            path, timeout_s=attempt.timeout_s, content=packed(body), headers={**JSON, "cancel-after": deadline}
        )
        if not reply.ok:
            raise self._failure(reply)
        reference = text(self._document(reply).get("id"))
        if not reference:
            raise ProviderError("broken", f"no id came back: {reply.said()}")
        return Submitted(reference)

    async def poll(self, reference: str, request: Request) -> Running | Finished:
        """Look after a prediction. Errors: ProviderError."""
        reply = await self._http.look(f"/predictions/{quote(reference, safe='')}")
        prediction = reply.document()
        if not reply.ok or prediction is None:
            raise self._lost(reply)
        status = text(prediction.get("status"))
        if status in {"starting", "processing"}:
            return Running("waiting for a machine" if status == "starting" else "working")
        seconds = table(prediction.get("metrics")).get("predict_time")
        bill = timed_bill(self._settings, seconds, whole=True)
        if status == "aborted":  # never began, and is not billed
            raise ProviderError("transient", "it did not begin before its deadline", final=True)
        with bill.attached():
            if status == "canceled":
                raise ProviderError("transient", "it was cancelled at the vendor", final=True)
            if status == "failed":
                raise failed(prediction.get("error"))
            if status != "succeeded":
                raise ProviderError("unknown", f"the vendor calls it {status!r}")
            return bill.finished(await self._output(prediction, request))

    async def cancel(self, reference: str) -> None:
        """Stop a prediction. Errors: ProviderError."""
        reply = await self._http.look(f"/predictions/{quote(reference, safe='')}/cancel", method="POST")
        if not reply.ok:
            raise self._failure(reply)

    async def webhook_secret(self) -> str:
        """Return the account's secret for webhooks, which the vendor is asked for once an hour at most.

        Errors: ProviderError.
        """
        async with self._reading_secret:
            if self._secret is None or self._clock.now() - self._secret_read_at > SECRET_S:
                reply = await self._http.look("/webhooks/default/secret")
                if not reply.ok:
                    raise self._failure(reply)
                self._secret, self._secret_read_at = text(self._document(reply).get("key")), self._clock.now()
            if not self._secret:
                raise ProviderError("broken", "the vendor names no secret for webhooks")
            return self._secret

    async def _output(self, prediction: Mapping[str, Any], request: Request) -> Output:
        found = file_in(prediction.get("output"))
        if found is None:
            raise nothing_in(prediction.get("output"), request.task)
        return await asyncio.to_thread(written, await self._picture(found), request.folder, task=request.task)

    async def _address(self, picture: Picture) -> str:
        """Return where the vendor finds a picture: in the request itself, or sent ahead, which costs nothing."""
        if len(picture.content) <= MAX_DATA_URL_BYTES:
            return picture.data_url()
        reply = await self._http.upload("/files", "content", (picture.filename, picture.content, picture.media_type))
        if not reply.ok:
            raise self._failure(reply)
        url = text(table(self._document(reply).get("urls")).get("get"))
        if not url:
            raise ProviderError("broken", f"the picture was taken without an address: {reply.said()}")
        return url

    def _call(self, given: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
        name, _, version = self._model.partition(":")
        if version:
            return "/predictions", {"version": version, "input": given}
        return f"/models/{quote(name)}/predictions", {"input": given}

    def _failure(self, reply: Reply) -> ProviderError:
        now = self._clock.now()
        hint = _RESETS_IN.search(replies.message_of(reply)) if reply.status == 429 else None
        until = None if hint is None else now + float(hint[1])
        # 422: names or types of the model's fields are wrong
        kind: FailureKind | None = "broken" if reply.status == 422 else None
        return self._explained(reply.status, replies.failure(reply, now, kind=kind, until=until))
