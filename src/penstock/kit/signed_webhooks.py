"""Webhooks that are believed: signed by whom we know, and just now.

`signed_id` reads signatures as Standard Webhooks 1.0 has them, which Polar and Replicate use: HMAC-SHA256 over
`ID.SECONDS.BODY` in base64, of which one of several must be right. Stripe has a form of its own: see
`billing.stripe_wire`.
"""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Iterator, Mapping

TOLERANCE_S = 300.0  # between a webhook's signature and now
SKEW_S = 5.0  # by which the other clock may be ahead of ours
MAX_ID_CHARACTERS = 200


class WebhookRefusedError(Exception):
    """A webhook that must not be believed; the message says why."""


def refuse_unless_now(signed_at: float, now: float) -> None:
    """Let a signature pass that is not older than `TOLERANCE_S` and not from the future.

    The vendors' own libraries let signatures from the future pass, at least for minutes.

    Args:
        signed_at, now: in seconds since 1970 UTC.
    Errors: WebhookRefusedError.
    """
    if signed_at < now - TOLERANCE_S:
        raise WebhookRefusedError("the signature is too old")
    if signed_at > now + SKEW_S:
        raise WebhookRefusedError("the signature is from the future")


def signed_id(headers: Mapping[str, str], body: bytes, secret: str, now: float, *, vendor: str) -> str:
    """Return the id of a webhook that a vendor signed just now.

    Args:
        headers: by their names in small letters.
        vendor: by name, for the message.
    Errors: WebhookRefusedError.
    """
    name, signed_at = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
    if not name or len(name) > MAX_ID_CHARACTERS or not signed_at.isascii() or not signed_at.isdecimal():
        raise WebhookRefusedError(f"there is no signature of {vendor}'s")
    content = f"{name}.{signed_at}.".encode() + body
    expected = [base64.b64encode(hmac.new(key, content, hashlib.sha256).digest()) for key in signing_keys(secret)]
    given = [part[3:].encode() for part in headers.get("webhook-signature", "").split() if part.startswith("v1,")]
    if not any(hmac.compare_digest(one, other) for one in expected for other in given):
        raise WebhookRefusedError(f"the signature is not {vendor}'s")
    refuse_unless_now(float(signed_at), now)
    return name


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
