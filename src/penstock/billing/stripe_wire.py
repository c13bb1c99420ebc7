"""How Stripe is spoken to: form-encoded requests with a pinned version, and signed webhooks.

No client library: Penstock needs a dozen calls, and must itself decide what is sent twice. A call whose answer was lost
is sent once more under the same idempotency key, which Stripe answers with what it answered the first time. The wire
format is cross-checked with Stripe's own library in tests/contracts/test_stripe_peer.py.
"""

import hashlib
import hmac
import json
from collections.abc import AsyncIterator, Iterator, Mapping
from email.utils import parsedate_to_datetime
from typing import Any

import httpx2

from penstock.billing.payments import PaymentRefusedError, PaymentUnavailableError
from penstock.billing.wire import TIMEOUT_S, Answer, Values
from penstock.kit.signed_webhooks import WebhookRefusedError, refuse_unless_now

API = "https://api.stripe.com"
VERSION = "2026-10-28.endive"
TRIES = 2  # of one call under one idempotency key
PAGE_ROWS = 100
MAX_PAGES = 1_000
MAX_NAME = 200  # characters of an event's id or type
MAX_TIME_DIGITS = 20
SIGNATURE = "stripe-signature"
_SERVER_ERRORS_FROM = 500
_WAIT = frozenset({409, 429})  # the same request is under way, or there are too many


class StripeWire:
    """One account at Stripe.

    Args:
        key: the secret key.
        base_url: another server that speaks the same.
    """

    def __init__(self, key: str, base_url: str | None = None, transport: httpx2.AsyncBaseTransport | None = None):
        headers = {"Authorization": f"Bearer {key}", "Stripe-Version": VERSION}
        self._client = httpx2.AsyncClient(
            base_url=base_url or API, headers=headers, timeout=TIMEOUT_S, transport=transport, trust_env=False
        )

    async def post(self, path: str, values: Mapping[str, Any], key: str) -> Answer:
        """Change something; the same `key` does it once. Errors: PaymentRefusedError, PaymentUnavailableError."""
        return await self._ask("POST", path, content=dict(form(values)), headers={"Idempotency-Key": key})

    async def get(self, path: str, values: Mapping[str, Any] | None = None) -> Answer:
        """Read something. Errors: PaymentRefusedError, PaymentUnavailableError."""
        return await self._ask("GET", path, query=dict(form(values or {})))

    async def pages(self, path: str, values: Mapping[str, Any]) -> AsyncIterator[tuple[Values, float]]:
        """Yield each entry of a list, newest first, with the time of its page. Errors as `get`."""
        after: dict[str, str] = {}
        for _ in range(MAX_PAGES):
            answer = await self.get(path, {**values, **after, "limit": PAGE_ROWS})
            for entry in answer.values["data"]:
                yield entry, answer.at
            if not answer.values.get("has_more"):
                return
            after = {"starting_after": answer.values["data"][-1]["id"]}
        raise PaymentUnavailableError(f"{path} has more than {MAX_PAGES * PAGE_ROWS:,} entries")

    async def close(self) -> None:
        """Let go of connections."""
        await self._client.aclose()

    async def _ask(
        self,
        method: str,
        path: str,
        *,
        content: Mapping[str, str] | None = None,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        for last in (False, True):
            try:
                response = await self._client.request(method, path, data=content, params=query, headers=headers)
            except httpx2.TransportError as error:
                if last:
                    raise PaymentUnavailableError(f"Stripe did not answer: {type(error).__name__}") from error
                continue
            if last or (response.status_code < _SERVER_ERRORS_FROM and response.status_code not in _WAIT):
                return _read(response)
        raise AssertionError("the last try returns or raises")


def form(values: Mapping[str, Any], inside: str = "") -> Iterator[tuple[str, str]]:
    """Yield names and values of nested values in Stripe's form encoding: `items[0][price]`."""
    for key, value in values.items():
        name = f"{inside}[{key}]" if inside else str(key)
        if isinstance(value, Mapping):
            yield from form(value, name)
        elif isinstance(value, list | tuple):
            yield from form({str(at): entry for at, entry in enumerate(value)}, name)
        elif isinstance(value, bool):
            yield name, "true" if value else "false"
        elif value is not None:
            yield name, str(value)


def verified(headers: Mapping[str, str], body: bytes, secret: str, now: float) -> Values:
    """Return the event in a webhook that Stripe signed, just now.

    Errors: WebhookRefusedError.
    """
    signed_at, signatures = _signatures(headers.get(SIGNATURE, ""))
    expected = hmac.new(secret.encode(), f"{signed_at}.".encode() + body, hashlib.sha256).hexdigest()
    if not any(hmac.compare_digest(expected.encode(), each.encode()) for each in signatures):
        raise WebhookRefusedError("the signature is not Stripe's")
    refuse_unless_now(signed_at, now)
    try:
        event = json.loads(body)
    except ValueError as error:
        raise WebhookRefusedError("the body is no JSON") from error
    if not isinstance(event, dict) or not _is_event(event):
        raise WebhookRefusedError("the body is no event")
    return event


def _is_event(values: Values) -> bool:
    named = all(isinstance(values.get(key), str) and 0 < len(values[key]) <= MAX_NAME for key in ("id", "type"))
    data = values.get("data")
    about = isinstance(data, dict) and isinstance(data.get("object"), dict)
    return values.get("object") == "event" and named and about and type(values.get("created")) is int


def _signatures(header: str) -> tuple[int, list[str]]:
    pairs = [part.strip().partition("=") for part in header.split(",")]
    times = [value for name, _, value in pairs if name == "t"]
    if len(times) != 1 or not times[0].isascii() or not times[0].isdecimal() or len(times[0]) > MAX_TIME_DIGITS:
        raise WebhookRefusedError("there is no signature of Stripe's")
    return int(times[0]), [value for name, _, value in pairs if name == "v1"]


def _read(response: httpx2.Response) -> Answer:
    try:
        values = response.json()
        at = parsedate_to_datetime(response.headers["date"]).timestamp()
    except (ValueError, KeyError) as error:
        raise PaymentUnavailableError(f"Stripe's answer {response.status_code} can't be read") from error
    if response.status_code >= _SERVER_ERRORS_FROM or response.status_code in _WAIT:
        raise PaymentUnavailableError(f"Stripe answered {response.status_code}")
    if response.is_error or not isinstance(values, dict):
        told = values.get("error", {}) if isinstance(values, dict) else {}
        said = f"{told.get('code') or told.get('type') or ''} {told.get('message') or ''}".strip()
        raise PaymentRefusedError(f"Stripe answered {response.status_code}: {said}")
    return Answer(values, at)
