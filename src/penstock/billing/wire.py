"""What the wires to payment providers share: what an answer is, and who tells that an event can't be read."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from penstock.billing.payments import Event, WebhookUnreadableError

TIMEOUT_S = 20.0

Values = dict[str, Any]


@dataclass(frozen=True)
class Answer:
    """What a provider answered, and when by its own clock, in seconds since 1970 UTC."""

    values: Values
    at: float


@contextmanager
def reading(event: Event) -> Iterator[None]:
    """Say of what is wrong with the form of an event's object which event it was. Errors: WebhookUnreadableError."""
    try:
        yield
    except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
        raise WebhookUnreadableError(event, error) from error
