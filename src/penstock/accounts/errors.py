"""What accounts refuse, in words for the customer. None of them tells a guesser what was right."""

from datetime import UTC, datetime

from penstock.kit.durations import in_words
from penstock.kit.errors import Action, FieldError, Problem

_SIGN_IN = Action("sign_in", "Sign in", "/sign-in")


def wrong_credentials() -> Problem:
    """Return the one answer to every failed sign-in."""
    return Problem("unauthenticated", "This e-mail address and password don't belong together. Please check both.")


def session_over() -> Problem:
    """Return the answer to a token that does not hold (any more)."""
    return Problem("unauthenticated", "Your session is over. Please sign in again.", actions=[_SIGN_IN])


def invalid_key() -> Problem:
    """Return the answer to an API key that does not hold."""
    return Problem("unauthenticated", "This API key is not valid. It may be mistyped or revoked.")


def invalid_credentials() -> Problem:
    """Return the answer to an Authorization header that is no bearer token."""
    return Problem("unauthenticated", "Send `Authorization: Bearer` with an access token or an API key.")


def already_renewed() -> Problem:
    """Return the answer to a refresh token that was exchanged a moment ago: another tab was faster."""
    return Problem(
        "wrong_state",
        "This session was renewed a moment ago, perhaps by another tab. Please try again.",
        actions=[Action("wait", "Try again")],
        retry_after_s=1,
    )


def blocked(reason: str, until: float | None) -> Problem:
    """Return the answer to a blocked account; `until` is in seconds since 1970 UTC, None for good."""
    end = "" if until is None else f" until {datetime.fromtimestamp(until, UTC):%d %B %Y, %H:%M} UTC"
    return Problem(
        "blocked",
        f"This account is blocked{end}. Reason: {reason}",
        actions=[Action("contact", "Contact us")],
    )


def missing_scope(scope: str) -> Problem:
    """Return the answer to an API key that lacks a scope."""
    return Problem("forbidden", f"This API key lacks the scope `{scope}` that the call needs.")


def cross_site() -> Problem:
    """Return the answer to an unsafe request from another site's page."""
    return Problem("forbidden", "This request comes from another site's page and was refused for your safety.")


def session_needed() -> Problem:
    """Return the answer to an API key that wants to handle API keys or sessions."""
    return Problem(
        "forbidden", "This takes a signed-in customer: API keys can neither make and delete keys nor end sessions."
    )


def invalid_field(field: str, message: str) -> Problem:
    """Return the answer to one wrong field of the request."""
    return Problem("invalid_input", message, errors=[FieldError(field, message)])


def email_taken() -> Problem:
    """Return the answer to a registration of an e-mail address that has an account."""
    message = "There is an account with this e-mail address already. Sign in instead."
    problem = invalid_field("email", message)
    return Problem(problem.code, message, errors=problem.errors, actions=[_SIGN_IN])


def try_later(wait_s: float, what: str) -> Problem:
    """Return the answer to somebody who has tried too often; `what` completes `Too many …`."""
    return Problem(
        "rate_limited",
        f"Too many {what}. Please try again in {in_words(wait_s)}.",
        actions=[Action("wait", f"Try again in {in_words(wait_s)}")],
        retry_after_s=wait_s,
    )


def sign_in_busy() -> Problem:
    """Return the answer when more people sign in than the machine can check."""
    return Problem(
        "busy",
        "Very many people are signing in right now. Please try again in a few seconds.",
        actions=[Action("wait", "Try again")],
        retry_after_s=3,
    )


def address_unconfirmed() -> Problem:
    """Return the answer to an identity whose address belongs to an account that never confirmed it."""
    return Problem(
        "wrong_state",
        "There is an account with your e-mail address that has not confirmed it, so we can't tell whether it is yours. "
        "Sign in to it with its password and confirm the address, or choose a new password by mail; then try again.",
        actions=[Action("sign_in", "Choose a new password", "/forgot")],
    )


def sign_in_lost() -> Problem:
    """Return the answer to somebody who comes back from a provider to a sign-in that this browser has not begun."""
    return Problem(
        "unauthenticated",
        "This sign-in was not begun in this browser, took too long, or was used already. Please start again.",
        actions=[_SIGN_IN],
    )


def sign_in_refused(title: str) -> Problem:
    """Return the answer to somebody whom a provider sent back without having signed them in."""
    return Problem("unauthenticated", f"{title} did not sign you in. Please try again.", actions=[_SIGN_IN])


def sign_in_doubtful(title: str) -> Problem:
    """Return the answer to an ID token that does not hold."""
    return Problem(
        "unauthenticated", f"What {title} says of you could not be verified. Please start again.", actions=[_SIGN_IN]
    )


def issuer_away(title: str) -> Problem:
    """Return the answer to a sign-in whose provider can't be reached."""
    return Problem(
        "unavailable",
        f"{title} does not answer right now. Please try again in a minute.",
        actions=[Action("wait", "Try again")],
        retry_after_s=60,
    )


def no_passwords() -> Problem:
    """Return the answer to passwords where the product has none."""
    return Problem("forbidden", "Nobody signs in with a password here. Choose another way.", actions=[_SIGN_IN])
