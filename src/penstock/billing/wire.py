"""What the wires to payment providers share: what an answer is, and how old a signature may be."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from penstock.billing.payments import Event, WebhookRefusedError, WebhookUnreadableError

TIMEOUT_S = 20.0
TOLERANCE_S = 300.0  # between a webhook's signature and now
SKEW_S = 5.0  # by which the other clock may be ahead of ours

Values = dict[str, Any]


@dataclass(frozen=True)
class Answer:
    """What a provider answered, and when by its own clock, in seconds since 1970 UTC."""

    values: Values
    at: float


def refuse_unless_now(signed_at: float, now: float) -> None:
    """Let a signature pass that is not older than `TOLERANCE_S` and not from the future.

    The providers' own libraries let signatures from the future pass, at least for minutes.

    Errors: WebhookRefusedError.
    """
    if signed_at < now - TOLERANCE_S:
        raise WebhookRefusedError("the signature is too old")
    if signed_at > now + SKEW_S:
        raise WebhookRefusedError("the signature is from the future")


@contextmanager
def reading(event: Event) -> Iterator[None]:
    """Say of what is wrong with the form of an event's object which event it was. Errors: WebhookUnreadableError."""
    try:
        yield
    except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
        raise WebhookUnreadableError(event, error) from error
