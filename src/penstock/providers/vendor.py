"""What the adapters of vendors over HTTP have in common; each of them adds its wire format and its words.

An adapter builds the body and reads the answer in threads, for both hold pictures of megabytes.
"""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar

from penstock.product.schema_providers import Provider as Settings
from penstock.providers import replies
from penstock.providers.http import Reply, VendorClient
from penstock.providers.pictures import decoded
from penstock.providers.prices import Bill, Tokens, bill_of
from penstock.providers.seam import FailureKind, Finished, Health, ProviderError, Request, Running
from penstock.providers.surroundings import Surroundings

JSON = {"content-type": "application/json"}

_REMEDIES: Mapping[FailureKind, str] = {
    "transient": "See whether base_url and the network are right, and try again later.",
    "limited": "The key is right: try again later.",
    "exhausted": "Pay, or raise the limit, at the vendor.",
}


def remedy_for(error: ProviderError) -> str | None:
    """Return what an operator does about a failure; None where nobody can say."""
    return error.remedy or _REMEDIES.get(error.kind)


class Vendor:
    """A provider that is asked over HTTP and bills for what it does."""

    tasks: frozenset[str]
    billed = True
    reattachable = False
    base_url: ClassVar[str]
    priced_as: ClassVar[str | None] = None
    """The vendor as genai-prices names it, where that may know what the vendor's models cost."""

    def __init__(self, name: str, settings: Settings, around: Surroundings) -> None:
        """Answer to `name`; the key comes from the environment."""
        self.name = name
        self._settings = settings
        self._clock = around.clock
        key = around.environment.get(settings.key_env or "", "").strip()
        self._http = VendorClient(settings.base_url or self.base_url, self._headers(key), secret=key)

    @property
    def _model(self) -> str:
        assert self._settings.model is not None, "the check of the product file asks for it"
        return self._settings.model

    def _headers(self, key: str) -> Mapping[str, str]:
        """Return what every request carries."""
        return {"authorization": f"Bearer {key}"} if key else {}

    async def poll(self, reference: str, request: Request) -> Running | Finished:  # noqa: ARG002
        """Never asked: this vendor answers in one call."""
        raise ProviderError("unknown", f"{self.name} can't find work again, {reference} neither", final=True)

    async def cancel(self, reference: str) -> None:
        """Nothing to stop: closing the connection is all that can be done."""

    async def health(self) -> Health:
        """Say whether key and model are right, with a call that costs nothing."""
        try:
            reply = await self._http.look(self._health_path())
            if not reply.ok:
                raise self._failure(reply)
        except ProviderError as error:
            return Health(ok=False, detail=error.detail, remedy=remedy_for(error))
        return self._healthy(reply)

    async def close(self) -> None:
        """Close the connections."""
        await self._http.close()

    def _health_path(self) -> str:
        """Return an address that answers whether key and model are right, for nothing."""
        raise NotImplementedError

    def _healthy(self, reply: Reply) -> Health:  # noqa: ARG002 - for those whose answer says more
        """Return what a good answer from there says."""
        return Health(ok=True)

    def _token_bill(self, reply: Reply, tokens: Tokens | None) -> Bill:
        """Return what a call cost that is billed by tokens, and until when the vendor takes no more after it."""
        assert self.priced_as is not None, "only who is billed by tokens asks"
        bill = bill_of(self.priced_as, self._model, tokens, self._settings)
        return replace(bill, full_until=replies.full_until(reply, self._clock.now()))

    def _failure(self, reply: Reply) -> ProviderError:
        """Return what an answer that is no success means."""
        return self._explained(reply.status, replies.failure(reply, self._clock.now()))

    def _explained(self, status: int, error: ProviderError) -> ProviderError:
        """Say to the operator which setting is likely wrong."""
        settings = self._settings
        hints = {
            401: f"{settings.key_env or 'a key'} is not accepted",
            403: f"the key in {settings.key_env or 'key_env'} may not use {settings.model or 'this'}",
            404: f"there is no model {settings.model}, or base_url is wrong",
        }
        if error.kind != "broken" or status not in hints:
            return error
        explained = ProviderError("broken", f"{hints[status]} ({error.detail})")
        explained.remedy = self._remedy(status)
        return explained

    def _remedy(self, status: int) -> str:
        """Return what an operator does about one of these."""
        variable = self._settings.key_env
        if status == 401 and variable is None:
            return f"Name the variable that holds the key in providers.{self.name}.key_env."
        if status == 401:
            return f"Make a new key at the vendor, and set {variable} to it."
        if status == 403:
            return f"Allow it at the vendor, or set {variable or 'key_env'} to another key."
        return f"Put providers.{self.name}.model or base_url right."

    def _lost(self, reply: Reply) -> ProviderError:
        """Return what it means that a look at work under way failed: nothing about the work, unless it is gone."""
        if reply.status in {404, 410}:
            return ProviderError("unknown", f"the work is gone: HTTP {reply.status}", final=True)
        error = self._failure(reply)
        return error if error.kind in {"transient", "limited"} else ProviderError("unknown", error.detail)

    async def _picture(self, value: object) -> bytes:
        """Return a picture that a vendor gives as base64, or by its address. Errors: ProviderError.

        Where the work can't be looked at again, a picture that can't be fetched now is lost.
        """
        if isinstance(value, str) and value.startswith(("https://", "http://")):
            return await self._http.fetch(value, "transient" if self.reattachable else "unknown")
        return await asyncio.to_thread(decoded, value)

    def _document(self, reply: Reply) -> dict[str, Any]:
        """Return the JSON of a success. Errors: ProviderError, `broken`."""
        document = reply.document()
        if document is None:
            raise ProviderError("broken", f"the answer is not JSON but {reply.media_type or 'nothing'}: {reply.said()}")
        return document


def packed(document: Mapping[str, Any]) -> bytes:
    """Return a document as the body of a request."""
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()
