"""One base class for everything that can go wrong and be said to a caller.

A raised `Problem` becomes `application/problem+json` (RFC 9457) at the HTTP edge and a plain sentence on the
command line. The table below fixes each stable code, its HTTP status and its title; the product file may reword
titles and details. `detail` is for the customer: nothing technical belongs in it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

ActionKind = Literal["wait", "upgrade", "top_up", "donate", "sign_in", "change_input", "contact"]

# code: (HTTP status, title)
CODES: dict[str, tuple[int, str]] = {
    "unauthenticated": (401, "Please sign in"),
    "forbidden": (403, "This is not allowed"),
    "blocked": (403, "This account is blocked"),
    "not_found": (404, "Not found"),
    "method_not_allowed": (405, "This address works in another way"),
    "insufficient_credits": (402, "Not enough credits"),
    "invalid_input": (422, "Something in the request needs changing"),
    "unsupported_media": (415, "This kind of file is not supported"),
    "too_large": (413, "This file is too large"),
    "idempotency_conflict": (409, "The same request is still being handled"),
    "idempotency_mismatch": (422, "This idempotency key was used for another request"),
    "wrong_state": (409, "This can't be done in its present state"),
    "rate_limited": (429, "Too many requests"),
    "plan_limit": (429, "Your plan's limit is reached"),
    "busy": (503, "We are very busy"),
    "unavailable": (503, "This is not available right now"),
    "internal": (500, "Something went wrong on our side"),
}


@dataclass(frozen=True)
class Action:
    """What a caller can do instead: shown as a button where `url` is given."""

    kind: ActionKind
    label: str
    url: str | None = None


@dataclass(frozen=True)
class FieldError:
    """What is wrong with one field of the request; `field` is a dotted path such as `inputs.picture`."""

    field: str
    message: str


class Problem(Exception):  # noqa: N818 - RFC 9457 calls it a problem
    """Something a caller must be told.

    Args:
        code: one of `CODES`.
        detail: a sentence or two for the customer: what happened and what to do.
        actions: what to do instead.
        errors: one entry for each wrong field.
        retry_after_s: seconds after which trying again makes sense.
    """

    def __init__(
        self,
        code: str,
        detail: str,
        *,
        actions: Sequence[Action] = (),
        errors: Sequence[FieldError] = (),
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(detail)
        self.code = code
        self.status, self.title = CODES[code]
        self.detail = detail
        self.actions = tuple(actions)
        self.errors = tuple(errors)
        self.retry_after_s = retry_after_s


def not_found(what: str) -> Problem:
    """Return the problem for something that does not exist or belongs to somebody else."""
    return Problem("not_found", f"There is no such {what}.")


class DatabaseUnavailableError(Exception):
    """The database refused or lost a whole transaction: full disk, lost connection, locked for too long."""
