"""How Polar is spoken to: JSON requests with a pinned version, and webhooks signed as Standard Webhooks 1.0 has it.

Polar remembers no requests: what is sent twice is done twice. So only reading is tried again here. Whoever changes
something looks, when an answer was lost, whether it has happened (`polar`). The wire format is cross-checked with
Polar's own library in tests/contracts/test_polar_peer.py.
"""

import base64
import binascii
import hashlib
import hmac
import json
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any

import httpx2

from penstock.billing.payments import (
    PaymentDeclinedError,
    PaymentRefusedError,
    PaymentUnavailableError,
    WebhookRefusedError,
)
from penstock.billing.wire import TIMEOUT_S, Answer, Values, refuse_unless_now

API = "https://api.polar.sh"
VERSION = "2026-10"
PAGE_ROWS = 100
MAX_PAGES = 1_000
MAX_ID_CHARACTERS = 200  # of a webhook, and of what it calls its kind
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
    name, signed_at = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
    if not name or len(name) > MAX_ID_CHARACTERS or not signed_at.isascii() or not signed_at.isdecimal():
        raise WebhookRefusedError("there is no signature of Polar's")
    content = f"{name}.{signed_at}.".encode() + body
    expected = [base64.b64encode(hmac.new(key, content, hashlib.sha256).digest()) for key in signing_keys(secret)]
    given = [part[3:].encode() for part in headers.get("webhook-signature", "").split() if part.startswith("v1,")]
    if not any(hmac.compare_digest(one, other) for one in expected for other in given):
        raise WebhookRefusedError("the signature is not Polar's")
    refuse_unless_now(float(signed_at), now)
    try:
        event = json.loads(body)
    except ValueError as error:
        raise WebhookRefusedError("the body is no JSON") from error
    if not isinstance(event, dict) or not isinstance(event.get("data"), dict):
        raise WebhookRefusedError("the body is no event")
    kind, stamp = event.get("type"), event.get("timestamp")
    if not isinstance(kind, str) or not 0 < len(kind) <= MAX_ID_CHARACTERS or not isinstance(stamp, str):
        raise WebhookRefusedError("the body is no event")
    try:
        return Signed(name, event, datetime.fromisoformat(stamp).timestamp())
    except (ValueError, OverflowError) as error:
        raise WebhookRefusedError("the body is no event") from error


def signing_keys(secret: str) -> Iterator[bytes]:
    """Yield the keys that a secret may stand for: its characters (Polar's older ones), and what it says in base64."""
    yield secret.encode()
    encoded = secret.removeprefix("whsec_")
    try:
        decoded = base64.b64decode(encoded + "=" * (-len(encoded) % 4), validate=True)
    except (binascii.Error, ValueError):
        return
    if decoded:
        yield decoded


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
