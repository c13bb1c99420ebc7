"""How Polar is spoken to: JSON requests with a pinned version, and webhooks signed as Standard Webhooks 1.0 has it.

Polar remembers no requests: what is sent twice is done twice. So only reading is tried again here. Whoever changes
something looks, when an answer was lost, whether it has happened (`polar`). The wire format is cross-checked with
Polar's own library in tests/contracts/test_polar_peer.py.
"""

import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any

import httpx2

from penstock.billing.payments import (
    PaymentDeclinedError,
    PaymentRefusedError,
    PaymentUnavailableError,
)
from penstock.billing.wire import TIMEOUT_S, Answer, Values
from penstock.kit.signed_webhooks import WebhookRefusedError, signed_id

API = "https://api.polar.sh"
VERSION = "2026-10"
PAGE_ROWS = 100
MAX_PAGES = 1_000
MAX_KIND_CHARACTERS = 200  # of what a webhook is called
_SERVER_ERRORS_FROM = 500
_DECLINED, _MISSING, _TOO_MANY = 402, 404, 429


class MissingError(PaymentRefusedError):
    """There is no such thing at Polar."""


@dataclass(frozen=True)
class Signed:
    """A webhook that Polar signed; `at` is when it happened, in seconds since 1970 UTC."""

    id: str
    values: Values
    at: float


class PolarWire:
    """One organisation at Polar.

    Args:
        key: an organisation access token.
        base_url: another server that speaks the same, such as Polar's sandbox.
    """

    def __init__(self, key: str, base_url: str | None = None, transport: httpx2.AsyncBaseTransport | None = None):
        headers = {"Authorization": f"Bearer {key}", "Polar-Version": VERSION}
        self._client = httpx2.AsyncClient(
            base_url=base_url or API, headers=headers, timeout=TIMEOUT_S, transport=transport, trust_env=False
        )

    async def send(self, method: str, path: str, values: Mapping[str, Any]) -> Answer:
        """Change something, trying once.

        Errors: PaymentRefusedError, PaymentDeclinedError, MissingError; PaymentUnavailableError: it may have happened.
        """
        return _read(await self._ask(method, path, content=values))

    async def get(self, path: str, query: Mapping[str, Any] | None = None) -> Answer:
        """Read something. Errors: PaymentRefusedError, MissingError, PaymentUnavailableError."""
        try:
            return _read(await self._ask("GET", path, query=query))
        except PaymentUnavailableError:
            return _read(await self._ask("GET", path, query=query))

    async def pages(self, path: str, query: Mapping[str, Any]) -> AsyncIterator[tuple[Values, float]]:
        """Yield each entry of a list with the time of its page. Errors as `get`."""
        for number in range(1, MAX_PAGES + 1):
            answer = await self.get(path, {**query, "page": number, "limit": PAGE_ROWS})
            for entry in answer.values["items"]:
                yield entry, answer.at
            if number >= answer.values["pagination"]["max_page"]:
                return
        raise PaymentUnavailableError(f"{path} has more than {MAX_PAGES * PAGE_ROWS:,} entries")

    async def close(self) -> None:
        """Let go of connections."""
        await self._client.aclose()

    async def _ask(
        self,
        method: str,
        path: str,
        *,
        content: Mapping[str, Any] | None = None,
        query: Mapping[str, Any] | None = None,
    ) -> httpx2.Response:
        try:
            return await self._client.request(method, path, json=content, params=query)
        except httpx2.TransportError as error:
            raise PaymentUnavailableError(f"Polar did not answer: {type(error).__name__}") from error


def verified(headers: Mapping[str, str], body: bytes, secret: str, now: float) -> Signed:
    """Return the webhook that Polar signed just now. Errors: WebhookRefusedError."""
    name = signed_id(headers, body, secret, now, vendor="Polar")
    try:
        event = json.loads(body)
    except ValueError as error:
        raise WebhookRefusedError("the body is no JSON") from error
    if not isinstance(event, dict) or not isinstance(event.get("data"), dict):
        raise WebhookRefusedError("the body is no event")
    kind, stamp = event.get("type"), event.get("timestamp")
    if not isinstance(kind, str) or not 0 < len(kind) <= MAX_KIND_CHARACTERS or not isinstance(stamp, str):
        raise WebhookRefusedError("the body is no event")
    try:
        return Signed(name, event, datetime.fromisoformat(stamp).timestamp())
    except (ValueError, OverflowError) as error:
        raise WebhookRefusedError("the body is no event") from error


def _read(response: httpx2.Response) -> Answer:
    status = response.status_code
    if status >= _SERVER_ERRORS_FROM or status == _TOO_MANY:
        raise PaymentUnavailableError(f"Polar answered {status}")
    try:
        values = response.json()
        at = parsedate_to_datetime(response.headers["date"]).timestamp()
    except (ValueError, KeyError) as error:
        raise PaymentUnavailableError(f"Polar's answer {status} can't be read") from error
    if response.is_error or not isinstance(values, dict):
        told = values if isinstance(values, dict) else {}
        kinds = {_DECLINED: PaymentDeclinedError, _MISSING: MissingError}
        raise kinds.get(status, PaymentRefusedError)(f"Polar answered {status}: {told.get('error', '')} {told}"[:500])
    return Answer(values, at)
